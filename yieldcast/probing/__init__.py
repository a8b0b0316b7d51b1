"""Would a leak be noticed? Runs with planted faults, ablations, importance of variables.

In come a run or settings and a store; out goes one line a probe, with the score that an honest pipeline must
show. This package imports `comparison`, `evaluation`, `risk`, `forecasting`, `training` and below.
"""
