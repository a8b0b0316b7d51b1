"""A study of crop types: every learner on the same splits, in domain and out of domain, by one protocol.

In domain means random folds of whole places (Butsko et al., Section 3.4, "Random"). Out of domain are groups,
blocks or seasons that were not trained on. Both are scored on the same rows, so that their difference, the
gap, is the price of the transfer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import ConfigError, SchemaError
from yieldcast.transfer.crop_types import splits
from yieldcast.transfer.crop_types.learners import BOTH, CATBOOST, RUN, TREES, CropTypeLearner
from yieldcast.transfer.crop_types.rows import CropTypeRows, HoldOut, held_out, season_order, sets_of
from yieldcast.transfer.crop_types.splits import FewLabels
from yieldcast.transfer.fits import Fit, KeptFits
from yieldcast.transfer.generalise import DRAWS, KS, Protocol, Training
from yieldcast.transfer.splits import Split, geographic_splits

Floats = NDArray[np.float64]
Progress = Callable[[int, int], None]
BLOCK_deg = 1.0


@dataclass(frozen=True)
class CropTypeStudy:
    """What to compare.

    Args:
        rows: all rows.
        protocol: how they are split.
        learners: see `learners.learners`.
        hold_out: what is held out together by the protocols geographic and few-shot.
        block_deg: side of blocks: of those held out, and of those that intervals draw.
        test_seasons: of the protocol temporal; empty: the latest.
        few: local labels of the protocol few-shot.
        seed: of folds and sets.
    """

    rows: CropTypeRows
    protocol: Protocol
    learners: tuple[CropTypeLearner, ...]
    hold_out: HoldOut = "group"
    block_deg: float = BLOCK_deg
    test_seasons: tuple[str, ...] = ()
    few: FewLabels = field(default_factory=lambda: FewLabels(KS, DRAWS, "class"))
    seed: int = 1

    def __post_init__(self) -> None:
        if self.hold_out == "none" and self.protocol == "geographic":
            raise ConfigError(
                "--hold-out none: nothing would be out of domain", "It is for --protocol few-shot only."
            )
        if self.protocol == "few-shot" and not any(self.few.ks):
            raise ConfigError("--k: expected a number of labels above 0", "For example --k 0,10,100.")
        if not self.learners:
            raise ConfigError("expected a model to test, received none", "Choose others with --models.")

    @cached_property
    def domain(self) -> NDArray[np.str_]:
        """(row,) what scores are grouped by: what is held out, the season, the group where there is one."""
        if self.protocol == "temporal":
            return self.rows.texts("season")
        if self.protocol == "random":
            return self.rows.texts("group")
        return held_out(self.rows, self.hold_out, self.block_deg)

    def folds(self) -> list[Split]:
        """The random folds: in domain, whatever the protocol.

        Raises:
            SchemaError: a class is missing in the training of a fold.
        """
        found = splits.place_folds(self.rows, self.seed)
        splits.check_classes(self.rows, found, "random folds")
        return found

    def splits(self) -> list[Split]:
        """The splits out of domain; none by the protocol random.

        Raises:
            SchemaError, ConfigError: no split is possible, or a class is missing in the training of one.
        """
        rows, found = self.rows, list[Split]()
        if self.protocol == "temporal":
            found = self._forward()
        elif self.protocol == "geographic":
            keys = rows.location[:, None]
            if self.hold_out == "block":
                keys = np.column_stack([rows.location, rows.block(self.block_deg)])
            sets = sets_of(self.domain, rows.truth, self.seed)
            found = geographic_splits(sets, keys, np.full(len(rows), True))
        elif self.protocol == "few-shot":
            sets = sets_of(self.domain, rows.truth, self.seed)
            found = splits.few_label_splits(rows, self.domain, sets, self.few)
        splits.check_classes(rows, [one for one in found if not one.k], self.protocol)
        return found

    def check(self) -> None:
        """Refuse what cannot be split, before the long work starts; errors as `folds` and `splits`."""
        self.folds()
        self.splits()

    def _forward(self) -> list[Split]:
        """A split for each test season, trained on the seasons before it."""
        seasons = self.rows.texts("season")
        order = season_order(seasons)
        tested = self.test_seasons or (str(seasons[order.argmax()]),)
        found = []
        for name in tested:
            if name not in seasons:
                known = ", ".join(np.unique(seasons).tolist())
                raise ConfigError(f"--test-years: no series of the season {name}", f"There are {known}.")
            rank = order[seasons == name][0]
            train, test = np.flatnonzero(order < rank), np.flatnonzero(seasons == name)
            if not train.size:
                raise SchemaError(
                    f"expected a season before {name} to train on, received none", "Test a later season."
                )
            found.append(Split(name, train, test, np.empty(0, dtype=np.intp)))
        return found

    @property
    def reference(self) -> str | None:
        """The model that others are compared with: trees on the raw series, where they are tested."""
        names = [one.name for one in self.learners]
        return next((name for name in (TREES, CATBOOST) if name in names), None)


@dataclass(frozen=True)
class Predicted:
    """Probabilities of one model, trained in one way, of all rows that were tested so.

    Args:
        training: see `generalise.Training`.
        k, draw: of the splits.
        model: name.
        values: (row, class); NaN in rows that were not tested.
        train_rows: how many rows it was trained on, (row,); 0 where it was not tested.
    """

    training: Training
    k: int | None
    draw: int
    model: str
    values: Floats
    train_rows: NDArray[np.int64]

    @property
    def tested(self) -> NDArray[np.bool_]:
        """(row,) whether the row was tested."""
        return np.asarray(np.isfinite(self.values).all(axis=1))


def predictions(
    study: CropTypeStudy, folder: Path, progress: Progress = lambda done, total: None
) -> list[Predicted]:
    """Fit every learner on every split, or take what the folder keeps.

    Args:
        study: what to compare.
        folder: keeps the predictions of each fit.
        progress: called with the number of fits done and of all fits.

    Raises:
        YieldcastError: no split is possible, or a learner cannot be trained.
    """
    wanted, kept = _wanted(study), KeptFits(folder, study.rows)
    found: dict[tuple[Training, int | None, int, str], Predicted] = {}
    done, total = 0, len(wanted) * len(study.learners)
    count, classes = len(study.rows), len(study.rows.classes)
    for learner in study.learners:
        for training, split in wanted:
            fit = Fit(learner, split, alone=training == "k_alone")
            values = kept.predictions(fit)
            key = (training, split.k, split.draw, learner.name)
            if key not in found:
                empty = np.full((count, classes), np.nan), np.zeros(count, dtype=np.int64)
                found[key] = Predicted(*key, *empty)
            if values is not None:
                found[key].values[split.test] = values
                found[key].train_rows[split.test] = sum(map(len, fit.parts))
            done += 1
            progress(done, total)
    return [*found.values(), *_means(study, list(found.values()))]


def _wanted(study: CropTypeStudy) -> list[tuple[Training, Split]]:
    """All splits, and how each trains; in domain only rows that are tested out of domain too."""
    outside, folds = study.splits(), study.folds()
    if outside:
        tested = np.unique(np.concatenate([one.test for one in outside]))
        folds = [replace(one, test=own) for one in folds if (own := one.test[np.isin(one.test, tested)]).size]
    wanted: list[tuple[Training, Split]] = [("in_domain", one) for one in folds]
    for split in outside:
        if not split.k:
            wanted.append(("out_of_domain", split))
            continue
        if split.train.size:
            wanted.append(("out_plus_k", split))
        wanted.append(("k_alone", split))
    return wanted


def _means(study: CropTypeStudy, found: Sequence[Predicted]) -> list[Predicted]:
    """The mean of the probabilities of the run's encoder and of trees: no fit of its own."""
    trees = {(one.training, one.k, one.draw): one for one in found if one.model == study.reference}
    made = []
    for one in found:
        other = trees.get((one.training, one.k, one.draw))
        if one.model == RUN and other is not None:
            made.append(replace(one, model=BOTH, values=(one.values + other.values) / 2))
    return made
