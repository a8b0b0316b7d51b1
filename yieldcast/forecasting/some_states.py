"""Forecasts of some states: which ones are meant, and their rows and tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from yieldcast.data.store import Store, Tables
from yieldcast.errors import ConfigError, MissingDataError


def chosen_states(store: Store, names: Sequence[str]) -> tuple[str, ...]:
    """Codes of states, ascending and each once, from their codes or names in any case.

    Args:
        store: has the states, and the country that knows their names.
        names: as a user types them.

    Raises:
        ConfigError: the store has no such state.
    """
    known = sorted(set(store.static["state"].values.astype(str).tolist())) if names else []
    by_case, found = {code.casefold(): code for code in known}, set()
    for name in names:
        code = by_case.get(name.strip().casefold()) or store.country.state(name)
        if code is None or code not in known:
            raise ConfigError(
                f"expected states of the store ({', '.join(known)}), received {name!r}",
                "Give codes or names separated by commas, for example --states MT,GO.",
            )
        found.add(code)
    return tuple(sorted(found))


def rows_of(states: Sequence[str], state: NDArray[np.str_], crop: str) -> NDArray[np.bool_]:
    """(row,) True for the rows of some states; for all rows if none are given.

    Args:
        states: codes.
        state: (row,) code of each row.
        crop: of the forecast, for the error.

    Raises:
        MissingDataError: no row is in these states.
    """
    if not states:
        return np.ones(len(state), dtype=bool)
    kept: NDArray[np.bool_] = np.isin(state, states)
    if not kept.any():
        raise MissingDataError(
            f"no municipality of {', '.join(states)} grew {crop} in the last ten public harvest years",
            "Leave out --states, or forecast every municipality with --everywhere.",
        )
    return kept


def tables_of(states: Sequence[str], tables: Tables) -> Tables:
    """The tables with the yields of some states alone; with all of them if none are given."""
    if not states:
        return tables
    mine = np.isin(tables.static["state"].values.astype(str), states)
    known = np.isin(tables.yields["municipality"].values, tables.static["municipality"].values[mine])
    return tables._replace(yields=tables.yields.isel(municipality=known))
