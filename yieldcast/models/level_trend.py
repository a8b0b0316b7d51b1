"""Expected yield of every municipality from published yields alone: a shrunken level on a robust state trend.

A yield is taken as ``y[i, t] = level[i] + state[s, t] + error``. Levels of municipalities shrink towards
their nearest neighbours in the state, the more the fewer and the more scattered their years are (small-area
estimation: Fay & Herriot 1979, J. Am. Stat. Assoc. 74, 269-277, with municipalities as areas and neighbours
as the regression). State effects are carried forward by a Theil-Sen line (Theil 1950; Sen 1968, J. Am. Stat.
Assoc. 63, 1379-1389), which one or two drought years do not bend.

Nothing later than `last_year` is read from the yields. State estimates of later years (`extension`), where an
agency has published them, lengthen the state's series before municipal yields are out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEVEL_YEARS = 12  # years that levels and state effects are fitted on (our choice on harvest years 2009-2013)
# Half-lives of a year's weight. Levels: flat between 1.5 and 3 years for soybean, best at 1.5 to 2 for corn
# (harvest years 2009-2013). The state series must not follow the newest year, so it uses steadier levels.
LEVEL_HALF_LIFE, SERIES_HALF_LIFE = 2.0, 8.0
RECENT_HALF_LIFE = 2.0  # of a year's weight in the state's recent effect
TREND_WINDOWS = (10, 12)  # years of the two Theil-Sen lines that are averaged
ROUNDS = 4  # of the alternation between state effects and levels; changes are below 1 kg/ha after that
NEIGHBOURS = 40
# Weights of the national in the state's variances, in degrees of freedom and in municipalities (our choice).
NOISE_PRIOR, SPREAD_PRIOR = 50.0, 20.0
LEAST_SPREAD = 0.05  # of the national variance between neighbours: a state is never taken as uniform


@dataclass(frozen=True)
class Places:
    """Where municipalities lie.

    Args:
        state: (municipality,) index of the state, 0 to `states` - 1.
        states: number of states.
        latitude_deg, longitude_deg: (municipality,) centroids.
    """

    state: Ints
    states: int
    latitude_deg: Floats
    longitude_deg: Floats

    def points(self) -> Floats:
        """(municipality, 3) points on the unit sphere: their distance orders places as the great circle
        does."""
        latitude, longitude = np.radians(self.latitude_deg), np.radians(self.longitude_deg)
        across = np.cos(latitude)
        return np.stack((across * np.cos(longitude), across * np.sin(longitude), np.sin(latitude)), axis=1)

    def total(self, values: Floats) -> Floats:
        """Sums over the municipalities of each state: (municipality, ...) to (state, ...)."""
        result = np.zeros((self.states, *values.shape[1:]))
        np.add.at(result, self.state, values)
        return result

    def mean(self, values: Floats) -> Floats:
        """Means of the finite values of each state, (municipality, ...) to (state, ...); NaN without any."""
        known = np.isfinite(values)
        total, count = self.total(np.where(known, values, 0.0)), self.total(known.astype(np.float64))
        return np.where(count > 0, total / np.where(count > 0, count, 1.0), np.nan)


@dataclass(frozen=True)
class Levels:
    """Levels and state effects fitted together.

    Args:
        level: (municipality,) kg/ha above the state's effect; shrunken.
        effects: (state, year) kg/ha, NaN where the state has no yield in a year.
        years: (year,) harvest years of `effects`.
        own_share: (municipality,) weight of its own years in the level, 0 (neighbours only) to 1.
        noise_sd: (municipality,) kg/ha, standard deviation of a year about the level, shrunken to the
        state's.
    """

    level: Floats
    effects: Floats
    years: Ints
    own_share: Floats
    noise_sd: Floats


def fit_levels(
    yields: Floats, first_year: int, last_year: int, places: Places, half_life: float = LEVEL_HALF_LIFE
) -> Levels:
    """Levels of municipalities and effects of state and year, by alternation.

    Args:
        yields: (municipality, year) kg/ha, NaN = no value; column 0 is `first_year`.
        first_year: harvest year of column 0.
        last_year: newest harvest year that may be read.
        places: state and centroid of every municipality.
        half_life: years after which a year counts half in the level.
    """
    final = last_year - first_year
    start = max(final - LEVEL_YEARS + 1, 0)
    window = yields[:, start : final + 1]
    known = np.isfinite(window)
    value = np.where(known, window, 0.0)
    age = np.arange(window.shape[1] - 1, -1, -1)
    weight = known * 0.5 ** (age / half_life)
    own = _Own(value, known, weight)
    prior_of = _NeighbourMean(places, own.has)
    level = np.zeros(len(window))
    for _ in range(ROUNDS):
        effects = places.mean(window - level[:, None])
        raw, noise = own.raw(np.nan_to_num(effects)[places.state], places)
        prior = prior_of(raw, own.count)
        spread = _spread(raw - prior, noise, own, places)[places.state]
        share = np.where(own.has, spread / (spread + noise[places.state] / np.maximum(own.count, 1e-9)), 0.0)
        level = share * raw + (1.0 - share) * prior
    effects = places.mean(window - level[:, None])
    years = np.arange(first_year + start, last_year + 1, dtype=np.int64)
    return Levels(level, effects, years, share, own.scatter(noise, places))


class _Own:
    """What a municipality's own years say."""

    def __init__(self, value: Floats, known: NDArray[np.bool_], weight: Floats) -> None:
        self.value, self.known, self.weight = value, known, weight
        total = weight.sum(axis=1)
        self.has = total > 0
        self.total = np.where(self.has, total, 1.0)
        # Effective number of years of a weighted mean (Kish 1965, Survey Sampling, section 11.7).
        self.count = np.where(self.has, total**2 / np.maximum((weight**2).sum(axis=1), 1e-12), 0.0)
        self.residual = np.zeros_like(value)

    def raw(self, effect: Floats, places: Places) -> tuple[Floats, Floats]:
        """Weighted mean of a place's departures from the state, and the state's noise variance of one
        year."""
        departure = np.where(self.known, self.value - effect, 0.0)
        raw = (self.weight * departure).sum(axis=1) / self.total
        self.residual = np.where(self.known, departure - raw[:, None], 0.0)
        squares = places.total((self.residual**2).sum(axis=1))
        freedom = places.total(np.maximum(self.known.sum(axis=1) - 1.0, 0.0))
        nation = squares.sum() / max(freedom.sum(), 1.0)
        return raw, (squares + NOISE_PRIOR * nation) / (freedom + NOISE_PRIOR)

    def scatter(self, noise: Floats, places: Places) -> Floats:
        """Standard deviation of a place's years about its level, its state's counting as four years."""
        squares = (self.weight * self.residual**2).sum(axis=1) / self.total * self.count
        degrees = np.maximum(self.count - 1.0, 0.0)
        return np.asarray(np.sqrt((squares + 4.0 * noise[places.state]) / (degrees + 4.0)))


