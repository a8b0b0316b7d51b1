"""Which rows train a member, which decide when its training stops, and which harvest years may be tested."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from yieldcast.config import TrainingSettings
from yieldcast.errors import ConfigError, LeakageError, MissingDataError
from yieldcast.features.samples import SampleSet


def check_order(train_years: Iterable[int], test_years: Iterable[int]) -> None:
    """Raise an error unless all test years are later than all training years.

    Raises:
        MissingDataError: no training or no test years.
        LeakageError: training years are not before the first test year; the message lists them.
    """
    train, test = sorted({int(y) for y in train_years}), sorted({int(y) for y in test_years})
    if not train or not test:
        raise MissingDataError(f"expected training and test years, received training {train}, test {test}")
    late = [year for year in train if year >= test[0]]
    if late:
        raise LeakageError(
            f"expected test years later than every training year, received test {test}, training {train}: "
            f"training years {late} are not before the first test year",
            f"Train on years before {test[0]}, or test on years after {train[-1]}.",
        )


def split_validation(
    samples: SampleSet, settings: TrainingSettings, seed: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Positions of the rows to fit and of the validation rows, which decide when to stop; both ascending.

    Args:
        samples: all training rows.
        settings: `validation` is "random" (a share of the rows, drawn by `seed`), "last_year" or "each_year".
        seed: seed of the member.

    Raises:
        ConfigError: no rows to fit or no validation rows, because there is one year or very few rows.
    """
    if settings.validation == "last_year":
        held = samples.harvest_year == samples.harvest_year.max()
    elif settings.validation == "each_year":
        held = samples.harvest_year == held_year(samples.harvest_year, seed)
    else:
        order = np.random.default_rng(seed).permutation(len(samples))
        held = np.zeros(len(samples), dtype=bool)
        held[order[: round(settings.validation_share * len(samples))]] = True
    if held.all() or not held.any():
        raise ConfigError(
            f"training.validation = {settings.validation!r} leaves {int(held.sum())} of {len(samples)} "
            "rows for validation",
            "Use more training years, or another training.validation or validation_share.",
        )
    return np.flatnonzero(~held), np.flatnonzero(held)


def held_year(years: npt.ArrayLike, seed: int) -> int:
    """The harvest year that a member leaves out with `validation = "each_year"`: seeds 1, 2, ... in turn.

    Args:
        years: harvest years of the training rows, in any order, repeated or not.
        seed: seed of the member.
    """
    different = np.unique(years)
    return int(different[(seed - 1) % len(different)])
