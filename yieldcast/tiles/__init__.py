"""Crop types from image patches: a convolutional encoder with a segmentation decoder.

In: labelled patches of 13 Sentinel-2 bands (`patch_files`), published weights (`published_resnet`). Out: a
run with its scores (`run`), probabilities of images of any size (`blending`), the study over countries
(`generalise`).

This package imports `crop_types` and below.
"""
