"""The country of a user's places: as the user says, or as codes and states show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from calendars import Country, country
from yieldcast.errors import SchemaError
from yieldcast.importing.columns import ImportLog, shown


def country_of(static: xr.Dataset, given: str | None, report: ImportLog) -> tuple[Country, xr.Dataset]:
    """The country of the places, which the store then knows, and the places with the codes of its states.

    Args:
        static: table of places.
        given: a ``country.toml`` or its folder, the name of a country of `calendars.country`, or None. Then
            it is the default country if all codes and states are of its scheme, otherwise it is unknown:
            states of the same names may lie elsewhere.
        report: gets the country, or what it lacks.

    Returns:
        the country, and `static` with each state as its code, where the file has its name or number.

    Raises:
        CalendarError: the file is missing or malformed.
        SchemaError: a place has a state that the given country does not list.
    """
    codes = static["code"].values.astype(str).tolist()
    if given is None:
        named = _with_codes(static, country.default())
        if country.default().fits(codes, named["state"].values.tolist()):
            found, static = country.default(), named
        else:
            found = country.UNKNOWN
    else:
        found = country.read(Path(given)) if Path(given).exists() else _built_in(given)
        static = _with_codes(static, found)
        _refuse_other_states(static, found)
        pairs = zip(codes, static["state"].values.tolist(), strict=True)
        if others := sum(not found.fits([code], [state]) for code, state in pairs if found.states):
            text = f"places whose code is not by the scheme of {found.name}"
            report.warnings.append(("places", text, others))
    if found.name:
        report.read.append(("places", f"country: {found.name}", len(codes)))
    else:
        text = "places of an unknown country, without a calendar: give --country country.toml"
        report.warnings.append(("places", text, len(codes)))
    return found, static


def _with_codes(static: xr.Dataset, of: Country) -> xr.Dataset:
    """The places with the state's code where its name or number was given; unknown states stay."""
    codes = [of.state(text) or text for text in static["state"].values.astype(str).tolist()]
    return static.assign(state=("municipality", np.array(codes)))


def _built_in(name: str) -> Country:
    """A built-in country; what looks like a file is one that is missing."""
    return (
        country.read(Path(name)) if Path(name).name != name or "." in name else country.built_in(name.lower())
    )


def _refuse_other_states(static: xr.Dataset, of: Country) -> None:
    states = static["state"].values.astype(str)
    wrong = ~np.isin(states, list(of.states)) if of.states else np.zeros(len(states), dtype=bool)
    if wrong.any():
        first = static.isel(municipality=int(np.argmax(wrong)))
        raise SchemaError(
            f"places: expected states of {of.name} ({shown(of.states)}), received "
            f"{str(first['state'].item())!r} for the place {str(first['code'].item())!r} "
            f"({int(wrong.sum())} such places)",
            "Add the state to [states] of country.toml, or correct the places.",
        )
