"""Probes of the members of a run as they are: their scaling, and their forecasts under another future."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from yieldcast.features.daily_months import network_tables
from yieldcast.features.feature_rows import FeatureRows
from yieldcast.features.source import build_samples
from yieldcast.features.splits import split_validation
from yieldcast.language import sentence
from yieldcast.probing.changes import largest_change
from yieldcast.probing.lines import MEMBERS_FUTURE, MEMBERS_SCALING, Line, measured, not_tested
from yieldcast.probing.pipeline import Bools, Floats
from yieldcast.probing.rows import Case
from yieldcast.training.run_directory import Run

if TYPE_CHECKING:
    from yieldcast.forecasting.predictor import Ensemble

ROUNDING = 1e-4  # scalings are saved as 32-bit numbers, deviations as their squares


@dataclass(frozen=True)
class Members:
    """The trained members of a run as a learner: their mean, whatever rows teach.

    Args:
        ensemble: the members.
        steps: months of the season window.
        variables: weather variables of a month.
        name: for readers.
    """

    ensemble: Ensemble
    steps: int
    variables: int
    name: str = "network"

    def predict(self, rows: FeatureRows, outcome: Floats, train: Bools) -> Floats:
        """See `pipeline.Learner`; rows that teach are not told."""
        weather = self.steps * self.variables
        values = rows.values[~train].astype(np.float32)
        dynamic = values[:, :weather].reshape(-1, self.steps, self.variables)
        told = np.full(len(rows), np.nan)
        found = self.ensemble.predict(dynamic[None], values[:, weather:])
        told[~train] = found[:, 0].mean(axis=0, dtype=np.float64)
        return told


def members_of(run: Run) -> Members:
    """The members of a run.

    Raises:
        RunError: one cannot be read.
    """
    from yieldcast.forecasting.predictor import Ensemble

    return Members(Ensemble.load(run), run.identity.steps, len(run.identity.dynamic_names))


def scaling_of_members(case: Case, run: Run) -> Line:
    """Every member's scaling is that of the rows that it was fitted on, and of no others."""
    from yieldcast.models.scaling import Scaling, scaling_of_member

    settings, identity = run.settings, run.identity
    if settings.model.build:
        return not_tested(MEMBERS_SCALING, sentence("the run has a network of its own"))
    tables = network_tables(case.store, settings.data)
    rows, _ = build_samples(
        tables, case.calendar, identity.crop, identity.train_years, settings.data,
        static_names=identity.static_names,
    )  # fmt: skip
    if rows.fingerprint() != identity.data["rows"]:
        return not_tested(
            MEMBERS_SCALING, sentence("the store's training rows have changed since the run was trained")
        )
    worst = 0.0
    for seed in run.seeds():
        fit, _ = split_validation(rows, settings.training, seed)
        honest = Scaling.fit(rows.take(fit), settings.training.scale_target, settings.network)
        found = scaling_of_member(run.load_member(seed))
        worst = max(worst, _apart(honest, found))
    detail = sentence(
        "scaling of {n} members and of the rows that each was fitted on: largest relative difference",
        n=len(run.seeds()),
    )
    return measured(MEMBERS_SCALING, worst, "at most", ROUNDING, "share", detail)


def _apart(honest: object, found: object) -> float:
    """Largest difference of two scalings, in parts of the honest spread of each input."""
    mine, other = vars(honest), vars(found)
    worst = 0.0
    for kind, low in (("dynamic", "low"), ("static", "low"), ("static", "mean")):
        spread = np.asarray(mine[f"{kind}_range"])
        for name in (f"{kind}_{low}", f"{kind}_range"):
            apart = np.abs(np.asarray(mine[name]) - np.asarray(other[name]))
            # A large number has its own rounding as well: minimum temperature of 250 K with a spread of 1 K.
            size = np.maximum(spread, np.abs(np.asarray(mine[name])))
            worst = max(worst, float(np.max(apart / size, initial=0.0)))
    target = max(abs(mine["target_sd"]), abs(mine["target_mean"]), 1e-12)
    apart = max(abs(mine[name] - other[name]) for name in ("target_mean", "target_sd"))
    return float(max(worst, apart / target))


def future_of_members(case: Case, members: Members, rows: FeatureRows) -> Line:
    """The members' forecasts of the test years under another future are the same, bit for bit."""
    moved = 0.0
    for year in case.test_years:
        mine = rows.harvest_year == year
        again = case.after_changes(year).rows()
        told = [
            members.predict(
                one.take(one.harvest_year == year), np.empty(0), np.zeros(int(mine.sum()), dtype=bool)
            )
            for one in (rows, again)
        ]
        moved = max(moved, largest_change(*told))
    detail = sentence("every value published after the date changed: largest change of a member mean")
    return measured(MEMBERS_FUTURE, moved, "at most", 0.0, "kg/ha", detail)
