"""Errors that a user can act on, each with a hint and an exit code for schedulers.

Exit codes: 2 settings and unknown keys, 3 missing data, files or store, 4 fetching and credentials,
5 invalid contents and data published after the date of the forecast, 6 unusable run, 1 anything else.
"""

from __future__ import annotations


class YieldcastError(Exception):
    """Root of all errors that yieldcast raises on purpose.

    Args:
        message: what was expected and what was received.
        hint: what to do next, one or two sentences.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(YieldcastError):
    """A setting, option, crop, state or other key that is unknown or not allowed."""

    exit_code = 2


class MissingDataError(YieldcastError):
    """A file, store, table, year or row that is needed but missing, or a disk that refuses to write."""

    exit_code = 3


class FetchError(YieldcastError):
    """A service did not send what was asked for."""

    exit_code = 4


class CredentialsError(FetchError):
    """A service requires a key or the acceptance of a licence."""


class SchemaError(YieldcastError):
    """Contents that break the contract of a table: units, ranges, keys, types."""

    exit_code = 5


class LeakageError(YieldcastError):
    """A forecast would use data that were not public on its date."""

    exit_code = 5


class RunError(YieldcastError):
    """A run directory that cannot be used: written by another version, other settings, no members."""

    exit_code = 6
