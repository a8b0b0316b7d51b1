"""Pixels of satellites from a STAC catalogue: search, windows of cloud-optimised files, clouds, composites.

In: collections, a box or points, a season. Out: requests whose answers are small rasters in the units of
pixel series, and from these a raster cube or a table of series. Follows the documentation of the catalogues;
never seen against a live one.
"""
