"""Probes that change what a pipeline must not read, and look for any difference, bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from yieldcast.features.feature_rows import FeatureRows
from yieldcast.language import sentence
from yieldcast.probing.lines import FUTURE, SCALING, TEST_YIELDS, Line, measured, not_tested
from yieldcast.probing.pipeline import Bools, Floats, Pipeline

FACTOR, SHIFT = 3.0, 11.0  # how features of test rows are changed


def scaling_on_test(pipeline: Pipeline, seed: int = 0) -> Line:
    """Other features of some test rows move no other row: nothing is fitted on the test years."""
    rng, test = np.random.default_rng(seed), np.flatnonzero(pipeline.test)
    changed = rng.permutation(test)[: (len(test) + 1) // 2]
    values = pipeline.rows.values.copy()
    values[changed] = values[changed] * FACTOR + SHIFT
    others = np.ones(len(values), dtype=bool)
    others[changed] = False
    moved = largest_change(pipeline.predictions()[others], pipeline.with_values(values).predictions()[others])
    detail = sentence(
        "features of {n} test rows changed: largest change of the predictions of all other rows",
        n=len(changed),
    )
    return measured(SCALING, moved, "at most", 0.0, "kg/ha", detail)


def yields_of_test(pipeline: Pipeline, seed: int = 0) -> Line:
    """Other yields of the test rows move no prediction."""
    yields = pipeline.rows.yield_kg_ha.copy()
    yields[pipeline.test] = np.random.default_rng(seed).permutation(yields[pipeline.test]) * 0.5 + SHIFT
    other = pipeline.with_rows(replace(pipeline.rows, yield_kg_ha=yields))
    moved = largest_change(pipeline.predictions(), other.predictions())
    detail = sentence("yields of the test years changed: largest change of any prediction")
    return measured(TEST_YIELDS, moved, "at most", 0.0, "kg/ha", detail)


def future(pipeline: Pipeline, rebuild: Callable[[int], FeatureRows] | None) -> Line:
    """Every value published after the date changed: features and predictions are the same.

    Args:
        pipeline: under test.
        rebuild: (test year) -> rows made again from tables in which everything published after the forecast
            of that year is another value; None where the rows come from no tables.
    """
    if rebuild is None:
        return not_tested(FUTURE, sentence("the rows come from no store"))
    before, moved, features = pipeline.predictions(), 0.0, set[str]()
    for year in pipeline.test_years:
        mine, again = pipeline.rows.harvest_year == year, rebuild(year)
        if len(again) != len(pipeline.rows) or again.names != pipeline.rows.names:
            detail = sentence("with another future the rows are other rows: {n} of {all}", n=len(again),
                              all=len(pipeline.rows))  # fmt: skip
            return measured(FUTURE, np.inf, "at most", 0.0, "kg/ha", detail)
        read = mine | pipeline.train
        different = np.asarray(~_same(again.values[read], pipeline.rows.values[read]).all(axis=0))
        features |= {name for name, other in zip(again.names, different, strict=True) if other}
        taught = again.yield_kg_ha[pipeline.train] != pipeline.rows.yield_kg_ha[pipeline.train]
        features |= {"yields that teach"} if taught.any() else set()
        after = pipeline.with_rows(again).predictions()
        moved = max(moved, largest_change(before[mine], after[mine]))
    listed = ", ".join(sorted(features)[:4]) or "–"
    detail = sentence(
        "every value published after the date changed: largest change of a prediction; features that "
        "differ: {n} ({names})", n=len(features), names=listed,
    )  # fmt: skip
    score = max(moved, float(len(features) > 0))
    return measured(FUTURE, score, "at most", 0.0, "kg/ha", detail)


def worst(lines: Sequence[Line]) -> Line:
    """The line with the largest score, of the same probe of several learners."""
    return max(lines, key=lambda line: line.score)


def largest_change(before: Floats, after: Floats) -> float:
    """Largest change; a number that became unknown counts as infinite."""
    if _same(before, after).all():
        return 0.0
    change = np.abs(before - after)
    return float(np.max(np.where(np.isfinite(change), change, np.inf)))


def _same(before: Floats, after: Floats) -> Bools:
    return np.asarray((before == after) | (np.isnan(before) & np.isnan(after)))
