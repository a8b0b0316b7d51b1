"""Crop types from image patches: a convolutional encoder with a segmentation decoder.

This package imports `crop_types` and below.
"""
