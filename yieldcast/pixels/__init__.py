"""Series of single pixels: tables and dated observations to labelled, checked series, and class legends.

This package imports `data` and below.
"""
