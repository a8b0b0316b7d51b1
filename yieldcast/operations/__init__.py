"""Forecasts on a schedule: bulletins, what changed between two of them, and the job that makes them.

A store, a folder of runs and a date come in. A folder per bulletin goes out: the forecast in all formats, the
report, and the changes since the previous bulletin. Imports reporting and the rooms below it, and calendars;
fetching reaches a job as a function, so data_fetchers is not imported.
"""
