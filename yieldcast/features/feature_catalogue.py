"""Every feature of places and seasons once: name, group, unit, window, meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from yieldcast.features import day_windows, month_windows, vegetation, yield_history
from yieldcast.features.feature_rows import Feature
from yieldcast.language import message
from yieldcast.variables import QUANTITIES, SOIL

_LASTING = message("does not change")
_PUBLIC_YEARS = message("years public on the cut-off")
_SOIL: Mapping[str, str] = MappingProxyType(
    {
        "clay_pct": message("Clay"),
        "silt_pct": message("Silt"),
        "sand_pct": message("Sand"),
        "bulk_density_kg_dm3": message("Bulk density"),
        "coarse_fragments_pct": message("Coarse fragments"),
        "cec_cmolc_kg": message("Cation exchange capacity"),
        "soc_g_kg": message("Organic carbon"),
        "nitrogen_g_kg": message("Nitrogen"),
        "ph_h2o": message("pH in water"),
        "ph_kcl": message("pH in KCl"),
    }
)
_HISTORY: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "last_public_kg_ha": ("kg/ha", message("Last public yield")),
        "mean_5y_public_kg_ha": ("kg/ha", message("Mean of the last five public yields")),
        "trend_10y_public_kg_ha": ("kg/ha", message("Trend of the last ten public yields")),
        "public_years": ("1", message("Number of public yields in ten years")),
        "public_sd_kg_ha": ("kg/ha", message("Variation of the public yields")),
        "state_last_public_kg_ha": ("kg/ha", message("Last public yield of the state")),
        "state_mean_5y_public_kg_ha": ("kg/ha", message("Mean of five public yields of the state")),
        "state_trend_10y_public_kg_ha": ("kg/ha", message("Trend of ten public yields of the state")),
        "history_line_kg_ha": ("kg/ha", message("Between the mean and the trend of the public yields")),
    }
)
_THIS_SEASON = message("this season, once public")
_LAST_SEASON = message("the season before")
_SUMMARY = message("Summary of vegetation in the season table")
LAST_SEASON = "_last_season"  # end of the names of those features


def static_features(names: Sequence[str]) -> tuple[Feature, ...]:
    """Features of soil layers and of position, by the names of `yieldcast.features.source.static_matrix`."""
    return tuple(_static(name) for name in names)


def _static(name: str) -> Feature:
    if name == "latitude_deg":
        return Feature(name, "place", "degree", _LASTING, message("Latitude"))
    if name == "longitude_deg":
        return Feature(name, "place", "degree", _LASTING, message("Longitude"))
    stem = next(known for known in SOIL if name.startswith(known))
    return Feature(name, "soil", QUANTITIES[stem].units, _LASTING, _SOIL[stem])


def history_features() -> tuple[Feature, ...]:
    """Features of past yields, in the order of `yieldcast.features.yield_history.NAMES`."""
    return tuple(
        Feature(name, "history", unit, _PUBLIC_YEARS, meaning)
        for name, (unit, meaning) in ((name, _HISTORY[name]) for name in yield_history.NAMES)
    )


def summary_features(summaries: Sequence[str]) -> tuple[Feature, ...]:
    """Features of summaries of seasons: of the season itself, then of the season before."""
    return tuple(
        Feature(f"{name}{end}", "vegetation", "1", window, _SUMMARY)
        for end, window in (("_this_season", _THIS_SEASON), (LAST_SEASON, _LAST_SEASON))
        for name in summaries
    )


def catalogue() -> tuple[Feature, ...]:
    """All features that `yieldcast.features.day_rows.rows_for` can make.

    Of soil one layer stands for all, and of summaries of seasons one summary: a store names its own.
    """
    layer = "0_30cm"
    return (
        *day_windows.features(),
        *month_windows.features(len(month_windows.ORDINALS)),
        *vegetation.features(),
        *summary_features(("ndvi_max",)),
        *static_features((*(f"{name}_{layer}" for name in SOIL), "latitude_deg", "longitude_deg")),
        *history_features(),
    )


def as_markdown() -> str:
    """The catalogue as a table for the docs; one month stands for all of them."""
    lines = ["| feature | group | unit | window | meaning |", "|---|---|---|---|---|"]
    for one in catalogue():
        name, window = one.name, one.window
        if "_month_" in name:
            if "_month_1_" not in name:
                continue
            name, window = name.replace("_month_1_", "_month_K_"), "month K of the season window"
        lines.append(f"| `{name}` | {one.group} | {one.unit} | {window} | {one.meaning} |")
    return "\n".join(lines) + "\n"
