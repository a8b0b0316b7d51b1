"""Crop types where and when a classifier was not trained: the protocols of Butsko et al. and Chang et al.

In come labelled pixel series and the settings of a run of `crop-type train`; out go macro-F1 in domain and
out of domain of its classifier, of boosted trees on the raw series and of checks, on the same splits.
"""
