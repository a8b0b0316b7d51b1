"""Runs and forecasts to scores, always beside the baselines.

In come trained runs, stores and forecasts; out go scores in kg/ha on the same rows for the network, its
ensemble and every baseline (`evaluate`, `scores`), and skill by lead time from a backtest that retrains as of
each year (`backtest`, `skill`). This package imports `forecasting`, `training`, `models`, `features`, `data`
and below.
"""
