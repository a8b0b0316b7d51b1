"""The dual-path network as a learner: trained outside, then trained further on local rows."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.config import Settings
from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.features.samples import SampleSet
from yieldcast.training.run_directory import Identity, Run
from yieldcast.transfer.learners import Predict
from yieldcast.transfer.rows import TransferRows

FOLDER = "networks"  # of a study
LEAST_LOCAL, LEAST_HELD = 5, 2  # local rows to train further on; validation rows of them


class NetworkLearner:
    """Members of the dual-path network; their mean is the prediction.

    With local rows the members trained outside are trained further on these (`training.fine_tuning`). Fewer
    than five, or local rows that nothing can be learnt from (one place, equal yields), leave them as they
    are.

    Args:
        about: crop, calendar and whether the data are synthetic.
        settings: of network and training.
        seeds: of the members.
        folder: of the study; keeps the runs trained outside.
    """

    name = "network"

    def __init__(self, about: TransferRows, settings: Settings, seeds: Sequence[int], folder: Path) -> None:
        self._about, self._settings, self._seeds = about, settings, tuple(seeds)
        self._folder = folder / FOLDER

    @property
    def mark(self) -> str:
        """See `Learner`."""
        sections = {"network": self._settings.network, "training": self._settings.training}
        settings = {name: section.model_dump(mode="json") for name, section in sections.items()}
        return f"network 1 {json.dumps(settings, sort_keys=True)} {self._seeds}"

    def fit(self, rows: SampleSet, local: SampleSet | None = None) -> Predict:
        """See `Learner`; raises as `trainer.train`."""
        run = self._train(self._folder / rows.fingerprint()[:16], rows)
        if local is None or len(local) < LEAST_LOCAL:
            return _predict(_members(run))
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            try:
                tuned = self._train(Path(folder) / "run", local, run)
            except (MissingDataError, SchemaError):
                return _predict(_members(run))
            return _predict(_members(tuned))

    def _train(self, path: Path, rows: SampleSet, source: Run | None = None) -> Run:
        from yieldcast.training import fine_tuning, trainer
        from yieldcast.training.devices import choose_devices

        trainer.check_trainable(rows)
        about = self._about
        identity = Identity(
            about.crop, tuple(np.unique(rows.harvest_year).tolist()), rows.dynamic.shape[1], len(rows),
            rows.dynamic_names, rows.static_names,
            {"calendar": about.calendar.fingerprint(), "rows": rows.fingerprint()}, about.synthetic,
            fine_tuning.origin_of(source, ()) if source else None,
        )  # fmt: skip
        run = Run.start(path, identity, _for_few(self._settings, len(rows)), about.calendar)
        start = fine_tuning.starts(source, about.crop, ()) if source else None
        trainer.train(rows, run, self._seeds, choose_devices("auto"), start=start)
        return run


def _for_few(settings: Settings, rows: int) -> Settings:
    """Settings in which at least two of few rows decide when training stops."""
    share = settings.training.validation_share
    least = min(LEAST_HELD / rows, 0.5)
    if share >= least:
        return settings
    training = settings.training.model_copy(update={"validation_share": least})
    return settings.model_copy(update={"training": training})


def _members(run: Run) -> list[Any]:
    return [run.load_member(seed) for seed in run.seeds()]


def _predict(members: Sequence[Any]) -> Predict:
    from yieldcast.models.dual_path import predict

    def mean(rows: SampleSet) -> NDArray[np.float64]:
        found = [predict(member, rows) for member in members]
        return np.asarray(np.maximum(np.mean(found, axis=0), 0.0))

    return mean
