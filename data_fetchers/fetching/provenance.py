"""Sources of a store's tables: a table may only grow from its own source, or values would jump."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xarray as xr

from data_fetchers.fetching.continuing import imported, refuse_other_variables
from data_fetchers.fetching.order import FetchContext, FetchOrder
from yieldcast.data import degree_days
from yieldcast.data.files import fingerprint
from yieldcast.data.store_tables import TABLES
from yieldcast.errors import ConfigError
from yieldcast.variables import SOIL, WEATHER

_TABLES = {"places": "static", "yields": "yields", "weather": "weather", "soil": "static", "daily": "daily"}
_CONTINUED = ("weather", "soil")  # imported tables to which a fetch adds what they lack
_SHOWN = ("file", "source", "resolution", "where", "weights", "weights_before")


def ordered_source(order: FetchOrder) -> dict[str, dict[str, str]]:
    """Source and settings by table; two fetches may be merged only where these are equal."""
    return {
        "places": {"source": "ibge"},
        "yields": {"source": "ibge"},
        "weather": {"source": order.weather, **weather_where(order)},
        "daily": {"source": order.weather, **weather_where(order)},
        "soil": {
            "source": f"soilgrids-{order.soil}", "resolution": order.soil_resolution,
            "where": order.soil_where,
        },
    }  # fmt: skip


def weather_where(order: FetchOrder) -> dict[str, str]:
    """Where weather is taken from; of cropped cells also which weights, by their contents."""
    crop = order.crop()
    if crop is None:
        return {"where": order.where}
    digest = f"{crop.table.attrs['crop']} {fingerprint(crop.table)[:12]}"
    return {"where": order.where, "weights": digest, "weights_before": crop.before}


def existing_table(context: FetchContext, name: str) -> xr.Dataset | None:
    """The store's table if it comes from the ordered source; None to make a new one."""
    if context.order.replace and imported(_source_of(context, name)) is not None:
        return None
    return context.existing(_TABLES[name]) if same_source(context, name) else None


def same_source(context: FetchContext, name: str) -> bool:
    """Whether the store's table comes from the ordered source."""
    about = _source_of(context, name)
    return isinstance(about, Mapping) and all(
        about.get(key) == value for key, value in ordered_source(context.order)[name].items()
    )


def imported_part(context: FetchContext, name: str) -> dict[str, Any] | None:
    """Origin of the store's table if it was imported, wholly or up to a month, and is to be continued."""
    if context.order.replace or name not in _CONTINUED or not _present(context, name):
        return None
    return imported(_source_of(context, name))


def wants_daily(context: FetchContext) -> bool:
    """Whether the days of the weather are ordered, see `FetchOrder.daily`."""
    order = context.order
    if order.daily is None:
        return order.replace or not _present(context, "daily") or same_source(context, "daily")
    return order.daily


def refuse_mixture(context: FetchContext) -> None:
    """Refuse an order that would mix sources within a table, before anything is fetched.

    Raises:
        ConfigError: sources differ, and --replace is not given.
    """
    order = context.order
    days = ("daily",) if order.daily and "weather" in order.tables else ()
    for name in (*order.tables, *days):
        if name not in _TABLES or order.replace or not _present(context, name):
            continue
        if not same_source(context, name) and not _continues(context, name):
            raise ConfigError(
                f"expected {name} from {_shown(ordered_source(order)[name])} in the store, found "
                f"{name} from {_shown(_source_of(context, name))}",
                "Use another --store, or --replace to drop the existing table"
                + (", or --no-daily." if name == "daily" else "."),
            )


def _continues(context: FetchContext, name: str) -> bool:
    """Whether the store's table was imported, and nothing but imported, and can be continued.

    Raises:
        ConfigError: made-up weather, or weather with variables that no fetch brings.
    """
    about = _source_of(context, name)
    if imported_part(context, name) is None or (isinstance(about, Mapping) and "file" not in about):
        return False
    table = context.existing(_TABLES[name])
    if name == "weather" and table is not None:
        if table.attrs.get("synthetic"):
            raise ConfigError("the weather in the store is synthetic: it is not continued", "Use --replace.")
        brought = [*WEATHER, *degree_days.quantities()]
        refuse_other_variables(name, [str(one) for one in table.data_vars], brought)
    return True


def dropped_tables(context: FetchContext) -> list[str]:
    """Tables and sources to drop when the places of a store are replaced by those of another source."""
    opened = context.opened()
    if opened is None or same_source(context, "places"):
        return []
    return [*(table for table in TABLES if table in opened), *opened.sources]


def _present(context: FetchContext, name: str) -> bool:
    table = context.existing(_TABLES[name])
    return table is not None and (name != "soil" or any(quantity in table for quantity in SOIL))


def _source_of(context: FetchContext, name: str) -> Any:
    opened = context.opened()
    return opened.sources.get(name) if opened is not None else None


def _shown(about: Any) -> str:
    if not isinstance(about, Mapping):
        return str(about or "an unknown source")
    return ", ".join(str(about[key]) for key in _SHOWN if key in about)
