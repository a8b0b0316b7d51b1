"""Fetches public data from services into a store: places, yields, weather, soil, seasonal forecasts, surveys.

In: a `FetchOrder` (tables, years, crops, states). Out: the tables of a `yieldcast.data.store.Store`, with the
answers of the services in its folder ``parts/``. All network access of the project is in this package; only
`yieldcast.cli` and ``experiments`` import it. It imports `yieldcast.data` and the packages below that.
Layers, top to bottom; services do not import each other:

* `fetching`: orders, plans, provenance, merging, checks of the environment (doctor);
* `era5`, `seas5`, `ibge`, `soilgrids`, `nasa_power`, `conab`: one service each;
* `cds`: jobs at the Climate Data Store, for `era5` and `seas5`;
* `engine`: requests, cache, downloads, HTTP, zonal statistics.
"""
