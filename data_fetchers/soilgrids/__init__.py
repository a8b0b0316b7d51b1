"""Soil of SoilGrids (ISRIC), read as windows of its global raster files.

In: places, with or without boundaries. Out: requests, and the soil table by municipality and layer. Imports
`data_fetchers.engine`.
"""
