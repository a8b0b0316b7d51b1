"""The bulletins of a folder at a glance, and two of them side by side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.forecasting.table import QUANTILES
from yieldcast.language import sentence
from yieldcast.operations.bulletins import MANIFEST, Bulletin
from yieldcast.operations.changes import Comparison, compare

Notice = Callable[[str], None]
_LOW, _MEDIAN, _HIGH = (QUANTILES.index(level) for level in (0.05, 0.50, 0.95))


def listed(root: Path, notice: Notice = lambda text: None) -> list[dict[str, Any]]:
    """What every bulletin of a folder says of its first aggregate (all municipalities).

    Args:
        root: folder of all bulletins, or of one season.
        notice: called with a message for each damaged bulletin; it is left out.

    Returns:
        values for JSON, by crop, harvest year, date and number: crop, harvest_year, as_of, number,
        median_kg_ha, low_kg_ha and high_kg_ha (90 % interval), municipalities, states (of a forecast of some
        states only, else empty), yields_known_to, weather_known_to, scenarios, run, synthetic, notes, path.

    Raises:
        MissingDataError: no such folder, or no bulletin in it.
    """
    found = []
    for manifest in sorted([*root.glob(f"*/{MANIFEST}"), *root.glob(f"*/*/{MANIFEST}")]):
        try:
            found.append(_row(Bulletin.open(manifest.parent)))
        except SchemaError as error:
            notice(sentence("left out: {reason}", reason=str(error)))
    if not found:
        raise MissingDataError(
            f"no bulletin that can be read in {root}",
            "Give the folder that `yieldcast forecast --out` or a job writes bulletins into.",
        )
    return sorted(found, key=lambda row: tuple(row[name] for name in _ORDER))


_ORDER = ("crop", "harvest_year", "states", "as_of", "number")


def _row(bulletin: Bulletin) -> dict[str, Any]:
    forecast, about = bulletin.forecast(), bulletin.manifest
    quantiles = forecast["aggregate_yield_kg_ha"].values[0]
    return {
        "crop": str(about["crop"]),
        "harvest_year": int(about["harvest_year"]),
        "as_of": str(about["as_of"]),
        "number": int(about["number"]),
        "median_kg_ha": round(float(quantiles[_MEDIAN]), 1),
        "low_kg_ha": round(float(quantiles[_LOW]), 1),
        "high_kg_ha": round(float(quantiles[_HIGH]), 1),
        "municipalities": forecast.sizes["municipality"],
        "states": str(forecast.attrs.get("states", "")),
        "yields_known_to": int(forecast.attrs["last_public_harvest_year"]),
        "weather_known_to": str(forecast.attrs["weather_known_to"]),
        "scenarios": str(about["scenarios"]),
        "run": str(about["run"]),
        "synthetic": bool(about["synthetic"]),
        "notes": list(about["notes"]),
        "path": str(bulletin.path),
    }


def compared(root: Path, names: tuple[str, str]) -> Comparison:
    """Two bulletins side by side, the earlier one first in whatever order they are given.

    Args:
        root: folder that names may be relative to.
        names: each a path of a bulletin, or its path within `root`.

    Raises:
        MissingDataError: no such bulletin.
        SchemaError: a bulletin is damaged.
        ConfigError: they are of different crops or seasons.
    """
    both = sorted((Bulletin.open(_place(root, name)) for name in names), key=_date)
    return compare(*(bulletin.forecast() for bulletin in both))


def _date(bulletin: Bulletin) -> tuple[str, int]:
    return str(bulletin.manifest["as_of"]), int(bulletin.manifest["number"])


def _place(root: Path, name: str) -> Path:
    """The folder of a bulletin: within `root`, in any of its seasons, or a path of its own."""
    inside = [path for path in (root / name, *root.glob(f"*/{name}")) if (path / MANIFEST).is_file()]
    if len(inside) > 1:
        raise MissingDataError(
            f"expected one bulletin, received {name!r}, which are {len(inside)}: "
            f"{', '.join(str(path) for path in inside)}",
            "Give its season too, for example soybean-2018/2017-10-15.",
        )
    return inside[0] if inside else Path(name)
