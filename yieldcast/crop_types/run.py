"""Run directory of a crop-type classifier: settings, legend, licence of the weights, scores, training inputs.

``crop_type.json`` is written last, so that a directory with it is whole. The heads are not stored but trained
again from ``training.npz`` when the run is opened: seconds, and no file that could run code.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from yieldcast.crop_types.classifier import CropTypeModel, CropTypeSettings, SeriesKind
from yieldcast.crop_types.heads import fit_heads, probabilities
from yieldcast.crop_types.scores import CropTypeScores
from yieldcast.data.files import atomic_text, atomic_write, make_folder
from yieldcast.errors import ConfigError, RunError

if TYPE_CHECKING:
    from yieldcast.encoders.presto import PrestoEncoder

RECORD, TRAINING = "crop_type.json", "training.npz"
_FORMAT = 1
_CHECKED = 20  # samples whose probabilities show that the heads are those of the training
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class CropTypeRun:
    """An opened run.

    Args:
        path: of the directory.
        model: with its heads trained again.
        record: what ``crop_type.json`` holds.
    """

    path: Path
    model: CropTypeModel
    record: dict[str, Any]

    def check_encoder(self, encoder: PrestoEncoder | None) -> None:
        """Refuse other weights than those of the training.

        Raises:
            ConfigError: other weights, or none where there were some.
        """
        wanted = (self.record["encoder"] or {}).get("weights_sha256")
        got = None if encoder is None else weights_mark(encoder)
        if wanted != got:
            raise ConfigError(
                f"{self.path}: expected the encoder of the training ({(wanted or 'none')[:12]}), received "
                f"{(got or 'none')[:12]}",
                "Give the same weights with --encoder.",
            )


def refuse_existing(path: Path) -> None:
    """Refuse a directory that holds a run. ConfigError."""
    if (path / RECORD).exists():
        raise ConfigError(f"{path} holds a run already", "Choose another --out.")


def write_run(path: Path, model: CropTypeModel, about: dict[str, Any]) -> None:
    """Write a run; an earlier directory without a record is completed.

    Args:
        path: of the directory.
        model: trained.
        about: what else is kept: table, legend, encoder, versions.

    Raises:
        MissingDataError: the disk refuses.
    """
    make_folder(path)
    arrays: dict[str, Any] = {
        "inputs": model.inputs, "truth": model.truth,
        "check": probabilities(model.heads, model.inputs[:_CHECKED], len(model.classes)),
    }  # fmt: skip

    def save(temporary: Path) -> None:
        with open(temporary, "wb") as file:
            np.savez_compressed(file, **arrays)

    atomic_write(path / TRAINING, save)
    record = {
        "format": _FORMAT, "settings": asdict(model.settings), "series": asdict(model.kind),
        "classes": list(model.classes), "temperature": model.heat,
        "scores": {name: asdict(scores) for name, scores in model.scores.items()},
        "training_sha256": hashlib.sha256((path / TRAINING).read_bytes()).hexdigest(), **about,
    }  # fmt: skip
    atomic_text(path / RECORD, json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def open_run(path: Path) -> CropTypeRun:
    """A run with its heads.

    Raises:
        RunError: no run, another version, damaged, or heads that come out differently with the packages of
            this machine.
    """
    hint = "Train again with yieldcast crop-type train."
    try:
        record = json.loads((path / RECORD).read_text(encoding="utf-8"))
        if record["format"] != _FORMAT:
            raise RunError(f"{path}: a run of another version of yieldcast", hint)
        content = (path / TRAINING).read_bytes()
        settings = CropTypeSettings(**record["settings"])
        kept = record["series"]
        kind = SeriesKind(kept["step"], tuple(kept["bands"]), tuple(kept["months"]))
        scores = {name: CropTypeScores(**one) for name, one in record["scores"].items()}
        classes, heat = tuple(record["classes"]), float(record["temperature"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path}: not a run of crop-type train: {error}", hint) from None
    if hashlib.sha256(content).hexdigest() != record["training_sha256"]:
        raise RunError(f"{path}: {TRAINING} was changed", hint)
    with np.load(path / TRAINING, allow_pickle=False) as arrays:
        inputs, truth, check = (arrays[name] for name in ("inputs", "truth", "check"))
    heads = fit_heads(settings.head, inputs, truth, settings.seeds)
    if np.abs(probabilities(heads, inputs[:_CHECKED], len(classes)) - check).max() > _TOLERANCE:
        raise RunError(f"{path}: the heads differ from those of the training (other packages?)", hint)
    return CropTypeRun(
        path, CropTypeModel(settings, kind, classes, inputs, truth, scores, heat, heads), record
    )


def weights_mark(encoder: PrestoEncoder) -> str:
    """SHA-256 of an encoder's weights, the same in all of its file formats."""
    digest = hashlib.sha256()
    for weight in encoder.get_weights():
        digest.update(np.ascontiguousarray(weight, dtype="<f4").tobytes())
    return digest.hexdigest()
