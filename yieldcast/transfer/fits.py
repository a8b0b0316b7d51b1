"""Fits of learners whose predictions are kept in a folder: a repeated call computes only what is missing."""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from yieldcast.data.files import atomic_write, make_folder
from yieldcast.errors import ConfigError, MissingDataError, SchemaError
from yieldcast.training.run_directory import versions
from yieldcast.transfer.learners import Learner
from yieldcast.transfer.splits import Ints, Split

Floats = NDArray[np.float64]
_DEPENDS_ON = ("numpy", "scikit-learn", "tensorflow", "jax")


class Rows(Protocol):
    """Rows to learn from, such as a `SampleSet`: a part of them, and a mark of all that they hold."""

    def take(self, rows: Ints) -> Self:
        """The rows of these positions."""

    def fingerprint(self) -> str:
        """Equal for equal rows."""

    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Fit:
    """One fit of a learner: rows to train on, local rows, rows to predict.

    Args:
        learner: which.
        split: rows to test; also the rows to train on.
        alone: train on the local rows only.
    """

    learner: Learner[Any]
    split: Split
    alone: bool = False

    @property
    def parts(self) -> tuple[Ints, Ints]:
        """Positions of the rows to train on, and of further local rows."""
        if self.alone:
            return self.split.local, np.empty(0, dtype=np.intp)
        return self.split.train, self.split.local


class KeptFits:
    """Predictions in files named by all that they depend on: rows, split, learner, versions.

    Args:
        folder: of the files; made if it does not exist.
        rows: that splits point into.
    """

    def __init__(self, folder: Path, rows: Rows) -> None:
        make_folder(folder)
        self._folder, self._rows = folder, rows
        made = {name: version for name, version in versions().items() if name in _DEPENDS_ON}
        self._mark = f"{rows.fingerprint()} {sorted(made.items())}"

    def file(self, fit: Fit) -> Path:
        """Where the predictions of a fit are kept."""
        digest = hashlib.sha256(f"{self._mark} {fit.learner.mark}".encode())
        for positions in (*fit.parts, fit.split.test):
            digest.update(f" {len(positions)} ".encode() + positions.astype(np.int64).tobytes())
        name = re.sub(r"\W+", "-", fit.learner.name)
        return self._folder / f"{name}-{digest.hexdigest()[:16]}.npy"

    def predictions(self, fit: Fit) -> Floats | None:
        """(test row,) kg/ha, or (test row, class) probabilities; None where local rows are too few to learn.

        Raises:
            YieldcastError: the learner cannot be trained on rows from outside the domain.
        """
        file = self.file(fit)
        kept = _read(file, len(fit.split.test))
        if kept is not None:
            return kept if kept.size or not len(fit.split.test) else None
        train, local = (self._rows.take(positions) for positions in fit.parts)
        try:
            predict = fit.learner.fit(train, local if len(local) else None)
            found = np.asarray(predict(self._rows.take(fit.split.test)), dtype=np.float64)
        except (MissingDataError, SchemaError, ConfigError):
            if not fit.alone:
                raise
            found = np.empty(0)  # kept too: it stays impossible
        atomic_write(file, lambda temporary: _write(temporary, found))
        return found if found.size else None


def _write(path: Path, values: Floats) -> None:
    with path.open("wb") as file:  # np.save adds .npy to the name of a path
        np.save(file, values)


def _read(file: Path, count: int) -> Floats | None:
    try:
        values = np.atleast_1d(np.load(file))
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):  # none yet, or cut off by hand
        return None
    return np.asarray(values, dtype=np.float64) if len(values) == count or values.shape == (0,) else None


def missing(kept: KeptFits, fits: Sequence[Fit]) -> int:
    """How many of the fits are not kept yet."""
    return sum(not kept.file(fit).is_file() for fit in fits)
