"""Everything that talks to a service: places, yields, weather, soil, seasonal forecasts, surveys.

The core package never opens a socket: only `yieldcast.cli_fetch` and ``experiments`` import this one.

    parts       a part on disk, whole or not at all     base        one part: tried, checked, put away
    loop        many parts of many sources              http        time-outs, limits, redirects
    ibge        what to ask (sidra, malhas: answers; places, pam: tables)
    cds         jobs at the Climate Data Store (cds_requests, cds_session, cds_account)
    era5, seas5 what to ask (*_answer: whether it came whole; *_table: tables; answers, grids: files, cells)
    soilgrids   what to ask (soil_pixels, soil_table)   nasa_power, conab
    orders      what the user asked                     targets     parts and table of each target
    fetching    an order to a filled store (origins, merging, estimates)                doctor
"""
