"""Seasonal forecasts of SEAS5 (ECMWF) from the Climate Data Store.

In: start months and places. Out: requests, and the table of monthly anomalies relative to hindcasts of the
same system. Imports `data_fetchers.cds` and `data_fetchers.engine`.
"""
