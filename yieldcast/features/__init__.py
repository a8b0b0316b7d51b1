"""Model inputs as known on a date: season windows of weather, yields of earlier years, soil and position.

Input: the tables of a store, a crop calendar and settings. Output: `SampleSet`, arrays in physical units, and
the mixer of training seasons; none of them uses values published after the date. Imports only `data`, the
files below it, and `calendars`.
"""
