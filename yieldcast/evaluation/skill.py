"""Skill by lead time: scores of a backtest pooled over years, and the leads at which the forecast wins.

The rows are those of ``yieldcast backtest --json``, see `Skill`: the forecast and its baselines by harvest
year and lead time, the number of months before the end of harvest.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from yieldcast.errors import SchemaError
from yieldcast.evaluation.metrics import Floats, covered_90, crps, finite_or_none, score
from yieldcast.forecasting.table import QUANTILES

# Names in the rows; other names are baselines.
FORECAST_MODEL, CLIMATOLOGY, LEVEL_TREND = "forecast", "climatology", "level_trend"
HINDCASTS = "hindcasts"  # protocol of the rows of `evaluation.run_skill`
_NEEDED = {"crop", "harvest_year", "lead_months", "model", "n"}


@dataclass(frozen=True)
class Skill:
    """Scores of one model at one lead time; the fields are the keys of ``yieldcast backtest --json``.

    Args:
        crop, harvest_year, lead_months: season, and months before the end of harvest.
        model: "forecast", "climatology" or the name of a baseline.
        n: number of rows scored.
        r, mape_pct, rmse_kg_ha: of the point forecast (the mean), see `metrics.Score`; None instead of NaN.
        crps_kg_ha: continuous ranked probability score; the mean absolute error of a model without quantiles.
        coverage90: share of the rows within the 90 % interval, 0 to 1; None without quantiles.
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
    """Score one model.

    Args:
        about: crop, harvest year, lead time in months.
        model: its name.
        point: (row,) point forecast in kg/ha.
        target: (row,) harvested yield in kg/ha, 0 or more.
        quantiles: (row, quantile) at `QUANTILES` in kg/ha; None for a model without quantiles.

    Raises:
        MissingDataError, SchemaError: see `metrics.score`.
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
        finite_or_none(scored.r),
        finite_or_none(scored.mape_pct),
        scored.rmse_kg_ha,
        loss,
        coverage,
    )


def climatology(window: Floats, states: npt.NDArray[np.str_], min_values: int = 5) -> Floats:
    """The climatology baseline: quantiles of each municipality's public yields.

    A municipality with fewer than `min_values` values gets the quantiles of all values of its state; if these
    are too few as well, those of all rows.

    Args:
        window: (row, year) public yields in kg/ha, at most ten years; NaN = no value.
        states: (row,) state of each row.
        min_values: values that a municipality, or a state, needs for quantiles of its own.

    Returns:
        (row, quantile) kg/ha at `QUANTILES`.
    """
    result = np.empty((len(window), len(QUANTILES)))
    result[:] = np.nanquantile(window, QUANTILES)
    for state in np.unique(states):
        mine = states == state
        if np.isfinite(window[mine]).sum() >= min_values:
            result[mine] = np.nanquantile(window[mine], QUANTILES)
    own = np.isfinite(window).sum(axis=1) >= min_values
    if own.any():
        result[own] = np.nanquantile(window[own], QUANTILES, axis=1).T
    return result


def public_rows(
    rows: Iterable[Mapping[str, Any]], crop: str, newest: int
) -> tuple[list[Mapping[str, Any]], tuple[int, ...]]:
    """Rows of a crop whose yields were public, and the harvest years that are left out for they were not.

    A reader of a forecast must not learn from its skill what became known after its date.

    Args:
        rows: of ``yieldcast backtest --json``.
        crop: of the forecast.
        newest: newest harvest year whose yields were public on the date of the forecast.

    Raises:
        SchemaError: see `pool_by_lead`.
    """
    mine = [row for row in _checked(rows) if row["crop"] == crop]
    early = [row for row in mine if int(row["harvest_year"]) <= newest]
    return early, tuple(sorted({year for row in mine if (year := int(row["harvest_year"])) > newest}))


def _checked(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows; raise SchemaError where one lacks a column that every score needs."""
    found = list(rows)
    for row in found:
        if lost := sorted(_NEEDED - set(row)):
            raise SchemaError(
                f"skill: expected rows with {sorted(_NEEDED)}, received one without {lost}",
                "Write them again: yieldcast backtest ... --json FILE",
            )
    return found


