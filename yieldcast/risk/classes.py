"""Classes of yields: borders taught by training years only, and the class of each yield."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import ConfigError, SchemaError

Floats = NDArray[np.float64]
RuleName = Literal["terciles", "municipality", "threshold"]
RULES: tuple[RuleName, ...] = ("terciles", "municipality", "threshold")
LOW, MEDIUM, HIGH = 0, 1, 2
UNKNOWN = -1  # of a yield that is not known, or of a place whose own record is too short
LEAST_YEARS = 5  # of a place's own terciles: with fewer, one year decides a border (our choice)
THREE = ("low", "medium", "high")
TWO = ("low", "not_low")  # of a break-even yield


@dataclass(frozen=True)
class ClassRule:
    """Borders between the classes of yields. A yield on a border belongs to the class above it.

    Args:
        rule: "terciles" of all training yields (Xavier et al. 2026, AgriEngineering 8:203, Section 2.4),
            "municipality" for those of each place's own yields, or "threshold" for a break-even yield.
        borders_kg_ha: (border,) ascending: two of "terciles", one of "threshold"; of "municipality" those of
            all training yields, which no place uses.
        train_years: harvest years that the borders rest on, ascending.
        codes: (place,) int32, ascending; only for "municipality".
        own_kg_ha: (place, 2) borders of each; NaN where it has fewer than `LEAST_YEARS` yields.
    """

    rule: RuleName
    borders_kg_ha: Floats
    train_years: tuple[int, ...]
    codes: NDArray[np.int32] | None = None
    own_kg_ha: Floats | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes 0, 1, ..."""
        return TWO if self.rule == "threshold" else THREE

    def borders(self, municipality: NDArray[Any]) -> Floats:
        """Borders of each row.

        Args:
            municipality: (row,) codes of places.

        Returns:
            (row, border) kg/ha, ascending; NaN for a place without borders of its own under "municipality".
        """
        if self.codes is None or self.own_kg_ha is None:
            return np.tile(self.borders_kg_ha, (len(municipality), 1))
        at = np.searchsorted(self.codes, municipality).clip(max=len(self.codes) - 1)
        found = self.codes[at] == municipality
        return np.where(found[:, None], self.own_kg_ha[at], np.nan)

    def classes(self, yield_kg_ha: Floats, municipality: NDArray[Any]) -> NDArray[np.int8]:
        """Class of each yield: `LOW`, `MEDIUM`, `HIGH` or, with a threshold, 0 (low) and 1.

        Args:
            yield_kg_ha: (row,).
            municipality: (row,) codes of places.

        Returns:
            (row,); `UNKNOWN` where the yield or the borders are not known.
        """
        borders = self.borders(municipality)
        known = np.isfinite(yield_kg_ha) & np.isfinite(borders).all(axis=1)
        reached = (yield_kg_ha[:, None] >= borders).sum(axis=1)
        return np.where(known, reached, UNKNOWN).astype(np.int8)


def class_rule(
    yield_kg_ha: Floats,
    municipality: NDArray[Any],
    harvest_year: NDArray[Any],
    rule: RuleName = "terciles",
    *,
    threshold_kg_ha: float | None = None,
) -> ClassRule:
    """Borders of classes from training yields.

    The caller gives yields of training years only: those of the season to forecast, or of a test year, would
    move the borders (Xavier et al. 2026, Section 2.4). Yields that are not known are left out.

    Args:
        yield_kg_ha, municipality, harvest_year: (row,) training rows.
        rule: one of `RULES`.
        threshold_kg_ha: break-even yield, for "threshold" only.

    Raises:
        ConfigError: a rule that is not known, or a threshold that is missing, given in vain, or not above 0.
        SchemaError: fewer than two harvest years with yields, or a class without rows.
    """
    _check_options(rule, threshold_kg_ha)
    known = np.isfinite(yield_kg_ha)
    yields, places, seasons = yield_kg_ha[known], municipality[known], harvest_year[known]
    years = tuple(np.unique(seasons).astype(int).tolist())
    if len(years) < 2:
        raise SchemaError(
            f"classes of yields: expected yields of two harvest years or more, received {_listed(years)}",
            "Borders of one season say how that season was, not what is usual. Add the yields of other "
            "harvest years.",
        )
    if rule == "threshold":
        found = ClassRule(rule, np.array([threshold_kg_ha], dtype=np.float64), years)
    else:
        found = ClassRule(rule, terciles(yields[None])[0], years)
    if rule == "municipality":
        codes = np.unique(places).astype(np.int32)
        found = ClassRule(rule, found.borders_kg_ha, years, codes, _own_terciles(yields, places, codes))
    _check_rows(found, yields, places)
    return found


def terciles(window: Floats) -> Floats:
    """(row, 2) borders of the thirds of each row of (row, value) numbers; NaN are left out."""
    return np.nanquantile(window, [1 / 3, 2 / 3], axis=1).T


def _own_terciles(yields: Floats, places: NDArray[Any], codes: NDArray[np.int32]) -> Floats:
    order = np.argsort(places, kind="stable")
    ends = np.searchsorted(places[order], codes, side="right")
    own = np.full((len(codes), 2), np.nan)
    for row, values in enumerate(np.split(yields[order], ends[:-1])):
        if len(values) >= LEAST_YEARS:
            own[row] = terciles(values[None])[0]
    return own


def _check_options(rule: RuleName, threshold_kg_ha: float | None) -> None:
    if rule not in RULES:
        raise ConfigError(f"expected a rule of classes among {', '.join(RULES)}, received {rule!r}")
    if rule != "threshold" and threshold_kg_ha is not None:
        raise ConfigError(
            f"a threshold of {threshold_kg_ha:g} kg/ha and the rule {rule!r} exclude each other",
            "Leave one of them out.",
        )
    if rule == "threshold" and not (threshold_kg_ha is not None and 0 < threshold_kg_ha < float("inf")):
        raise ConfigError(
            f"expected a threshold above 0 kg/ha, received {threshold_kg_ha}",
            "Give the yield in kg/ha below which a season is a loss, for example 3000.",
        )


def _check_rows(rule: ClassRule, yields: Floats, places: NDArray[Any]) -> None:
    """Raise SchemaError if a class has no training row."""
    classes = rule.classes(yields, places)
    counts = np.bincount(classes[classes >= 0], minlength=len(rule.names))
    if counts.all():
        return
    empty = ", ".join(name for name, count in zip(rule.names, counts, strict=True) if not count)
    if rule.rule == "municipality" and not counts.any():
        raise SchemaError(
            f"classes by municipality: expected places with {LEAST_YEARS} yields or more in the training "
            f"years {_listed(rule.train_years)}, received none",
            "Use the terciles of all training yields, or add harvest years.",
        )
    borders = " and ".join(f"{border:.0f}" for border in rule.borders_kg_ha)
    raise SchemaError(
        f"classes of yields with borders at {borders} kg/ha: expected training yields in every class, "
        f"received none in: {empty} (the {len(yields)} yields are {yields.min():.0f} to {yields.max():.0f} "
        "kg/ha)",
        "Give a threshold between these yields, in kg/ha (1 t/ha is 1000 kg/ha)."
        if rule.rule == "threshold"
        else "Equal yields cannot be divided into three classes: give a threshold instead.",
    )


def _listed(years: tuple[int, ...]) -> str:
    return ", ".join(map(str, years)) or "none"
