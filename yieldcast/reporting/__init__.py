"""A forecast for readers: CSV, XLSX, GeoPackage, GeoJSON, netCDF, one HTML report, and figures.

A checked forecast table comes in, with municipal boundaries, an earlier forecast and rows of a backtest where
they exist; files go out. All words for readers, in English and Portuguese, are in this room. Imports
evaluation, forecasting and the rooms below them; nothing here changes a number except by rounding it.
"""
