"""Jobs at the Climate Data Store (CDS): submission, waiting, download, licences, opening of its files.

In: a dataset name and a request. Out: a downloaded file and its datasets in one layout. The key is read from
CDSAPI_KEY or ~/.cdsapirc in each process and never stored. Imports `data_fetchers.engine` only.
"""
