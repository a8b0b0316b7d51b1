"""Crop types: classifiers on embeddings or on the series themselves, their scores, and their run directories.

This package imports `encoders` and below.
"""
