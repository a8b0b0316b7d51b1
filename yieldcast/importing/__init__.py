"""A user's own files (CSV, netCDF, GeoJSON) into checked tables and a store: read, units and codes resolved,
everything that was dropped or looks strange counted. Imports only `data` and what lies below it.
"""