class _NeighbourMean:
    """Mean level of the nearest municipalities of the same state that have yields, the place itself left
    out."""

    def __init__(self, places: Places, has: NDArray[np.bool_]) -> None:
        points = places.points()
        self.index = np.zeros((len(points), NEIGHBOURS + 1), dtype=np.int64)
        self.valid = np.zeros(self.index.shape, dtype=bool)
        for state in np.unique(places.state):
            mine = np.flatnonzero(places.state == state)
            others = mine[has[mine]]
            if not len(others):
                continue
            wanted = min(NEIGHBOURS + 1, len(others))
            near = cKDTree(points[others]).query(points[mine], k=wanted)[1].reshape(len(mine), wanted)
            self.index[mine, :wanted] = others[near]
            itself = self.index[mine, :wanted] == mine[:, None]
            self.valid[mine, :wanted] = ~itself
            if wanted > NEIGHBOURS:  # a place without yields is not among the others: its farthest goes
                self.valid[mine[~itself.any(axis=1)], -1] = False

    def __call__(self, raw: Floats, count: Floats) -> Floats:
        weight = count[self.index] * self.valid
        total = weight.sum(axis=1)
        mean: Floats = (weight * raw[self.index]).sum(axis=1) / np.where(total > 0, total, 1.0)
        return mean


def _spread(difference: Floats, noise: Floats, own: _Own, places: Places) -> Floats:
    """(state,) variance of true levels about their neighbours' mean: what is left after the noise."""
    excess = own.count * difference**2 - np.where(own.has, noise[places.state], 0.0)
    excess = np.where(own.has, excess, 0.0)
    nation = max(excess.sum() / max(own.count.sum(), 1e-9), 0.0)
    total, count = places.total(excess), places.total(own.count)
    municipalities = places.total(own.has.astype(np.float64))
    prior = SPREAD_PRIOR * count / np.maximum(municipalities, 1.0)
    pooled = np.where(count > 0, (total + prior * nation) / np.maximum(count + prior, 1e-9), nation)
    return np.asarray(np.maximum(pooled, max(LEAST_SPREAD * nation, 1e-6)))


