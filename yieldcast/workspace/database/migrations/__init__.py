"""Steps from one form of the database to the next, applied by `versions`; a released step never changes."""
