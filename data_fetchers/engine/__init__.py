"""Parts that all sources use: requests and their cache, downloads with retries, HTTP, zonal statistics.

In: a source (see `source.Source`) and its requests. Out: checked answers in a cache folder, and values of
grid cells as values of municipalities. Imports no source; of yieldcast it imports `yieldcast.data` and below.
"""
