"""Probes that take something away: everything, the targets, the weather, all but a label of year or place.

What an honest pipeline still shows follows from what was taken away. Limits come from repeated draws, or from
the same measure in the years that teach, not from a number chosen by eye.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from yieldcast.language import sentence
from yieldcast.probing.lines import (
    CONSTANT,
    PLACE_LABEL,
    SHUFFLED_TARGET,
    SHUFFLED_WEATHER,
    YEAR_LABEL,
    Line,
    measured,
    not_tested,
)
from yieldcast.probing.pipeline import Bools, Floats, Pipeline, skill

DRAWS = 7  # of shuffles
LEVEL = 0.99  # by chance, one honest pipeline in a hundred is accused by a probe with draws
TINY = 1e-6  # skill: of rounding
LEAST_YEARS = 4  # that teach, for a spread between years


def upper(values: Floats, centre: float, *, ahead: bool) -> float:
    """One-sided limit of a mean of draws, or of one further value, by Student's t.

    Args:
        values: (draw,), two or more.
        centre: what an honest pipeline shows on average.
        ahead: for a further value instead of the mean.
    """
    from scipy.stats import t

    count = len(values)
    factor = 1.0 + 1.0 / count if ahead else 1.0 / count
    return centre + float(t.ppf(LEVEL, count - 1) * np.std(values, ddof=1) * np.sqrt(factor))


def constant(pipeline: Pipeline, seed: int = 0) -> Line:
    """Without any feature nothing is known: the skill is 0."""
    score = pipeline.with_values(np.zeros_like(pipeline.rows.values)).skill()
    detail = sentence("every feature replaced by 0: nothing is known, skill 0")
    return measured(CONSTANT, score, "at most", TINY, "skill", detail)


def shuffled_target(pipeline: Pipeline, seed: int = 0) -> Line:
    """Taught by yields of other rows, no model knows anything of the test years."""
    rng, train, found = np.random.default_rng(seed), pipeline.train, []
    truth, test = pipeline.truth, pipeline.test
    for _ in range(DRAWS):
        yields = pipeline.rows.yield_kg_ha.copy()
        yields[train] = rng.permutation(yields[train])
        told = pipeline.with_rows(replace(pipeline.rows, yield_kg_ha=yields)).predictions()
        found.append(skill(told[test], truth[test], float(truth[train].mean())))
    draws = np.array(found)
    detail = sentence(
        "yields of the rows that teach exchanged, mean of {n} draws: no skill left on the test years", n=DRAWS
    )
    limit = upper(draws, 0.0, ahead=False)
    return measured(SHUFFLED_TARGET, float(draws.mean()), "at most", limit, "skill", detail)


def shuffled_weather(pipeline: Pipeline, seed: int = 0) -> Line:
    """Weather of other rows tells no more than none; columns of noise say what chance does."""
    columns = np.array([feature.group == "weather" for feature in pipeline.rows.features])
    if not columns.any() or columns.all():
        return not_tested(
            SHUFFLED_WEATHER, sentence("there is no weather among the features, or nothing else")
        )
    rng, test = np.random.default_rng(seed), pipeline.test
    parts = [np.flatnonzero(~test), np.flatnonzero(test)]

    def mean_of(order: Callable[[NDArray[np.intp]], NDArray[np.intp]]) -> Floats:
        found = []
        for _ in range(DRAWS):
            values = pipeline.rows.values.copy()
            for part in parts:
                values[np.ix_(part, columns)] = pipeline.rows.values[:, columns][order(part)]
            found.append(pipeline.with_values(values).skill())
        return np.array(found)

    def columns_apart(part: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        rows = np.stack([rng.permutation(part) for _ in range(int(columns.sum()))], axis=1)
        return rows, np.arange(rows.shape[1])

    shuffled = mean_of(lambda part: rng.permutation(part))
    noise = mean_of(columns_apart)  # type: ignore[arg-type]
    without = pipeline.with_rows(pipeline.rows.choose(~columns)).skill()
    limit = max(without, upper(noise, float(noise.mean()), ahead=True))
    detail = sentence(
        "weather of other rows, mean of {n} draws: no better than without weather (skill {skill}) or with "
        "noise in its place", n=DRAWS, skill=round(without, 3),
    )  # fmt: skip
    return measured(SHUFFLED_WEATHER, float(shuffled.mean()), "at most", limit, "skill", detail)


def year_label(pipeline: Pipeline, seed: int = 0) -> Line:
    """The year alone tells a test year no more than the years before it do."""
    alone = pipeline.only(pipeline.rows.harvest_year.astype(np.float64), "harvest_year")
    train, test, truth = alone.train, alone.test, alone.truth
    tested = np.isin(alone.rows.harvest_year, alone.test_years)
    before = train & ~tested
    score = alone.skill()
    mean = float(truth[train].mean())
    limit = 0.0
    if before.any():
        told = alone.learner.predict(alone.rows, truth, before)
        limit = skill(told[test], truth[test], mean)
    detail = sentence(
        "the harvest year as the only feature: as much as it tells when no row of a test year teaches"
    )
    return measured(YEAR_LABEL, score, "at most", limit + TINY, "skill", detail)


def constant_in_place(pipeline: Pipeline) -> Bools:
    """(feature,) features that never change in a place, and are not the same everywhere."""
    _, place = np.unique(pipeline.rows.municipality, return_inverse=True)
    order = np.argsort(place, kind="stable")
    first = np.searchsorted(place[order], place)  # position of the first row of the same place
    values = np.nan_to_num(pipeline.rows.values, nan=-1e30)
    same = (values == values[order][first]).all(axis=0)
    return np.asarray(same & (values != values[:1]).any(axis=0))


def climatology(pipeline: Pipeline, train: Bools) -> Floats:
    """(row,) mean outcome of the place in the other rows that teach, drawn to that of all by one row's
    weight."""
    _, place = np.unique(pipeline.rows.municipality, return_inverse=True)
    truth = pipeline.truth
    own = np.where(train, truth, 0.0)
    total, count = np.bincount(place, own), np.bincount(place, train)
    mean = truth[train].mean()
    return np.asarray((total[place] - own + mean) / (count[place] - train + 1.0))


def place_label(pipeline: Pipeline, seed: int = 0) -> Line:
    """What never changes in a place tells as much more than climatology as it does in years that teach."""
    rows = pipeline.rows
    years = np.unique(rows.harvest_year[pipeline.train])
    if len(years) < LEAST_YEARS:
        return not_tested(PLACE_LABEL, sentence("it needs {n} harvest years that teach", n=LEAST_YEARS))
    static = constant_in_place(pipeline)
    if static.any():
        alone = pipeline.with_rows(rows.choose(static))
    else:
        alone = pipeline.only(rows.municipality.astype(np.float64), "place")
    truth = pipeline.truth

    def ratio(train: Bools, test: Bools) -> float:
        usual = climatology(pipeline, train)
        told = alone.learner.predict(alone.rows, truth, train)
        # A shift of the whole year is nobody's knowledge: departures within the year are compared.
        errors = [_within(truth - values, rows.harvest_year, test) for values in (told, usual)]
        return errors[0] / max(errors[1], 1e-12)

    teaching = pipeline.train
    past = np.log([
        ratio(teaching & (rows.harvest_year != year), teaching & (rows.harvest_year == year))
        for year in years
    ])  # fmt: skip
    score = ratio(teaching, pipeline.test)
    limit = float(np.exp(-upper(past, -float(past.mean()), ahead=True)))
    detail = sentence(
        "squared error with what never changes in a place, over that of climatology: as in the {n} years "
        "that teach, each left out in turn", n=len(years),
    )  # fmt: skip
    return measured(PLACE_LABEL, score, "at least", limit, "ratio", detail)


def _within(error: Floats, year: NDArray[np.int16], rows: Bools) -> float:
    """Mean square of errors less their mean of the year."""
    parts = [error[rows & (year == one)] for one in np.unique(year[rows])]
    return float(np.mean(np.concatenate([part - part.mean() for part in parts]) ** 2))


ALL = (constant, shuffled_target, shuffled_weather, year_label, place_label)  # in the order of a report