def theil_sen(years: Ints, values: Floats, at: int) -> float:
    """Robust line through values, read off at a year.

    The slope is the median of all pairwise slopes, the intercept the median of the residuals. Fewer than
    three values give their mean; none gives NaN.

    Args:
        years: (year,) harvest years.
        values: (year,) kg/ha, NaN = no value.
        at: harvest year wanted.
    """
    known = np.isfinite(values)
    years, values = years[known], values[known]
    if len(values) < 3:
        return float(values.mean()) if len(values) else np.nan
    one, other = np.triu_indices(len(years), 1)
    slope = np.median((values[other] - values[one]) / (years[other] - years[one]))
    return float(np.median(values - slope * years) + slope * at)


@dataclass(frozen=True)
class LevelTrend:
    """The forecast from level and trend.

    Args:
        forecast: (municipality,) kg/ha, 0 or more.
        level: (municipality,) kg/ha above the state.
        trend: (state,) the state effect expected for the harvest year, kg/ha.
        recent: (state,) mean state effect of recent years, kg/ha; `trend` where the state has no yields.
        own_share, noise_sd: see `Levels`.
    """

    forecast: Floats
    level: Floats
    trend: Floats
    recent: Floats
    own_share: Floats
    noise_sd: Floats


def level_trend(
    yields: Floats,
    first_year: int,
    last_year: int,
    harvest_year: int,
    places: Places,
    extension: Floats | None = None,
    half_life: float = LEVEL_HALF_LIFE,
) -> LevelTrend:
    """Expected yield of a harvest year from what was public.

    The state series is drawn on by Theil-Sen lines over 10 and 12 years, each with and without the
    extension; the mean of the four is used. A state without yields gets the median of the others.

    Args:
        yields: (municipality, year) kg/ha, NaN = no value; column 0 is `first_year`.
        first_year: harvest year of column 0.
        last_year: newest harvest year whose municipal yields are public.
        harvest_year: the year wanted, later than `last_year`.
        places: state and centroid of every municipality.
        extension: (state, harvest_year - last_year - 1) by how much the state's yield of the years after
            `last_year` is estimated to differ from that of `last_year`, in kg/ha; NaN where nobody says.
        half_life: see `fit_levels`.
    """
    fitted = fit_levels(yields, first_year, last_year, places, half_life)
    steady = fit_levels(yields, first_year, last_year, places, SERIES_HALF_LIFE)
    trend = np.array([
        _expected(steady.years, steady.effects[state], None if extension is None else extension[state],
        harvest_year) for state in range(places.states)
    ])  # fmt: skip
    trend = np.where(np.isfinite(trend), trend, np.nanmedian(trend) if np.isfinite(trend).any() else np.nan)
    forecast = np.maximum(trend[places.state] + fitted.level, 0.0)
    recent = _recent(fitted, last_year, trend)
    return LevelTrend(forecast, fitted.level, trend, recent, fitted.own_share, fitted.noise_sd)


def _recent(levels: Levels, last_year: int, otherwise: Floats) -> Floats:
    """(state,) mean of the state's effects, a year counting half after `RECENT_HALF_LIFE` years."""
    weight = 0.5 ** ((last_year - levels.years) / RECENT_HALF_LIFE) * np.isfinite(levels.effects)
    total = weight.sum(axis=1)
    mean = (weight * np.nan_to_num(levels.effects)).sum(axis=1) / np.where(total > 0, total, 1.0)
    return np.where(total > 0, mean, otherwise)


def _expected(years: Ints, effects: Floats, extension: Floats | None, harvest_year: int) -> float:
    """Mean of the Theil-Sen lines of one state; NaN where it has no value."""
    if not np.isfinite(effects).any():
        return np.nan
    versions = [(years, effects)]
    if extension is not None and len(extension):
        later = years[-1] + 1 + np.arange(len(extension))
        versions.append((np.concatenate((years, later)), np.concatenate((effects, effects[-1] + extension))))
    else:
        versions.append(versions[0])
    found = [
        theil_sen(time[time > time[-1] - width], values[time > time[-1] - width], harvest_year)
        for time, values in versions
        for width in TREND_WINDOWS
    ]
    return float(np.nanmean(found))
