"""Skill of a run at the lead of one forecast, from its own hindcasts, beside the baselines of the same day.

It costs nothing once the forecast is made. Only seasons whose yields were public on the date are scored.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from yieldcast.evaluation import skill
from yieldcast.features.yield_history import TREND_YEARS, PlaceYears, states_of
from yieldcast.forecasting.forecast import ForecastPlan
from yieldcast.forecasting.season_hindcasts import SeasonHindcast
from yieldcast.publication import same_day

_BASELINES = ("last_public", "mean_5y_public", "trend_10y_public")


def hindcast_skill(plan: ForecastPlan) -> list[dict[str, Any]]:
    """Rows as those of ``yieldcast backtest --json`` (`skill.Skill`) with the protocol "hindcasts".

    Args:
        plan: whose forecast was made.

    Returns:
        a row for each past season and model; empty where there are too few seasons.
    """
    rows: list[dict[str, Any]] = []
    for one in plan.season_hindcasts:
        if one.harvest_year <= plan.newest:
            rows += _season(plan, one)
    return rows


def _season(plan: ForecastPlan, one: SeasonHindcast) -> list[dict[str, Any]]:
    history, states = plan.history, states_of(plan.tables.static)
    day = same_day(plan.as_of, one.harvest_year - plan.harvest_year)
    lag = max(one.harvest_year - plan.publication.last_public_harvest_year(day), 1)
    state = np.array([states.get(int(code), "") for code in one.municipality])
    years = np.full(len(one.municipality), one.harvest_year, dtype=np.int16)
    placed = history.rows(PlaceYears(one.municipality, state, years), lag)
    naive, _ = history.naive(placed, np.full(len(years), np.nan))
    kept = np.isfinite(naive).all(axis=0) & np.isfinite(one.mean)
    if not kept.any():
        return []
    window = history.window(history.own, placed.municipality, placed.last_year, TREND_YEARS)[kept]
    about, target = (plan.run.identity.crop, one.harvest_year, plan.lead_months), one.target[kept]
    scores = [
        skill.skill(about, skill.FORECAST_MODEL, one.mean[kept], target, one.quantiles[kept]),
        *(
            skill.skill(about, name, values[kept], target)
            for name, values in zip(_BASELINES, naive, strict=True)
        ),
    ]
    if np.isfinite(window).any():
        spread = skill.climatology(window, state[kept])
        middle = np.asarray(spread.mean(axis=1))
        scores.append(skill.skill(about, skill.CLIMATOLOGY, middle, target, spread))
    return [{**asdict(one), "protocol": skill.HINDCASTS} for one in scores]
