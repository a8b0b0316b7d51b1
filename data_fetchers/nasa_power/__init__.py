"""Daily weather of NASA POWER, which needs no key, and months computed from it.

In: calendar years and places. Out: requests, and the tables of monthly and of daily weather. Imports
`data_fetchers.engine`.
"""
