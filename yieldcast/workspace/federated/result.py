"""What a federation gives: a model file, and its scores by round."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yieldcast.data.files import atomic_text, atomic_write

if TYPE_CHECKING:
    import keras

    from yieldcast.workspace.federated.progress import Progress

MODEL, REPORT = "model.keras", "federation.json"


def kind_of(model: keras.Model) -> str:
    """ "classes", or "value" of a model with one output."""
    return "value" if model.output_shape[-1] == 1 else "classes"


def shown(score: float, kind: str) -> float:
    """A score as readers know it: accuracy, or RMSE in kg/ha."""
    return score if kind == "classes" else score**0.5


def report(progress: Progress, kind: str) -> dict[str, Any]:
    """Settings and scores as JSON.

    Args:
        progress: after its last round.
        kind: "classes" or "value".
    """
    scores = [shown(score, kind) for score in progress.scores]
    return {
        "format": 1,
        "model_sha256": progress.model_sha256,
        "settings": progress.settings.model_dump(),
        "score": "accuracy" if kind == "classes" else "rmse_kg_ha",
        "rounds": [{"round": number, "score": score} for number, score in enumerate(scores, start=1)],
    }


def write_result(folder: Path, model: keras.Model, progress: Progress) -> None:
    """Write the model with the weights of the last round, and the report.

    Args:
        folder: exists.
        model: any with the federation's layers; its weights are replaced.
        progress: after its last round.

    Raises:
        MissingDataError: the disk refuses.
    """
    model.set_weights(progress.weights)
    atomic_write(folder / MODEL, model.save)
    text = json.dumps(report(progress, kind_of(model)), indent=2, allow_nan=False)
    atomic_text(folder / REPORT, text + "\n")
