"""Where a store's tables come from: each grows by its own source only; a jump would look like weather."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xarray as xr

from data_fetchers.fetching.order import FetchContext, FetchOrder
from yieldcast.data.store import TABLES
from yieldcast.errors import ConfigError
from yieldcast.variables import SOIL

_TABLES = {"places": "static", "yields": "yields", "weather": "weather", "soil": "static"}
_SAID = ("file", "source", "resolution", "where")


def wanted(order: FetchOrder) -> dict[str, dict[str, str]]:
    """What decides, for each target, whether two fetches belong into one table."""
    return {
        "places": {"source": "ibge"},
        "yields": {"source": "ibge"},
        "weather": {"source": order.weather, "where": order.where},
        "soil": {
            "source": f"soilgrids-{order.soil}", "resolution": order.soil_resolution, "where": order.where
        },
    }  # fmt: skip


def held(context: FetchContext, target: str) -> xr.Dataset | None:
    """The store's table of a target when it comes from the same source; None to begin anew."""
    return context.existing(_TABLES[target]) if same(context, target) else None


def same(context: FetchContext, target: str) -> bool:
    """Whether the store's table of a target comes from the source that the order names."""
    about = _about(context, target)
    return isinstance(about, Mapping) and all(
        about.get(key) == value for key, value in wanted(context.order)[target].items()
    )


def refuse_mixture(context: FetchContext) -> None:
    """Refuse an order that would mix sources within a table, before anything is asked for.

    Raises:
        ConfigError: it would, and --replace was not given.
    """
    for target in context.order.targets:
        if target not in _TABLES or context.order.replace or not _present(context, target):
            continue
        if not same(context, target):
            raise ConfigError(
                f"the store's {target} come from {_said(_about(context, target))}; asked for "
                f"{_said(wanted(context.order)[target])}",
                "Use another --store, or --replace to drop what is there.",
            )


def replaced(context: FetchContext) -> list[str]:
    """Tables and sources that go when the places of a store give way to those of another origin."""
    opened = context.opened()
    if opened is None or same(context, "places"):
        return []
    return [*(table for table in TABLES if table in opened), *opened.sources]


def _present(context: FetchContext, target: str) -> bool:
    table = context.existing(_TABLES[target])
    return table is not None and (target != "soil" or any(name in table for name in SOIL))


def _about(context: FetchContext, target: str) -> Any:
    opened = context.opened()
    return opened.sources.get(target) if opened is not None else None


def _said(about: Any) -> str:
    if not isinstance(about, Mapping):
        return str(about or "elsewhere")
    return ", ".join(str(about[key]) for key in _SAID if key in about)
