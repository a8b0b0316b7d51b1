"""Weather of ERA5 and ERA5-Land from the Climate Data Store.

In: calendar years and places. Out: requests, and the monthly weather table with degree days from daily
extremes. Imports `data_fetchers.cds` and `data_fetchers.engine`.
"""
