"""Everything that talks to a service: places, yields, weather, soil, seasonal forecasts, surveys.

The core package never opens a socket: only `yieldcast.cli_fetch` and ``experiments`` import this one.

    base       one loop for all sources; parts      a part on disk, whole or not at all; http
    ibge       places, boundaries, PAM              (sidra, malhas: answers; places, pam: tables)
    cds        jobs at the Climate Data Store       (cds_account: key and licences)
    era5, seas5                                     (grids: cells to municipalities; *_table: tables)
    soilgrids  nasa_power  conab
    targets    what can be fetched                  fetching: an order to a filled store; doctor
"""
