"""The networks and the baselines: Keras models, their scaling, and reference models of scikit-learn.

Comes in: sample sets from `yieldcast.features` and settings. Goes out: untrained networks, their forward pass
with a leading member axis, and baseline predictions in kg/ha. Imports only `yieldcast.features` and below.
"""
