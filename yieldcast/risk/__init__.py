"""Will a yield be low? Classes of yields, their probabilities, and what follows from their costs.

In come the forecast distribution of `forecasting` and the feature rows of `features`; out go P(low),
P(medium), P(high), flags and expected costs, from the calibrated forecast and from classifiers trained on the
class itself. This package imports `forecasting`, `training`, `models`, `features`, `data` and below.
"""
