"""Pieces of yieldcast/baselines.py, yieldcast/members.py."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from yieldcast.config import TrainingSettings
from yieldcast.errors import ConfigError, LeakageError, MissingDataError
from yieldcast.features.samples import SampleSet


def check_order(train_years: Iterable[int], test_years: Iterable[int]) -> None:
    """Refuse test years that are not all later than every training year.

    Raises:
        MissingDataError: no training or no test years.
        LeakageError: a training year is as late as a test year; names the years.
    """
    train, test = sorted({int(y) for y in train_years}), sorted({int(y) for y in test_years})
    if not train or not test:
        raise MissingDataError(f"expected training and test years, received training {train}, test {test}")
    late = [year for year in train if year >= test[0]]
    if late:
        received = f"received test {test}, training {train}: {late} would tell of the future"
        hint = f"Train on years before {test[0]}, or test on years after {train[-1]}."
        raise LeakageError(f"expected test years later than every training year, {received}", hint)


def split_validation(
    samples: SampleSet, settings: TrainingSettings, seed: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Positions of the rows to fit and of the rows that decide when to stop, both in order.

    Args:
        samples: all training rows.
        settings: `validation` "random" (a share of the rows, drawn by `seed`), "last_year" or "each_year".
        seed: the member's seed.

    Raises:
        ConfigError: "last_year" or "each_year" with a single year, or so few rows that one side is empty.
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
            "Give more training years, or another training.validation or validation_share.",
        )
    return np.flatnonzero(~held), np.flatnonzero(held)


def held_year(years: npt.ArrayLike, seed: int) -> int:
    """The harvest year that a member leaves out with `validation = "each_year"`: the seeds take turns.

    Args:
        years: harvest years of the training rows, repeated or not.
        seed: the member's seed.
    """
    different = np.unique(years)
    return int(different[(seed - 1) % len(different)])
