"""Places, boundaries and municipal yields of IBGE, Brazil's statistical office.

In: states, crops and harvest years. Out: requests to Localidades, Malhas and SIDRA; the table of places, the
boundaries, and the table of yields of the PAM survey. Imports `data_fetchers.engine`.
"""
