"""Does a model hold where and when it was not trained? Random, temporal, geographic and few-shot splits.

In come a store and a crop; out go scores in domain and out of domain for the network, boosted trees and
baselines on the same rows. This package imports `comparison`, `evaluation`, `risk`, `forecasting`, `training`
and below.
"""
