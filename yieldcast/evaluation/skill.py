"""Skill by lead: rows of the backtest pooled over harvest years; the lead from which the forecast wins."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from yieldcast.errors import SchemaError
from yieldcast.evaluation.metrics import Floats, covered_90, crps, score
from yieldcast.forecasting.table import QUANTILES

_NEEDED = {"crop", "harvest_year", "lead_months", "model", "n"}


def pool_by_lead(rows: Iterable[Mapping[str, Any]], crop: str) -> list[dict[str, Any]]:
    """One row per lead and model, the longest lead first and our forecast before the reference lines.

    Args:
        rows: of ``yieldcast backtest --json``; those of other crops are left out.
        crop: of the forecast.

    Returns:
        model, lead_months, harvest_years, n, rmse_kg_ha (root of the mean square over all rows of all
        years), crps_kg_ha and coverage90 (means weighted by n), worst_coverage90 and its worst_year; a
        score that is missing in any year is None.

    Raises:
        SchemaError: a row without crop, harvest_year, lead_months, model or n.
    """
    groups: dict[tuple[int, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        if lost := sorted(_NEEDED - set(row)):
            raise SchemaError(
                f"skill: expected rows with {sorted(_NEEDED)}, received one without {lost}",
                "Make them again: yieldcast backtest ... --json FILE",
            )
        if row["crop"] == crop and row["n"]:
            groups[int(row["lead_months"]), str(row["model"])].append(row)
    order = sorted(groups, key=lambda key: (-key[0], key[1] != FORECAST_MODEL, key[1]))
    return [_row(lead, model, groups[lead, model]) for lead, model in order]


def _row(lead: int, model: str, rows: list[Mapping[str, Any]]) -> dict[str, Any]:
    squares = _mean(rows, "rmse_kg_ha", power=2)
    covered = [
        (float(row["coverage90"]), int(row["harvest_year"])) for row in rows if _known(row, "coverage90")
    ]
    worst, year = min(covered, default=(None, None))
    return {
        "model": model, "lead_months": lead,
        "harvest_years": sorted({int(row["harvest_year"]) for row in rows}),
        "n": sum(int(row["n"]) for row in rows),
        "rmse_kg_ha": None if squares is None else math.sqrt(squares),
        "crps_kg_ha": _mean(rows, "crps_kg_ha"), "coverage90": _mean(rows, "coverage90"),
        "worst_coverage90": worst, "worst_year": year,
    }  # fmt: skip


def _known(row: Mapping[str, Any], score: str) -> bool:
    value = row.get(score)
    return value is not None and math.isfinite(value)


def _mean(rows: Sequence[Mapping[str, Any]], score: str, power: int = 1) -> float | None:
    if not all(_known(row, score) for row in rows):
        return None
    return float(sum(row["n"] * row[score] ** power for row in rows) / sum(row["n"] for row in rows))


def longest_winning_lead(table: Sequence[Mapping[str, Any]], score: str) -> dict[str, Any]:
    """The longest lead from which the forecast has the lower score at every lead down to the shortest.

    Args:
        table: of `pooled`.
        score: rmse_kg_ha or crps_kg_ha.

    Returns:
        lead_months, or None where it loses at the shortest lead or nothing can be compared; `best`: per lead
        the best reference line and whether the forecast won. Only lines scored in the same harvest years
        are compared, and by CRPS only those with uncertainty of their own: the score of a line without any
        is its absolute error, which every spread improves on.
    """
    by_lead: dict[int, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for row in table:
        by_lead[row["lead_months"]][row["model"]] = row
    best: list[dict[str, Any]] = []
    from_lead, unbroken = None, True
    for lead, models in sorted(by_lead.items()):
        ours = models.get(FORECAST_MODEL)
        rivals = [
            r for name, r in models.items() if ours and name != FORECAST_MODEL and _comparable(r, ours, score)
        ]
        if ours is None or ours[score] is None or not rivals:
            unbroken = False
            continue
        rival = min(rivals, key=lambda row: float(row[score]))
        won = bool(ours[score] < rival[score])
        best.append({"lead_months": lead, "model": rival["model"], "value": rival[score], "won": won})
        unbroken = unbroken and won
        from_lead = lead if unbroken else from_lead
    return {"lead_months": from_lead, "best": best}


def _comparable(row: Mapping[str, Any], ours: Mapping[str, Any], score: str) -> bool:
    fair = score != "crps_kg_ha" or row["coverage90"] is not None
    return fair and row["harvest_years"] == ours["harvest_years"] and row[score] is not None


FORECAST_MODEL, CLIMATOLOGY = "forecast", "climatology"


@dataclass(frozen=True)
class Skill:
    """One line of a backtest; its fields are the keys of `yieldcast backtest --json`.

    Args:
        crop, harvest_year, lead_months, model: what was forecast, when, and with what.
        n: rows scored.
        r, mape_pct, rmse_kg_ha: of the point forecast (the mean), see `evaluation.Score`.
        crps_kg_ha: continuous ranked probability score; of a line without uncertainty its absolute error.
        coverage90: share of the rows within the 90 % interval, None without one.
    """

    crop: str
    harvest_year: int
    lead_months: int
    model: str
    n: int
    r: float | None
    mape_pct: float | None
    rmse_kg_ha: float
    crps_kg_ha: float
    coverage90: float | None


def skill(
    about: tuple[str, int, int], model: str, point: Floats, target: Floats, quantiles: Floats | None = None
) -> Skill:
    """Score one model on some rows.

    Args:
        about: crop, harvest year, lead in months.
        model: its name.
        point: (row,) kg/ha.
        target: (row,) kg/ha, 0 or more.
        quantiles: (row, quantile) kg/ha; None for a line without uncertainty.
    """
    scored = score(point, target)
    if quantiles is None:
        loss, coverage = float(np.abs(point - target).mean()), None
    else:
        loss, coverage = float(crps(quantiles, target).mean()), float(covered_90(quantiles, target).mean())
    return Skill(
        *about,
        model,
        scored.n,
        _strict(scored.r),
        _strict(scored.mape_pct),
        scored.rmse_kg_ha,
        loss,
        coverage,
    )


def climatology(window: Floats, states: npt.NDArray[np.str_], least: int = 5) -> Floats:
    """(row, quantile) each place's own public yields as a forecast; the reference with uncertainty.

    Places with fewer than `least` values take all values of their state, then of all places.

    Args:
        window: (row, year) kg/ha, NaN = no value; the public years, at most ten.
        states: (row,).
        least: values that a distribution of one's own takes.
    """
    result = np.empty((len(window), len(QUANTILES)))
    result[:] = np.nanquantile(window, QUANTILES)
    for state in np.unique(states):
        mine = states == state
        if np.isfinite(window[mine]).sum() >= least:
            result[mine] = np.nanquantile(window[mine], QUANTILES)
    own = np.isfinite(window).sum(axis=1) >= least
    if own.any():
        result[own] = np.nanquantile(window[own], QUANTILES, axis=1).T
    return result


def _strict(value: float) -> float | None:
    return value if math.isfinite(value) else None
