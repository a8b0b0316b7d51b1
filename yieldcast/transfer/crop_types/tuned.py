"""The run's classifier where encoder and head are trained together: a training of its own for each split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from yieldcast.crop_types.classifier import CropTypeSettings
from yieldcast.encoders.files import weights_mark
from yieldcast.errors import ConfigError
from yieldcast.transfer.crop_types.rows import CropTypeRows

if TYPE_CHECKING:
    from yieldcast.crop_types.fine_tuning import TunedLearner
    from yieldcast.encoders.embedding import Encoder

Floats = NDArray[np.float64]
# Names in tables and files by the mode of the run, as in Butsko et al., Table 1.
TUNED = {"finetune": "fine-tuned", "ssl+finetune": "SSL + fine-tuned", "scratch": "from scratch"}


@dataclass(frozen=True)
class NetworkLearner:
    """Encoder and head trained together, from the encoder as it was before any of the labels.

    Training without labels starts with a new decoder, and sees the series that are trained on only.

    Args:
        rows: all rows of the study.
        settings: of the run, with another mode than "frozen".
        encoder: where it starts; None for random weights, with the mode "scratch".
    """

    rows: CropTypeRows
    settings: CropTypeSettings
    encoder: Encoder | None

    @property
    def name(self) -> str:
        """See `transfer.learners.Learner`."""
        return TUNED[self.settings.mode]

    @property
    def mark(self) -> str:
        """See `transfer.learners.Learner`."""
        weights = "" if self.encoder is None else weights_mark(self.encoder)
        return f"network 1 {sorted(asdict(self.settings).items())} {weights}"

    def prepare(self) -> None:
        """Nothing to do before the first fit."""

    @cached_property
    def _learner(self) -> TunedLearner:
        from yieldcast.crop_types.fine_tuning import TunedLearner, new_encoder
        from yieldcast.encoders.presto import PrestoEncoder

        encoder = self.encoder or new_encoder(self.rows.series.sizes["step"])
        if not isinstance(encoder, PrestoEncoder):
            raise ConfigError(
                f"--mode {self.settings.mode}: expected an encoder of Presto, received a function",
                "Encoders of your own are used as they are: --mode frozen.",
            )
        rows = self.rows
        return TunedLearner(rows.series, rows.truth, len(rows.classes), self.settings, encoder)

    def fit(self, rows: CropTypeRows, local: CropTypeRows | None = None) -> Callable[[CropTypeRows], Floats]:
        """See `transfer.learners.Learner`; predictions are probabilities (row, class)."""
        parts = [rows] if local is None else [rows, local]
        at = np.concatenate([one.positions for one in parts]).astype(np.int64)
        learner, seeds = self._learner, range(self.settings.seeds)
        members = [learner.fit(at, seed, lambda done, total: None) for seed in seeds]

        def predict(wanted: CropTypeRows) -> Floats:
            made = [learner.probabilities(one, wanted.positions.astype(np.int64)) for one in members]
            return np.asarray(np.mean(made, axis=0))

        return predict
