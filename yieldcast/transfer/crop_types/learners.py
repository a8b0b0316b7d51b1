"""What is compared: heads on embeddings or on the raw series, each trained on the rows of a split.

Series are embedded once for each encoder and setting of the location, whatever the splits: a frozen encoder
learns nothing from them, and a series is embedded by itself, so no embedding holds anything of another row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast.crop_types.classifier import RAW, RAW_HEADS, CropTypeSettings, head_inputs
from yieldcast.crop_types.heads import HeadName, fit_heads, has_catboost, probabilities
from yieldcast.data.files import atomic_write, fingerprint, make_folder
from yieldcast.encoders.files import weights_mark
from yieldcast.encoders.presto_inputs import raw_columns
from yieldcast.errors import SchemaError
from yieldcast.transfer.crop_types.rows import CropTypeRows
from yieldcast.transfer.crop_types.tuned import NetworkLearner

if TYPE_CHECKING:
    from yieldcast.encoders.embedding import Encoder
    from yieldcast.encoders.presto import PrestoEncoder

Floats = NDArray[np.float64]
Inputs = NDArray[np.float32]
Progress = Callable[[int, int], None]
RUN, RUN_WITH, RUN_WITHOUT = "encoder", "encoder, location", "encoder, no location"
RAW_RUN, TREES, CATBOOST, RANDOM, BOTH = "run", "trees", "catboost", "random weights", "encoder + trees"
KINDS = ("run", "trees", "catboost", "location", "random")  # of `learners`
_KEPT = "inputs"  # folder of embeddings, in that of the study
_SEED = 1  # of random weights


def _ignore(done: int, total: int) -> None:
    """Ignore progress."""


@dataclass(frozen=True)
class Source:
    """Inputs of a head, made when they are first asked for.

    Args:
        mark: changes when the inputs would.
        make: gives (series, column), float32.
    """

    mark: str
    make: Callable[[], Inputs]

    @cached_property
    def values(self) -> Inputs:
        """(series, column) of all series of the study."""
        return self.make()


@dataclass(frozen=True)
class HeadLearner:
    """A head of `crop_types.heads` on some inputs. Local rows are rows like the others.

    Args:
        name: in tables and files.
        head: see `heads.make_head`.
        source: of the inputs.
        seeds: heads whose probabilities are averaged.
        equal: see `heads.make_head`.
    """

    name: str
    head: HeadName
    source: Source
    seeds: int = 1
    equal: bool = True

    @property
    def mark(self) -> str:
        """See `transfer.learners.Learner`."""
        version = metadata.version("catboost") if self.head == "catboost" else ""
        weights = "" if self.equal else "unweighted "
        return f"head 1 {self.head} {version} {weights}{self.seeds} {self.source.mark}"

    def prepare(self) -> None:
        """Make the inputs now."""
        _ = self.source.values

    def fit(self, rows: CropTypeRows, local: CropTypeRows | None = None) -> Callable[[CropTypeRows], Floats]:
        """See `transfer.learners.Learner`; predictions are probabilities (row, class).

        Raises:
            SchemaError: rows of one class only.
        """
        parts = [rows] if local is None else [rows, local]
        at, truth = (np.concatenate([getattr(one, name) for one in parts]) for name in ("positions", "truth"))
        if len(np.unique(truth)) < 2:
            raise SchemaError(
                f"expected rows of two classes or more to learn from, received {len(at)} of one"
            )
        values = self.source.values
        heads = fit_heads(self.head, values[at], truth, self.seeds, self.equal)
        return lambda wanted: probabilities(heads, values[wanted.positions], len(rows.classes))


CropTypeLearner = HeadLearner | NetworkLearner


def learners(
    rows: CropTypeRows,
    settings: CropTypeSettings,
    encoder: Encoder | None,
    folder: Path,
    kinds: Iterable[str] = KINDS,
    progress: Progress = _ignore,
) -> tuple[CropTypeLearner, ...]:
    """The learners of a study: the run's classifier, trees, and the checks.

    Args:
        rows: of the study.
        settings: of the run.
        encoder: of the run; None for a run on the raw series, which has no location and no random weights.
        folder: of the study, keeps the embeddings.
        kinds: some of `KINDS`: the run's classifier (beside a fine-tuned one its head on the frozen encoder);
            boosted trees; CatBoost, where it is installed; the other setting of the location; random weights
            of the same architecture.
        progress: called with the number of series that are embedded and of all.
    """
    wanted, raw = set(kinds), Source("raw", lambda: raw_columns(rows.series)[0])
    found: list[CropTypeLearner] = []
    tuned = settings.mode != "frozen"
    if tuned and "run" in wanted:
        found.append(NetworkLearner(rows, settings, encoder))
    if encoder is None:
        if not tuned and "run" in wanted and settings.head not in RAW_HEADS.values():
            found.append(HeadLearner(RAW_RUN, settings.head, raw, settings.seeds, settings.equal))
    else:

        def embedded(name: str, model: Encoder, location: bool) -> HeadLearner:
            of_run = replace(settings, location=location, mode="frozen")
            source = _embeddings(rows.series, of_run, model, folder / _KEPT, progress)
            return HeadLearner(name, settings.head, source, settings.seeds, settings.equal)

        if "run" in wanted:
            found.append(embedded(RUN, encoder, settings.location))
        if "location" in wanted and _sees_location(encoder):
            other = RUN_WITHOUT if settings.location else RUN_WITH
            found.append(embedded(other, encoder, not settings.location))
        if "random" in wanted:
            found.append(embedded(RANDOM, random_weights(encoder), settings.location))
    if "trees" in wanted:
        found.append(HeadLearner(TREES, RAW_HEADS[RAW], raw, equal=settings.equal))
    if "catboost" in wanted and has_catboost():
        found.append(HeadLearner(CATBOOST, RAW_HEADS["raw_catboost"], raw, equal=settings.equal))
    return tuple(found)


def _sees_location(encoder: Encoder) -> bool:
    """Whether latitude and longitude are among the inputs: always those of Presto."""
    inputs = getattr(getattr(encoder, "model", None), "input", None)
    return inputs is None or "latlons" in inputs


def random_weights(encoder: Encoder) -> Encoder:
    """An encoder of the same architecture with weights as before any training; each call the same."""
    import keras

    from yieldcast.encoders.custom import CustomEncoder

    keras.utils.set_random_seed(_SEED)
    if isinstance(encoder, CustomEncoder):
        again = copy(encoder)
        again.model = keras.models.clone_model(encoder.model)
        return again
    made: PrestoEncoder = type(encoder).from_config(encoder.get_config())
    made.build()
    return made


def _embeddings(
    series: xr.Dataset, settings: CropTypeSettings, encoder: Encoder, folder: Path, progress: Progress
) -> Source:
    """Embeddings that are kept in a file named by all that they depend on."""
    parts = (fingerprint(series), weights_mark(encoder), settings.pool, settings.location, settings.modis)
    mark = hashlib.sha256(" ".join(map(str, parts)).encode()).hexdigest()
    file = folder / f"{mark[:16]}.npy"

    def make() -> Inputs:
        kept = _read(file, series.sizes["sample"])
        if kept is None:
            kept = head_inputs(series, settings, encoder, progress)
            make_folder(folder)
            atomic_write(file, lambda temporary: _write(temporary, kept))
        return kept

    return Source(mark, make)


def _write(path: Path, values: Inputs) -> None:
    with path.open("wb") as file:
        np.save(file, values)


def _read(file: Path, count: int) -> Inputs | None:
    try:
        values = np.load(file)
    except (OSError, ValueError, EOFError):  # none yet, or cut off by hand
        return None
    return np.asarray(values, np.float32) if values.ndim == 2 and len(values) == count else None
