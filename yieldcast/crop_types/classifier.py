"""Crop types from pixel series: a head on an encoder, which is frozen or trained too, beside trees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast.crop_types.heads import (
    Floats,
    HeadName,
    Ints,
    calibrated,
    fit_heads,
    has_catboost,
    out_of_fold,
    probabilities,
    spatial_folds,
    temperature,
)
from yieldcast.crop_types.sampling import Balance
from yieldcast.crop_types.scores import CropTypeScores, confusion, crop_type_scores, standard_error
from yieldcast.crop_types.tuning import FOLDS, Tuning, check_settings, train_networks
from yieldcast.encoders.embedding import Pool, embed
from yieldcast.encoders.presto_inputs import ModisRule, presto_inputs, raw_columns
from yieldcast.errors import SchemaError

if TYPE_CHECKING:
    from yieldcast.crop_types.network import CropTypeNetwork
    from yieldcast.encoders.embedding import Encoder

Progress = Callable[[int, int], None]
FoldUnit = Literal["location", "group"]
Mode = Literal["frozen", "finetune", "ssl+finetune", "scratch"]
RAW, FROZEN = "raw", "frozen"
# Trees on the raw series, beside every run: name of their scores, and their head.
RAW_HEADS: dict[str, HeadName] = {RAW: "boosted", "raw_catboost": "catboost"}


def _ignore(done: int, total: int) -> None:
    """Ignore progress."""


@dataclass(frozen=True)
class CropTypeSettings:
    """How a crop-type classifier is trained; everything that predictions need too.

    Args:
        head: see `heads.make_head`.
        pool: one embedding of a series ("global") or one for each step ("time").
        location: whether the encoder sees latitude and longitude.
        modis: see `presto_inputs.presto_inputs`.
        seeds: heads or networks whose probabilities are averaged.
        folds: what no fold divides.
        mode: frozen: only the head is trained; finetune: the encoder too; ssl+finetune: the encoder first
            without labels; scratch: from random weights.
        balance: of the classes, see `sampling.epoch_rows`; heads on a frozen encoder take weights or none.
        epochs: at most; None for those of `fine_tuning`.
        learning_rate: of networks; None for that of `fine_tuning`.
    """

    head: HeadName = "linear"
    pool: Pool = "time"
    location: bool = False
    modis: ModisRule = "fill"
    seeds: int = 1
    folds: FoldUnit = "location"
    mode: Mode = "frozen"
    balance: Balance = "weights"
    epochs: int | None = None
    learning_rate: float | None = None

    @property
    def equal(self) -> bool:
        """Whether all classes have the same weight, see `heads.make_head`."""
        return self.balance != "none"


@dataclass(frozen=True)
class SeriesKind:
    """What series of a classifier look like; others cannot be classified by it."""

    step: str
    bands: tuple[str, ...]
    months: tuple[int, ...]

    @classmethod
    def of(cls, series: xr.Dataset) -> SeriesKind:
        """Of checked series."""
        return cls(
            str(series.attrs["step"]), tuple(series["band"].values.tolist()),
            tuple(series["month"].values[0].tolist()),
        )  # fmt: skip

    def check(self, other: SeriesKind, where: str) -> None:
        """Refuse series of another kind.

        Raises:
            SchemaError: other steps, months (mixed seasons) or bands.
        """
        if (self.step, self.months) != (other.step, other.months):
            wanted, got = (
                f"{len(k.months)} steps ({k.step}) from month {k.months[0] + 1}" for k in (self, other)
            )
            raise SchemaError(
                f"{where}: mixed seasons: expected series of {wanted}, as in the training, received {got}",
                "Cut the series to the same months, or train again.",
            )
        if self.bands != other.bands:
            raise SchemaError(
                f"{where}: expected the bands of the training, {', '.join(self.bands)}, received "
                f"{', '.join(other.bands)}",
                "Add empty columns for bands that were not seen, or train again.",
            )


@dataclass(frozen=True)
class CropTypeModel:
    """A trained classifier and what it was trained on.

    Args:
        settings: of the training.
        kind: of the series.
        classes: names, sorted.
        inputs: (sample, column) of the heads; None with networks.
        scores: model -> scores on left-out places, of "head", those of `RAW_HEADS`, and beside
            networks "frozen", a head on the encoder as it was.
        confusion: (true class, predicted class) counts of the left-out samples; None in runs of earlier
            versions, which did not keep them.
        heat: temperature of the probabilities, see `heads.temperature`.
        heads: trained, one for each seed; none with networks.
        networks: encoder and head in one, one for each seed.
    """

    settings: CropTypeSettings
    kind: SeriesKind
    classes: tuple[str, ...]
    inputs: NDArray[np.float32] | None
    scores: dict[str, CropTypeScores]
    confusion: Ints | None
    heat: float
    heads: list[Any] = field(repr=False)
    networks: list[CropTypeNetwork] = field(default_factory=list, repr=False)

    def predict(self, series: xr.Dataset, encoder: Encoder | None, progress: Progress = _ignore) -> Floats:
        """(sample, class) calibrated probabilities.

        Args:
            series: of the kind of the training.
            encoder: of the training; None where there was none, and with networks, which have their own.
            progress: called with the number of series that are embedded and of all.
        """
        if self.networks:
            from yieldcast.crop_types.fine_tuning import network_probabilities

            series_inputs = presto_inputs(series, location=self.settings.location, modis=self.settings.modis)
            return calibrated(network_probabilities(self.networks, series_inputs, progress), self.heat)
        inputs = head_inputs(series, self.settings, encoder, progress)
        return calibrated(probabilities(self.heads, inputs, len(self.classes)), self.heat)

    @property
    def best_raw(self) -> str | None:
        """The name, in `RAW_HEADS`, of the trees on the raw series that score highest; None without any."""
        found = [name for name in RAW_HEADS if name in self.scores]
        return max(found, key=lambda name: self.scores[name].macro_f1, default=None)

    @property
    def raw_is_better(self) -> bool:
        """Whether trees on the raw series score higher by more than a standard error."""
        head, name = self.scores["head"], self.best_raw
        if name is None:
            return False
        gain = self.scores[name].macro_f1 - head.macro_f1
        return gain > standard_error(head.macro_f1, head.samples)


def head_inputs(
    series: xr.Dataset,
    settings: CropTypeSettings,
    encoder: Encoder | None,
    progress: Progress = _ignore,
) -> NDArray[np.float32]:
    """(sample, column) inputs of the head: embeddings, or without an encoder the series themselves.

    Raises:
        SchemaError: more steps than the encoder can tell apart.
    """
    if encoder is None:
        return raw_columns(series)[0]
    inputs = presto_inputs(series, location=settings.location, modis=settings.modis)
    made = embed(encoder, inputs, settings.pool, progress)
    return made.reshape(len(made), -1)


def train(
    series: xr.Dataset,
    settings: CropTypeSettings,
    encoder: Encoder | None,
    progress: Progress = _ignore,
    tuning: Tuning | None = None,
) -> CropTypeModel:
    """Train a classifier on labelled series, and score it and trees on the raw series on left-out places.

    Args:
        series: see `pixel_series`; those without a label only help the training without labels.
        settings: of the training.
        encoder: None for a head on the raw series.
        progress: called with the number of series that are embedded and of all.
        tuning: see `tuning.Tuning`.

    Raises:
        SchemaError: fewer than two classes, a class that lies in one place only, or as `head_inputs`.
        ConfigError: as `tuning.check_settings`.
    """
    tuning = tuning or Tuning()
    check_settings(settings, encoder is not None, tuning.decoder is not None)
    spare, series = series.isel(sample=np.flatnonzero(series["label"].values == "")), labelled(series)
    classes, truth = np.unique(series["label"].values, return_inverse=True)
    if len(classes) < 2:
        raise SchemaError(
            f"expected labels of two classes or more, received {', '.join(classes) or 'none'}",
            "Give samples of what is not the crop too.",
        )
    units = series[settings.folds].values
    names = [str(one) for one in classes]
    _refuse_single_places(units, truth, names, settings.folds)
    networks: list[CropTypeNetwork] = []
    held: dict[str, Floats] = {}
    if settings.mode == "frozen":
        folds = spatial_folds(truth, units)
        inputs = head_inputs(series, settings, encoder, progress)
        held["head"] = out_of_fold(
            settings.head, inputs, truth, folds, len(classes), settings.seeds, settings.equal
        )
    else:
        folds = spatial_folds(truth, units, FOLDS)
        held["head"], networks = train_networks(series, spare, truth, folds, settings, encoder, tuning)
        if encoder is not None and settings.mode != "scratch":
            inputs = head_inputs(series, settings, encoder, progress)
            held[FROZEN] = out_of_fold(
                settings.head, inputs, truth, folds, len(classes), equal=settings.equal
            )
    for name, head in RAW_HEADS.items():
        itself = settings.mode == "frozen" and encoder is None and head == settings.head
        if not itself and (head != "catboost" or has_catboost()):
            held[name] = out_of_fold(
                head, raw_columns(series)[0], truth, folds, len(classes), equal=settings.equal
            )
    heat = {name: temperature(one, truth) for name, one in held.items()}
    scores = {name: crop_type_scores(calibrated(one, heat[name]), truth, names) for name, one in held.items()}
    heads = [] if networks else fit_heads(settings.head, inputs, truth, settings.seeds, settings.equal)
    return CropTypeModel(
        settings, SeriesKind.of(series), tuple(names), None if networks else inputs, scores,
        confusion(held["head"], truth, len(names)), heat["head"], heads, networks,
    )  # fmt: skip


def labelled(series: xr.Dataset) -> xr.Dataset:
    """The series whose class is known."""
    return series.isel(sample=np.flatnonzero(series["label"].values != ""))


def _refuse_single_places(units: NDArray[Any], truth: Ints, classes: Sequence[str], unit: FoldUnit) -> None:
    single = [name for k, name in enumerate(classes) if len(np.unique(units[truth == k])) < 2]
    if single:
        raise SchemaError(
            f"expected each class in two {unit}s or more, received one {unit} only for {', '.join(single)}",
            "Give more samples, merge the class (a larger --least), or choose --folds location.",
        )