def pool_by_lead(rows: Iterable[Mapping[str, Any]], crop: str) -> list[dict[str, Any]]:
    """Pool the scores over harvest years.

    Args:
        rows: of ``yieldcast backtest --json``; rows of other crops are left out.
        crop: of the forecast.

    Returns:
        one row per lead and model, the longest lead first and the forecast before the baselines: model,
        lead_months, harvest_years, n, rmse_kg_ha (root of the mean square over all rows of all years),
        crps_kg_ha and coverage90 (means weighted by n), worst_coverage90 (lowest of any year) and its
        worst_year. A score that is missing in any year is None.

    Raises:
        SchemaError: a row without crop, harvest_year, lead_months, model or n, or rows of both protocols.
    """
    rows = list(rows)
    if len(protocols := {protocol_of(row) for row in rows if row.get("crop") == crop}) > 1:
        raise SchemaError(
            f"skill: expected rows of one protocol, received {', '.join(sorted(protocols))}",
            "Leave-year-out scores are not those of forecasts: show them by themselves.",
        )
    groups: dict[tuple[int, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in _checked(rows):
        if row["crop"] == crop and row["n"]:
            groups[int(row["lead_months"]), str(row["model"])].append(row)
    order = sorted(groups, key=lambda key: (-key[0], key[1] != FORECAST_MODEL, key[1]))
    return [_row(lead, model, groups[lead, model]) for lead, model in order]


def protocol_of(row: Mapping[str, Any]) -> str:
    """Protocol of a row of ``yieldcast backtest --json``, which is recorded where it is not "forward"."""
    return str(row.get("protocol", "forward"))


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
    """The longest lead from which the forecast beats the best baseline at every lead down to the shortest.

    Only baselines scored in the same harvest years are compared. By CRPS only those with quantiles are: the
    CRPS of a point forecast is its absolute error, and quantiles of any width around it would improve that.

    Args:
        table: of `pool_by_lead`.
        score: rmse_kg_ha or crps_kg_ha.

    Returns:
        lead_months: the lead; None if the forecast does not win at the shortest lead or nothing can be
        compared. best: for each lead compared, the best baseline (lead_months, model, value) and whether the
        forecast won (a lower score; equal scores are no win).
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


@dataclass(frozen=True)
class WinningLeads:
    """Lead times at which the forecast has a lower score than the best baseline.

    Args:
        score: rmse_kg_ha or crps_kg_ha.
        from_lead: see `longest_winning_lead`; None if the forecast does not win at the shortest lead.
        won: leads at which it wins, ascending.
        compared: number of leads at which there is a baseline to compare with.
    """

    score: str
    from_lead: int | None
    won: tuple[int, ...]
    compared: int


def winning_leads(table: Sequence[Mapping[str, Any]], score: str) -> WinningLeads:
    """The leads at which the forecast beats the best baseline; arguments as `longest_winning_lead`."""
    found = longest_winning_lead(table, score)
    won = tuple(one["lead_months"] for one in found["best"] if one["won"])
    return WinningLeads(score, found["lead_months"], won, len(found["best"]))


@dataclass(frozen=True)
class StateSkill:
    """RMSE of the forecast and of the best baseline in one state.

    Args:
        state: name.
        rows: number of rows scored, the most at any lead.
        rows_in_a_year: the most in any harvest year.
        longest, shortest: RMSE (kg/ha) of forecast and best baseline at the longest and the shortest lead;
            NaN without a baseline to compare with.
        leads: where the forecast has the lower RMSE.
    """

    state: str
    rows: int
    rows_in_a_year: int
    longest: tuple[float, float]
    shortest: tuple[float, float]
    leads: WinningLeads


def skill_by_state(rows: Iterable[Mapping[str, Any]]) -> list[StateSkill]:
    """RMSE of the forecast beside the best baseline for each state, by name.

    Args:
        rows: of one crop by state, with the keys of `Skill` and ``state``.
    """
    by_state: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        by_state[str(row["state"])].append(row)
    return [_state_skill(state, by_state[state]) for state in sorted(by_state)]


def _state_skill(state: str, rows: Sequence[Mapping[str, Any]]) -> StateSkill:
    pooled = pool_by_lead(rows, str(rows[0]["crop"]))
    best = {one["lead_months"]: one["value"] for one in longest_winning_lead(pooled, "rmse_kg_ha")["best"]}
    ours = [row for row in pooled if row["model"] == FORECAST_MODEL]
    longest, shortest = (
        (float(row["rmse_kg_ha"]), float(best.get(row["lead_months"], math.nan)))
        for row in (ours[0], ours[-1])
    )
    return StateSkill(
        state, max(row["n"] for row in ours), max(int(row["n"]) for row in rows), longest, shortest,
        winning_leads(pooled, "rmse_kg_ha"),
    )  # fmt: skip


@dataclass(frozen=True)
class BesideOwnLine:
    """RMSE of the forecast beside its own baseline `level_trend`, from which it departs.

    Args:
        compared: leads at which both were scored in the same harvest years.
        worse: leads at which the forecast has the higher RMSE.
        most_pct: by how much at most, %; 0 where it never has.
    """

    compared: tuple[int, ...]
    worse: tuple[int, ...]
    most_pct: float


def beside_own_line(table: Sequence[Mapping[str, Any]]) -> BesideOwnLine:
    """Whether the forecast is ever worse than level and trend alone.

    Args:
        table: of `pool_by_lead`.
    """
    found = {(row["lead_months"], row["model"]): row for row in table}
    excess = {}
    for lead in sorted({row["lead_months"] for row in table}, reverse=True):
        ours, line = (found.get((lead, model)) for model in (FORECAST_MODEL, LEVEL_TREND))
        if ours and line and ours["harvest_years"] == line["harvest_years"]:
            excess[lead] = 100.0 * (ours["rmse_kg_ha"] / line["rmse_kg_ha"] - 1.0)
    worse = tuple(lead for lead, percent in excess.items() if percent > 0)
    return BesideOwnLine(tuple(excess), worse, max([0.0, *excess.values()]))
