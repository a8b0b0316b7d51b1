"""A trained run, a store and a date to a calibrated forecast.

In come the members of a run (`training`) and the tables of a store, as public on the date of the forecast.
`forecast` completes the season with weather scenarios, predicts every member on every scenario, calibrates
the quantiles with hindcasts of harvest years that the members left out, adds states and the country, and
returns a checked `Forecast` (kg/ha). This package imports `training`, `models`, `features`, `data` and below.
"""
