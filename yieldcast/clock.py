"""The current time, read in one place so that tests can set it."""

from __future__ import annotations

import datetime as dt


def now() -> dt.datetime:
    """Current time, in UTC."""
    return dt.datetime.now(dt.UTC)


def today() -> dt.date:
    """Current date, in UTC."""
    return now().date()
