"""Is the difference between two forecasts real? Paired tests on the same rows.

In come score rows (a forecast, its truth, place and year); out go differences of scores with block-bootstrap
intervals, McNemar and Diebold-Mariano tests, and one sentence. This package imports `evaluation` and below.
"""
