"""Probes of single features: one that tells the outcome, the day of harvest, or what came after the date.

What a column of a user's own table is, nobody can see from its values: it is judged by what it tells. The
reference is what the other features of the same rows tell, or what features tell that passed the test of a
changed future.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from yieldcast.features.feature_rows import Feature
from yieldcast.language import sentence
from yieldcast.probing.lines import HARVEST_PROXY, KNOWS_LATER, ONE_FEATURE, Line, measured, not_tested
from yieldcast.probing.pipeline import Bools, Floats, Pipeline, high_class, low_class
from yieldcast.probing.takeaways import climatology

LEAST_RATIO = 0.5  # see `tells_outcome`
# One honest driver, the rain of the month of flowering, may tell most of the departures from climatology. No
# honest feature leaves less than half of this part of them.
DRIVER_LEAVES = 0.4
ALIKE = 0.9  # rank correlation from which two features are taken as one
CANDIDATES = 6  # features that a learner is taught with alone
# Rank correlation from which a feature is as good as the day of harvest: a tenth of its variance is left.
SAME_DAY = 0.95
SAME_COPY, LEAST_DAYS = 0.9999, 4  # a copy in other units, of so many different days
HARVEST_NAMES = re.compile(
    r"harvest_(day|date|doy|week|month)"
    r"|(day|date|doy|week|days|time)s?_(of|to|until|before|after|since|from)_(the_)?harvest"
    r"|(maturity|harvested)_(on|day|date|doy)|season_(length|days)|colheita"
)
SHUFFLES, LEVEL = 499, 0.99
LEAST_PLACES, LEAST_YEARS = 8, 4


@dataclass(frozen=True)
class Later:
    """What came after the cut-off of each row.

    Args:
        values: (row, target), departures from the usual; NaN where the record ends.
        names: of the targets, for readers.
    """

    values: Floats
    names: tuple[str, ...]


def ranks(values: Floats) -> Floats:
    """(row, column) ranks of the finite values of each column, ties averaged; NaN stays."""
    from scipy.stats import rankdata

    found = np.full(values.shape, np.nan)
    for k in range(values.shape[1]):
        known = np.isfinite(values[:, k])
        found[known, k] = rankdata(values[known, k])
    return found


def correlations(values: Floats, other: Floats) -> Floats:
    """(column,) correlation of each column with a vector over the rows that both know; 0 without spread."""
    found = np.zeros(values.shape[1])
    for k in range(values.shape[1]):
        known = np.isfinite(values[:, k]) & np.isfinite(other)
        if known.sum() > 2 and np.ptp(values[known, k]) > 0 and np.ptp(other[known]) > 0:
            found[k] = np.corrcoef(values[known, k], other[known])[0, 1]
    return found


# --- the outcome ---


def tells_outcome(pipeline: Pipeline, seed: int = 0) -> Line:
    """No single feature leaves less than half of the error that all features unlike it leave together.

    Both are beside climatology, of whose own error the reference is at most 40 %. A value known before the
    harvest that tells so much more than everything else is the outcome itself, in another unit or as a class.
    Yield, lowest and highest third are tried; the worse one counts.
    """
    found = [
        _outcome_ratio(replace(pipeline, outcome=one)) for one in (pipeline.outcome, low_class, high_class)
    ]
    ratio, feature = min(found)
    if not np.isfinite(ratio):
        return not_tested(ONE_FEATURE, sentence("there are fewer than two features, or only one class"))
    detail = sentence(
        "squared error with climatology and {feature} alone, over that with climatology and all features "
        "unlike it, or over 40 % of that of climatology, if that is less", feature=feature,
    )  # fmt: skip
    return measured(ONE_FEATURE, ratio, "at least", LEAST_RATIO, "ratio", detail)


def _outcome_ratio(case: Pipeline) -> tuple[float, str]:
    """Smallest ratio of errors, and its feature; infinite where nothing can be compared."""
    rows, truth, test, train = case.rows, case.truth, case.test, case.train
    if np.ptp(truth[train]) == 0 or np.ptp(truth[test]) == 0:
        return np.inf, ""
    usual = climatology(case, train)
    ranked = ranks(rows.values)
    strength = np.max([
        np.abs(correlations(ranked, ranks(np.where(train, told, np.nan)[:, None])[:, 0]))
        for told in (truth, truth - usual)
    ], axis=0)  # fmt: skip
    best: tuple[float, str] = (np.inf, "")
    most = DRIVER_LEAVES * float(np.mean((usual - truth)[test] ** 2))

    def error(columns: Bools) -> float:
        features = (*rows.choose(columns).features, Feature("climatology", "history", "1", "", ""))
        values = np.column_stack((rows.values[:, columns], usual))
        told = case.learner.predict(replace(rows, values=values, features=features), truth, train)
        return float(np.mean((told - truth)[test] ** 2))

    for k in np.argsort(-strength, kind="stable")[:CANDIDATES]:
        alike = np.abs(correlations(ranked, ranked[:, k])) >= ALIKE
        alike[k] = True
        if alike.all():
            continue
        ratio = error(np.arange(len(alike)) == k) / max(min(error(~alike), most), 1e-12)
        best = min(best, (ratio, rows.names[k]))
    return best


# --- the day of harvest ---


def harvest_proxy(pipeline: Pipeline, harvest: Floats | None) -> Line:
    """No feature is the day of harvest or the length of the season, by its name, as a copy, or within the
    years.

    Args:
        pipeline: under test.
        harvest: (row, way of counting) days to the harvest, from a day of the year or from sowing; None where
            no harvest is known.
    """
    rows = pipeline.rows
    named = [one for one in rows.names if HARVEST_NAMES.search(one.lower())]
    if named:
        detail = sentence("{feature} says by its name that it holds the harvest", feature=named[0])
        return measured(HARVEST_PROXY, 1.0, "at most", SAME_DAY, "r", detail)
    if harvest is None or not np.isfinite(harvest).any():
        return not_tested(
            HARVEST_PROXY, sentence("the store has no harvest dates; no feature is named after the harvest")
        )
    values, days = rows.values.copy(), harvest.copy()
    for year in np.unique(rows.harvest_year):
        mine = rows.harvest_year == year
        values[mine], days[mine] = _centred(rows.values[mine]), _centred(harvest[mine])
    strength = np.zeros(len(rows.features))
    for within, whole in zip(days.T, harvest.T, strict=True):
        found = np.abs(correlations(values, within))
        if len(np.unique(whole[np.isfinite(whole)])) >= LEAST_DAYS:
            copies = np.abs(correlations(rows.values, whole))
            found = np.where(copies >= SAME_COPY, 1.0, found)
        strength = np.maximum(strength, found)
    k = int(np.argmax(strength))
    detail = sentence(
        "{feature} is most like the day of harvest: rank correlation within the years", feature=rows.names[k]
    )
    return measured(HARVEST_PROXY, float(strength[k]), "at most", SAME_DAY, "r", detail)


def _centred(values: Floats) -> Floats:
    """Ranks less their middle, of the rows of one year; 0 in a column without spread."""
    found = ranks(values)
    return np.asarray(found - (np.isfinite(found).sum(axis=0) + 1) / 2)


# --- what came after ---


def tells_later(pipeline: Pipeline, given: tuple[str, ...], later: Later | None, seed: int = 0) -> Line:
    """Features of a user's table tell no more of the weather after the date than chance and persistence do.

    Correlations within harvest years, of departures from the place's own mean, are averaged over the years.
    The largest one is compared with that of years exchanged at random (permutations keep the likeness of
    neighbours), and with that of the weather features that passed the test of a changed future.

    Args:
        pipeline: under test.
        given: names of the features of the table.
        later: what came after the cut-off.
        seed: of the permutations.
    """
    rows = pipeline.rows
    if not given:
        return not_tested(KNOWS_LATER, sentence("no table was given with --features"))
    years = np.unique(rows.harvest_year)
    if later is None or len(years) < LEAST_YEARS or len(np.unique(rows.municipality)) < LEAST_PLACES:
        return not_tested(
            KNOWS_LATER,
            sentence(
                "it needs {years} harvest years, {places} places and weather", years=LEAST_YEARS,
                places=LEAST_PLACES,
            ),
        )  # fmt: skip
    mine = np.isin(rows.names, given)
    own = np.array([feature.group == "weather" for feature in rows.features]) & ~mine
    apart = _between_years(pipeline, rows.values[:, mine], later.values)
    steady = np.arange(len(years))
    found = np.abs(apart[steady, steady].mean(axis=0))
    rng, chance = np.random.default_rng(seed), list[float]()
    while len(chance) < SHUFFLES:
        order = rng.permutation(len(years))
        if not (order == steady).any():
            chance.append(float(np.abs(apart[steady, order].mean(axis=0)).max()))
    persistence = 0.0
    if own.any():
        honest = _between_years(pipeline, rows.values[:, own], later.values)
        persistence = float(np.abs(honest[steady, steady].mean(axis=0)).max())
    k, target = np.unravel_index(int(np.argmax(found)), found.shape)
    detail = sentence(
        "{feature} and {later}: correlation within harvest years, mean of {n} years",
        feature=np.array(rows.names)[mine][k], later=later.names[int(target)], n=len(years),
    )  # fmt: skip
    limit = max(float(np.quantile(chance, LEVEL)), persistence)
    return measured(KNOWS_LATER, float(found.max()), "at most", limit, "r", detail)


def _between_years(pipeline: Pipeline, features: Floats, later: Floats) -> Floats:
    """(year, other year, feature, target) correlations over places, of features of a year and what came
    after in another."""
    rows = pipeline.rows
    places, place = np.unique(rows.municipality, return_inverse=True)
    years, year = np.unique(rows.harvest_year, return_inverse=True)

    def cube(values: Floats, anomalies: bool) -> Floats:
        table = np.full((len(years), len(places), values.shape[1]), np.nan)
        table[year, place] = values
        if anomalies:
            known = np.isfinite(table)
            mean = np.where(known, table, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
            table = table - mean
        known = np.isfinite(table)
        mean = np.where(known, table, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        return np.asarray(table - mean[:, None])

    x, y = cube(features, True), cube(later, False)
    seen_x, seen_y = np.isfinite(x).astype(float), np.isfinite(y).astype(float)
    x, y = np.nan_to_num(x), np.nan_to_num(y)
    product = np.einsum("apf,bpt->abft", x, y, optimize=True)
    square = np.einsum("apf,bpt->abft", x**2, seen_y, optimize=True)
    square = square * np.einsum("apf,bpt->abft", seen_x, y**2, optimize=True)
    tiny = square <= 1e-12 * max(float(square.max(initial=0.0)), 1e-300)
    return np.asarray(np.where(tiny, 0.0, product / np.sqrt(np.where(tiny, 1.0, square))))
