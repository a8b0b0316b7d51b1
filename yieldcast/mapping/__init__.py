"""Maps: a crop-type classifier over rasters of any size, areas by class, and crop weights for the forecast.

This package imports `crop_types`, `tiles` and below.
"""
