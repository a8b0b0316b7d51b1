"""Areas of classes corrected for the errors of a map, with their standard errors.

Equations of Olofsson, Foody, Herold, Stehman, Woodcock and Wulder (2014), "Good practices for estimating area
and assessing accuracy of land change", Remote Sensing of Environment 148, 42-57
(doi:10.1016/j.rse.2014.02.015). Reference points are a random sample within each mapped class; points chosen
otherwise, such as left-out training samples, give an estimate that is only as good as they resemble one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from yieldcast.errors import SchemaError

Floats = NDArray[np.float64]
Z_95 = 1.959963984540054  # of the normal distribution, two-sided 95 %
FEWEST = 2  # reference points of a mapped class: the variance divides by their number minus 1


class AreaEstimate(NamedTuple):
    """Areas and accuracies; every array is (class), and NaN where a class has neither area nor points.

    Args:
        mapped_ha: area of the pixels of each class.
        area_ha, area_error_ha: estimate and its standard error, equations 9 to 11.
        users, users_error: user's accuracy and its standard error, equations 2 and 6.
        producers, producers_error: producer's accuracy and its standard error, equations 3 and 7.
        overall, overall_error: overall accuracy and its standard error, equations 1 and 5.
        points: number of reference points.
    """

    mapped_ha: Floats
    area_ha: Floats
    area_error_ha: Floats
    users: Floats
    users_error: Floats
    producers: Floats
    producers_error: Floats
    overall: float
    overall_error: float
    points: int


def estimate(counts: ArrayLike, mapped_ha: ArrayLike, classes: Sequence[str] = ()) -> AreaEstimate:
    """Areas with their errors from a table of reference points.

    Args:
        counts: (mapped class, true class) number of reference points.
        mapped_ha: (mapped class) area in the map.
        classes: names, for the error.

    Raises:
        SchemaError: a mapped class with area and fewer than two reference points, see `too_few`.
    """
    n, mapped = np.asarray(counts, np.float64), np.asarray(mapped_ha, np.float64)
    if lacking := too_few(n, mapped):
        held = ", ".join(str(classes[i]) if classes else str(i + 1) for i in lacking)
        raise SchemaError(
            f"expected {FEWEST} or more reference points in every mapped class, received fewer in: {held}",
            "Add points that the map shows as these classes.",
        )
    weight = mapped / mapped.sum()
    share = _shares(n)  # n_ij / n_i.
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.where(mapped[:, None] > 0, share * (1 - share) / (n.sum(axis=1) - 1)[:, None], 0.0)
        proportions = weight[:, None] * share
        true = proportions.sum(axis=0)
        users = np.where(mapped > 0, np.diag(share), np.nan)
        producers = np.diag(proportions) / true
        users_variance = np.where(mapped > 0, np.diag(spread), np.nan)
        others = (weight[:, None] ** 2 * spread).sum(axis=0) - weight**2 * np.diag(spread)
        own = weight**2 * (1 - producers) ** 2 * np.diag(spread)
        producers_variance = (own + producers**2 * others) / true**2
    return AreaEstimate(
        mapped, mapped.sum() * true, mapped.sum() * np.sqrt((weight[:, None] ** 2 * spread).sum(axis=0)),
        users, np.sqrt(users_variance), producers, np.sqrt(producers_variance),
        float(np.diag(proportions).sum()), float(np.sqrt((weight**2 * np.diag(spread)).sum())), int(n.sum()),
    )  # fmt: skip


def too_few(counts: ArrayLike, mapped_ha: ArrayLike) -> list[int]:
    """Positions of classes with mapped area and fewer than `FEWEST` reference points."""
    points = np.asarray(counts).sum(axis=1)
    return np.flatnonzero((np.asarray(mapped_ha) > 0) & (points < FEWEST)).tolist()


class CropShares(NamedTuple):
    """What reference points tell of the pixels of a crop, and of all others.

    Args:
        crop, other: share of them that is truly the crop.
        crop_variance, other_variance: of these shares.
    """

    crop: float
    other: float
    crop_variance: float
    other_variance: float


UNKNOWN = CropShares(1.0, 0.0, float("nan"), float("nan"))


def crop_shares(counts: ArrayLike, mapped_ha: ArrayLike, crop: ArrayLike) -> CropShares:
    """Two strata, crop and other, with the area and the variance that all classes give together.

    The estimate of the whole map, mapped crop area times `crop` plus other area times `other`, equals the sum
    of the crop's classes in `estimate`; so does its variance for a single class.

    Args:
        counts: (mapped class, true class) number of reference points.
        mapped_ha: (mapped class) area in the map.
        crop: (class) True for classes that are the crop.
    """
    n, mapped, chosen = np.asarray(counts, float), np.asarray(mapped_ha, float), np.asarray(crop, bool)
    share = _shares(n)[:, chosen].sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.where(mapped > 0, share * (1 - share) / (n.sum(axis=1) - 1), 0.0)
    found = []
    for stratum, without in ((chosen, 1.0), (~chosen, 0.0)):
        total = mapped[stratum].sum()
        if total > 0:
            mean = float((mapped * share)[stratum].sum() / total)
            found.append((mean, float((mapped**2 * variance)[stratum].sum() / total**2)))
        else:
            found.append((without, 0.0))
    (inside, first), (outside, second) = found
    return CropShares(inside, outside, first, second)


def _shares(counts: Floats) -> Floats:
    """n_ij / n_i., 0 where a class has no points."""
    points = counts.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(counts, points, out=np.zeros_like(counts), where=points > 0))
