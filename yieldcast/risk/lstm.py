"""A Keras LSTM that classifies yields from the same inputs as the network of yields."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.config import NetworkSettings
from yieldcast.errors import SchemaError
from yieldcast.features.samples import SampleSet
from yieldcast.features.source import Source
from yieldcast.publication import same_day
from yieldcast.risk.classifiers import check_classes
from yieldcast.risk.probabilities import with_shares

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LstmSettings:
    """How the classifier is trained.

    Args:
        units: of the LSTM, of the static path and of the head; the half of the yield network's.
        epochs: at most.
        patience: epochs without a lower loss in the left-out year after which training stops.
        batch: rows.
        learning_rate: of Adam.
        seed: of the first weights, the order of the rows and the noise.
    """

    units: int = 16
    epochs: int = 60
    patience: int = 6
    batch: int = 256
    learning_rate: float = 2e-3
    seed: int = 1


@dataclass(frozen=True)
class LstmClassifier:
    """A trained classifier.

    Args:
        model: of Keras: "weather" and "static" in physical units to (sample, class).
        shares: (class,) of the training rows.
        left_out_year: whose loss stopped the training.
        epochs: that it was trained for.
    """

    model: Any
    shares: Floats
    left_out_year: int
    epochs: int

    def balanced(self, samples: SampleSet) -> Floats:
        """(sample, class) outputs of a training that counts all classes alike."""
        from yieldcast.models.dual_path import model_inputs

        found = self.model.predict(model_inputs(samples), batch_size=4096, verbose=0)
        return np.asarray(found, dtype=np.float64)

    def classes(self, samples: SampleSet) -> NDArray[np.int8]:
        """(sample,) the class with the largest output."""
        return np.asarray(self.balanced(samples).argmax(axis=1), dtype=np.int8)

    def probabilities(self, samples: SampleSet) -> Floats:
        """(sample, class) probabilities, each row adding up to 1."""
        return with_shares(self.balanced(samples), self.shares)


def samples_as_known(
    source: Source, harvest_years: Sequence[int], as_of: dt.date, season: int, codes: NDArray[np.int32]
) -> SampleSet:
    """Samples of the years, each with what was public on the same day of its season.

    Months that were not public on that day have the climatology of the years known then, in training rows as
    in those of the season: the classifier learns with as much weather as it will have.

    Args:
        source: of the tables; its `climate_to` is the last training year.
        harvest_years: wanted, none after `season`.
        as_of: date of the forecast.
        season: harvest year of the forecast, which `as_of` belongs to.
        codes: (place,) of municipalities.

    Returns:
        a row per place and year with whole weather, without yields: join them by place and year.
    """
    parts = []
    for year in harvest_years:
        place = np.searchsorted(source.tables.static["municipality"].values, codes)
        day = same_day(as_of, year - season)
        seasons = np.full(len(place), year, dtype=np.int16)
        weather, names = source.season(place, seasons, day)
        unknown = np.full(len(place), np.nan, dtype=np.float32)
        rows = source.samples(weather, names, place, unknown, day, None)
        parts.append(rows.take(np.flatnonzero(np.isfinite(rows.dynamic).all(axis=(1, 2)))))
    return _joined(parts)


def _joined(parts: Sequence[SampleSet]) -> SampleSet:
    first = parts[0]
    arrays = [name for name, value in vars(first).items() if isinstance(value, np.ndarray)]
    joined: dict[str, Any] = {name: np.concatenate([getattr(one, name) for one in parts]) for name in arrays}
    return replace(first, **joined)


def fit_lstm(
    samples: SampleSet,
    classes: NDArray[np.int8],
    settings: LstmSettings = LstmSettings(),
    *,
    count: int,
) -> LstmClassifier:
    """Train on all harvest years but one, which decides when training stops.

    Classes weigh the same in the loss. The left-out year is the one whose shares of classes are the nearest
    to those of all years: a drought year alone would stop the training at a constant.

    Args:
        samples: training rows, physical units.
        classes: (sample,) from `ClassRule.classes`; rows with `UNKNOWN` are left out.
        settings: of the training.
        count: of classes.

    Raises:
        SchemaError: a class without rows, or one season only.
    """
    known = classes >= 0
    samples, classes = samples.take(known), classes[known]
    check_classes(classes, count)
    shares = np.bincount(classes, minlength=count) / len(classes)
    year = _left_out(samples.harvest_year, classes, count)

    import keras

    from yieldcast.models.dual_path import build_classifier, model_inputs
    from yieldcast.models.scaling import Scaling

    held = samples.harvest_year == year
    fitted = samples.take(~held)
    size = settings.units
    network = NetworkSettings(
        lstm_units=(size,), static_units=(size,), head_units=(size,), noise=0.1, scaling="deviation"
    )
    with_target = replace(fitted, target_kg_ha=np.zeros(len(fitted), dtype=np.float32))
    keras.utils.set_random_seed(settings.seed)
    model = build_classifier(
        network, Scaling.fit(with_target, False, network), samples.dynamic.shape[1], count
    )
    weights = (1.0 / (count * shares))[classes].astype(np.float32)
    model.compile(keras.optimizers.Adam(settings.learning_rate), "sparse_categorical_crossentropy")
    stop = keras.callbacks.EarlyStopping(patience=settings.patience, restore_best_weights=True)
    history = model.fit(
        model_inputs(fitted), classes[~held], sample_weight=weights[~held], epochs=settings.epochs,
        batch_size=settings.batch, callbacks=[stop], verbose=0,
        validation_data=(model_inputs(samples.take(held)), classes[held], weights[held]),
    )  # fmt: skip
    return LstmClassifier(model, shares, year, len(history.epoch))


def _left_out(harvest_year: NDArray[np.int16], classes: NDArray[np.int8], count: int) -> int:
    """The harvest year with the shares of classes nearest to those of all rows.

    Raises:
        SchemaError: one season only.
    """
    years = np.unique(harvest_year)
    if len(years) < 2:
        raise SchemaError(
            f"LSTM classifier: expected training rows of two harvest years or more, received {len(years)}",
            "One year is left out to stop the training: add harvest years.",
        )
    usual = np.bincount(classes, minlength=count) / len(classes)
    shares = [np.bincount(c, minlength=count) / len(c) for y in years if len(c := classes[harvest_year == y])]
    return int(years[int(np.argmin([np.abs(one - usual).sum() for one in shares]))])
