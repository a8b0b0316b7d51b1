"""State of a federation on the server's disk: weights and scores after every finished round."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from yieldcast.data.files import atomic_write
from yieldcast.errors import ConfigError, RunError
from yieldcast.workspace.federated.learner import Weights
from yieldcast.workspace.federated.settings import FederationSettings

FILE = "federation.npz"


@dataclass
class Progress:
    """Settings, model and what the finished rounds gave.

    Args:
        settings: of the federation.
        model_sha256: of the model file.
        weights: after the last finished round; before the first: those of the file.
        scores: by round, from 1 on: accuracy, or mean squared error in (kg/ha)^2, over all holdouts.
        folder: where the state is kept; None: in memory only.
    """

    settings: FederationSettings
    model_sha256: str
    weights: Weights
    scores: list[float] = field(default_factory=list)
    folder: Path | None = None

    @property
    def done(self) -> int:
        """Number of finished rounds."""
        return len(self.scores)

    def add(self, number: int, score: float) -> None:
        """Keep the round that has just finished."""
        if number != self.done + 1:
            raise RunError(f"round {number} ended after round {self.done}", "")
        self.scores.append(score)
        if self.folder is not None:
            atomic_write(self.folder / FILE, lambda path: path.write_bytes(self._bytes()))

    def _bytes(self) -> bytes:
        arrays: dict[str, Any] = {f"weight_{k}": array for k, array in enumerate(self.weights)}
        about = {
            "settings": self.settings.model_dump(),
            "model": self.model_sha256,
            "scores": self.scores,
        }
        file = io.BytesIO()
        np.savez(file, about=np.frombuffer(json.dumps(about).encode(), np.uint8), **arrays)
        return file.getvalue()

    @classmethod
    def start_or_resume(
        cls, folder: Path, settings: FederationSettings, model_sha256: str, weights: Weights
    ) -> Progress:
        """The state kept in `folder`, or a new one.

        Raises:
            ConfigError: the folder holds a federation with other settings or another model.
            RunError: the file in it cannot be read.
        """
        path = folder / FILE
        if not path.exists():
            return cls(settings, model_sha256, weights, folder=folder)
        try:
            with np.load(path, allow_pickle=False) as kept:
                about = json.loads(kept["about"].tobytes())
                arrays = [kept[f"weight_{k}"] for k in range(len(kept.files) - 1)]
            found = cls(
                FederationSettings(**about["settings"]), about["model"], arrays, about["scores"], folder
            )
        except (OSError, ValueError, KeyError) as error:
            raise RunError(f"{path} cannot be read: {error}", "Give another folder with --out.") from error
        if (found.settings, found.model_sha256) != (settings, model_sha256):
            raise ConfigError(
                f"{folder} holds a federation with other settings or another model",
                "Give the same options to continue it, or another folder with --out.",
            )
        return found
