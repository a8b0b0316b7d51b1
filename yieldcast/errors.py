"""Errors a user can act on: each carries a hint and the exit code a scheduler sees.

Exit codes: 2 settings and unknown keys, 3 missing data, files or store, 4 fetch or credentials,
5 malformed contents and leaks of the future, 6 unusable run, 1 anything else.
"""

from __future__ import annotations


class YieldcastError(Exception):
    """Root of all errors raised on purpose.

    Args:
        message: what was expected and what was received.
        hint: what to do next, one or two sentences.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(YieldcastError):
    """A setting, option, crop, state or other key that is not known or not allowed."""

    exit_code = 2


class MissingDataError(YieldcastError):
    """A file, store, table, year or row that is needed and is not there, or a disk that refuses it."""

    exit_code = 3


class FetchError(YieldcastError):
    """A service that did not deliver."""

    exit_code = 4


class CredentialsError(FetchError):
    """A key or licence that a service asks for and did not get."""


class SchemaError(YieldcastError):
    """Contents that break a table's contract: units, ranges, keys, types."""

    exit_code = 5


class LeakageError(YieldcastError):
    """Data from after the date of the forecast would reach it."""

    exit_code = 5


class RunError(YieldcastError):
    """A run directory that cannot be used: another version, other settings, no members."""

    exit_code = 6
