"""Checked tables on disk: places with soil, monthly weather, yields, seasonal forecasts, and boundaries.

Input: a user's own files (`importing`), or tables from `data_fetchers`. Output: tables that meet the
contract in `schema`, in memory or in a `Store`, a folder that is replaced completely or not at all. Imports
only `config`, `variables`, `publication`, `errors` and `calendars`.
"""
