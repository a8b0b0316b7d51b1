"""Fills a store as ordered by the user.

In: a `FetchOrder` and the folder of a store. Out: written tables and a `FetchReport` of gaps and errors.
Imports every source of `data_fetchers`; only the command line imports this package.
"""
