"""Run directory of a crop-type classifier: settings, legend, licence of the weights, scores, training series.

``crop_type.json`` is written last, so that a directory with it is whole. ``series.nc`` holds the labelled
series, from which the run can be split and trained again. Heads on a frozen encoder are not stored but
trained again from their inputs (``training.npz``) when the run is opened: seconds, and no file that could run
code. Networks, encoder and head in one, are the files of ``members``; such a run needs no other encoder.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from yieldcast import model_files
from yieldcast.crop_types.classifier import (
    CropTypeModel,
    CropTypeSettings,
    SeriesKind,
    head_inputs,
    labelled,
)
from yieldcast.crop_types.heads import Floats, fit_heads, probabilities
from yieldcast.crop_types.scores import CropTypeScores
from yieldcast.crop_types.unfinished import remove_parts
from yieldcast.data.files import (
    atomic_text,
    atomic_write,
    fingerprint,
    make_folder,
    read_netcdf,
    write_netcdf,
)
from yieldcast.encoders.files import own_models, weights_mark
from yieldcast.errors import ConfigError, RunError
from yieldcast.model_files import RefusedModel
from yieldcast.pixels.pixel_series import check_series
from yieldcast.user_code import code_is_trusted, names_function

if TYPE_CHECKING:
    from yieldcast.crop_types.network import CropTypeNetwork
    from yieldcast.encoders.embedding import Encoder

RECORD, TRAINING, SERIES, MEMBERS = "crop_type.json", "training.npz", "series.nc", "members"
_FORMAT = 1
_CHECKED = 20  # samples whose probabilities show that the heads are those of the training
_TOLERANCE = 1e-4
_HINT = "Train again with yieldcast crop-type train."


@dataclass(frozen=True)
class CropTypeRun:
    """An opened run.

    Args:
        path: of the directory.
        model: with its heads trained again.
        record: what ``crop_type.json`` holds.
        trust_code: whether the function that the record names as its encoder may be run, see `open_run`.
    """

    path: Path
    model: CropTypeModel
    record: dict[str, Any]
    trust_code: bool = field(default=False, compare=False)
    _encoders: dict[Path, Encoder] = field(default_factory=dict, repr=False)
    _networks: list[CropTypeNetwork] = field(default_factory=list, repr=False)

    @property
    def needs_encoder(self) -> bool:
        """Whether probabilities need an encoder, also that of the run's own networks, and with it Keras."""
        return self.record["encoder"] is not None

    def probabilities(
        self,
        series: xr.Dataset,
        encoder: Path | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Floats:
        """(sample, class) calibrated probabilities, in the order of ``model.classes``.

        Args:
            series: see `pixel_series`, of the same steps, months and bands as in the training.
            encoder: file (or module:function) of the encoder, read once; None for that of the training, or
                for the networks of the run, which have their own.
            progress: called with the number of series that are embedded and of all.

        Raises:
            SchemaError: series of another kind.
            ConfigError: other weights or outputs than in the training, or an encoder where none is needed.
            MissingDataError: no such file.
        """
        self.model.kind.check(SeriesKind.of(series), "series")
        if self.record.get(MEMBERS):
            if encoder is not None:
                raise ConfigError(
                    f"{self.path}: expected no encoder, received {encoder}",
                    "This run has networks of its own; leave --encoder out.",
                )
            return replace(self.model, networks=self._own_networks()).predict(series, None, progress)
        return self.model.predict(series, self.encoder(encoder), progress)

    def series(self) -> xr.Dataset:
        """The labelled series of the training, checked.

        Raises:
            RunError: changed, or not there (runs of earlier versions).
        """
        try:
            series = read_netcdf(self.path / SERIES)
        except (OSError, ValueError, KeyError) as error:
            raise RunError(f"{self.path / SERIES}: no training series: {error}", _HINT) from None
        if fingerprint(series) != self.record.get("series_fingerprint"):
            raise RunError(f"{self.path}: {SERIES} was changed", _HINT)
        return check_series(series, str(self.path / SERIES))

    def _own_networks(self) -> list[CropTypeNetwork]:
        if not self._networks:
            from yieldcast.crop_types.network import own_network

            own = (*own_models(), own_network())
            for name in self.record[MEMBERS]:
                try:
                    checked = model_files.check(self.path / name, own=own)
                    self._networks.append(model_files.build(checked, own=own))
                except RefusedModel as error:
                    raise RunError(f"{self.path}: {name} cannot be read: {error}", _HINT) from None
        return self._networks

    def encoder(self, path: Path | None = None) -> Encoder | None:
        """The encoder of the training, read once; None where there was none.

        Args:
            path: of its file; None for that of the training.

        Raises:
            ConfigError, MissingDataError: as `probabilities`.
            RunError: the record names a function, and the run is not trusted.
        """
        path = path or self.function() or self._kept()
        if path is None:
            return None
        if path not in self._encoders:
            from yieldcast.encoders.files import load_encoder

            encoder = load_encoder(path)
            self._check(encoder)
            if names_function(str(path)):
                self._check_outputs(encoder)
            self._encoders[path] = encoder
        return self._encoders[path]

    def function(self) -> Path | None:
        """The function ``module:function`` that the record names as its encoder; None where it names a file.

        Raises:
            RunError: it names one, and the run is not trusted.
        """
        kept = self._kept()
        if kept is None or not names_function(str(kept)):
            return None
        if not self.trust_code:
            raise RunError(
                f"{self.path} names code, the encoder {kept}, which is not run",
                f"Name it yourself with --encoder {kept}. If you know and trust who made the run: "
                "yieldcast --trust-code COMMAND, in Python open_run(path, trust_code=True).",
            )
        return kept

    def _kept(self) -> Path | None:
        kept = (self.record["encoder"] or {}).get("path")
        return Path(kept) if kept else None

    def _check(self, encoder: Encoder) -> None:
        """Refuse other weights than those of the training."""
        wanted, got = (self.record["encoder"] or {}).get("weights_sha256"), weights_mark(encoder)
        if wanted != got:
            raise ConfigError(
                f"{self.path}: expected the encoder of the training ({(wanted or 'none')[:12]}), received "
                f"{got[:12]}",
                "Give the same weights with --encoder.",
            )

    def _check_outputs(self, encoder: Encoder) -> None:
        """Refuse a function of the user's that now embeds series otherwise, with the same weights."""
        inputs = head_inputs(self.series().isel(sample=slice(_CHECKED)), self.model.settings, encoder)
        every = self.model.inputs
        kept = None if every is None else every[:_CHECKED]
        if kept is None or inputs.shape != kept.shape or np.abs(inputs - kept).max() > _TOLERANCE:
            raise ConfigError(
                f"{self.path}: the encoder does not embed the training series as it did in the training",
                "Restore its module, or train again.",
            )


def refuse_existing(path: Path) -> None:
    """Refuse a directory that holds a run. ConfigError."""
    if (path / RECORD).exists():
        raise ConfigError(f"{path} holds a run already", "Choose another --out.")


def write_run(path: Path, model: CropTypeModel, series: xr.Dataset, about: dict[str, Any]) -> None:
    """Write a run; an earlier directory without a record is completed.

    Args:
        path: of the directory.
        model: trained.
        series: of the training; those without a label are left out.
        about: what else is kept: table, legend, encoder, versions.

    Raises:
        MissingDataError: the disk refuses.
    """
    make_folder(path)
    series = labelled(series)
    write_netcdf(path / SERIES, series)
    files: dict[str, Any] = (
        {MEMBERS: _write_networks(path, model.networks)} if model.networks
        else {"training_sha256": _write_heads(path, model, series)}
    )  # fmt: skip
    record = {
        "format": _FORMAT, "settings": asdict(model.settings), "series": asdict(model.kind),
        "classes": list(model.classes), "temperature": model.heat,
        "confusion": None if model.confusion is None else model.confusion.tolist(),
        "scores": {name: asdict(scores) for name, scores in model.scores.items()},
        "series_fingerprint": fingerprint(series), **files, **about,
    }  # fmt: skip
    atomic_text(path / RECORD, json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    remove_parts(path)


def _write_heads(path: Path, model: CropTypeModel, series: xr.Dataset) -> str:
    """Write what heads are trained from; SHA-256 of the file."""
    inputs = model.inputs
    assert inputs is not None  # noqa: S101  (a model without networks has them)
    arrays: dict[str, Any] = {
        "inputs": inputs, "truth": np.searchsorted(model.classes, series["label"].values),
        "check": probabilities(model.heads, inputs[:_CHECKED], len(model.classes)),
    }  # fmt: skip

    def save(temporary: Path) -> None:
        with open(temporary, "wb") as file:
            np.savez_compressed(file, **arrays)

    atomic_write(path / TRAINING, save)
    return _sha256(path / TRAINING)


def _write_networks(path: Path, networks: list[CropTypeNetwork]) -> dict[str, str]:
    """Write a file for each network; SHA-256 by name."""
    make_folder(path / MEMBERS)
    made = {}
    for k, network in enumerate(networks, 1):
        name = f"{MEMBERS}/member_{k:03d}.keras"
        atomic_write(path / name, network.save)
        made[name] = _sha256(path / name)
    return made


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def open_run(path: Path, trust_code: bool | None = None) -> CropTypeRun:
    """A run with its heads; nothing of it is run.

    Args:
        path: of the directory.
        trust_code: whether an encoder that is a function of a module may be called by its name in the record.
            Only for runs of people whom you trust. None: as `user_code.trusted_code` says, by default not.

    Raises:
        RunError: no run, another version, damaged, or heads that come out differently with the packages of
            this machine.
    """
    try:
        record = json.loads((path / RECORD).read_text(encoding="utf-8"))
        if record["format"] != _FORMAT:
            raise RunError(f"{path}: a run of another version of yieldcast", _HINT)
        settings = CropTypeSettings(**record["settings"])
        kept = record["series"]
        kind = SeriesKind(kept["step"], tuple(kept["bands"]), tuple(kept["months"]))
        scores = {name: CropTypeScores(**one) for name, one in record["scores"].items()}
        classes, heat = tuple(record["classes"]), float(record["temperature"])
        counts = record.get("confusion")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path}: not a run of crop-type train: {error}", _HINT) from None
    errors = None if counts is None else np.array(counts)
    trusted = code_is_trusted() if trust_code is None else trust_code
    if record.get(MEMBERS):
        for name, wanted in record[MEMBERS].items():
            if not re.fullmatch(rf"{MEMBERS}/member_\d{{1,6}}\.keras", name):
                raise RunError(f"{path}: {RECORD} names a file outside the run: {name!r}", _HINT)
            _refuse_changed(path, name, wanted)
        model = CropTypeModel(settings, kind, classes, None, scores, errors, heat, [])
        return CropTypeRun(path, model, record, trusted)
    _refuse_changed(path, TRAINING, record.get("training_sha256"))
    with np.load(path / TRAINING, allow_pickle=False) as arrays:
        inputs, truth, check = (arrays[name] for name in ("inputs", "truth", "check"))
    heads = fit_heads(settings.head, inputs, truth, settings.seeds, settings.equal)
    if np.abs(probabilities(heads, inputs[:_CHECKED], len(classes)) - check).max() > _TOLERANCE:
        raise RunError(f"{path}: the heads differ from those of the training (other packages?)", _HINT)
    model = CropTypeModel(settings, kind, classes, inputs, scores, errors, heat, heads)
    return CropTypeRun(path, model, record, trusted)


def _refuse_changed(path: Path, name: str, wanted: str | None) -> None:
    try:
        found = _sha256(path / name)
    except OSError as error:
        raise RunError(f"{path}: not a run of crop-type train: {error}", _HINT) from None
    if found != wanted:
        raise RunError(f"{path}: {name} was changed", _HINT)
