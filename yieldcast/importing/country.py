"""The country of a user's places: as the user says, or as codes and states show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from calendars import Country, country
from yieldcast.data.schema import PART_OF
from yieldcast.errors import SchemaError
from yieldcast.importing.columns import ImportLog, shown
from yieldcast.language import message, sentence


def country_of(static: xr.Dataset, given: str | None, report: ImportLog) -> tuple[Country, xr.Dataset]:
    """The country of the places, which the store then knows, and the places with the codes of its states.

    Args:
        static: table of places; of fields, `part_of` has the codes that count.
        given: a ``country.toml`` or its folder, the name of a country of `calendars.country`, or None. Then
            it is the default country if all codes and states are of its scheme, otherwise it is unknown:
            states of the same names may lie elsewhere.
        report: gets the country, or what it lacks.

    Returns:
        the country, and `static` with each state as its code, where the file has its name or number.

    Raises:
        CalendarError: the file is missing or malformed.
        SchemaError: a place has a state that the given country does not list, or some places have another
            state than their codes while most have that of the default country.
    """
    codes = static[PART_OF if PART_OF in static else "code"].values.astype(str).tolist()
    if given is None:
        named = _with_codes(static, country.default())
        others = _others(country.default(), codes, named)
        if not others:
            found, static = country.default(), named
        else:
            _refuse_few(country.default(), others, codes, named)
            found = country.UNKNOWN
    else:
        found = stated_country(given)
        static = _with_codes(static, found)
        _refuse_other_states(static, found)
        if found.states and (others := _others(found, codes, static)):
            first = codes[others[0]]
            text = f"places whose code is not by the scheme of {found.name}, first {first}"
            report.warnings.append(("places", text, len(others)))
    if found.name:
        report.read.append(("places", sentence("country: {name}", name=found.name), len(codes)))
    else:
        text = message("places of an unknown country, without a calendar: give --country country.toml")
        report.warnings.append(("places", text, len(codes)))
    return found, static


def stated_country(given: str) -> Country:
    """The country of a ``country.toml`` (or its folder), or a built-in one by its name."""
    return country.read(Path(given)) if Path(given).exists() else _built_in(given)


def _others(of: Country, codes: list[str], static: xr.Dataset) -> list[int]:
    """Positions of the places whose code and state are not by the scheme of a country.

    Fields go by the codes of their municipalities; one without a code goes by its state if others have
    codes.
    """
    states = static["state"].values.tolist()
    if not any(codes):
        return list(range(len(codes)))
    return [
        k for k, code in enumerate(codes)
        if not (of.fits([code], [states[k]]) if code else states[k] in of.states)
    ]  # fmt: skip


def _refuse_few(of: Country, others: list[int], codes: list[str], static: xr.Dataset) -> None:
    """Raise SchemaError where most places are of a country and some have another state than their codes."""
    if len(others) >= len(codes) / 2:
        return
    first, state = codes[others[0]], static["state"].values[others[0]]
    begin = first[: of.state_digits]
    right = next((one.code for one in of.states.values() if str(one.number) == begin), None)
    meaning = f"codes that begin with {begin} are of {right}" if right else "no state has such codes"
    raise SchemaError(
        f"places: expected codes and states of {of.name}, as {len(codes) - len(others)} of {len(codes)} "
        f"places have them, received {first!r} with the state {str(state)!r}: {meaning} "
        f"({len(others)} such places: {shown([codes[k] for k in others], 5)})",
        f"Correct the code or the state. If these are not places of {of.name}, give --country country.toml.",
    )


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
