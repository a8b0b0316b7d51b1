"""Scaling of a member's inputs and target: fitted on its training rows, saved as layers inside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt
from keras import layers, ops

from yieldcast.config import NetworkSettings
from yieldcast.features.samples import SampleSet
from yieldcast.features.yield_history import HISTORY_BASELINE


@dataclass(frozen=True)
class Scaling:
    """Ranges of the rows that a member is fitted on; validation and test rows are not used.

    Args:
        dynamic_low, dynamic_range: (variable,) over all rows and steps: minimum and range, or mean and
            standard deviation.
        static_low, static_range, static_mean: (feature,) the same, missing soil left out.
        target_mean, target_sd: kg/ha, of the yield or its departure; 0 and 1 when the target is not scaled.
    """

    dynamic_low: npt.NDArray[np.float64]
    dynamic_range: npt.NDArray[np.float64]
    static_low: npt.NDArray[np.float64]
    static_range: npt.NDArray[np.float64]
    static_mean: npt.NDArray[np.float64]
    target_mean: float
    target_sd: float

    @classmethod
    def fit(
        cls, rows: SampleSet, scale_target: bool = True, settings: NetworkSettings | None = None
    ) -> Scaling:
        """Minimum, range and mean of every input over `rows`; a constant input gets range 1.

        Args:
            rows: the rows that the member is fitted on.
            scale_target: whether the target is scaled to mean 0 and standard deviation 1.
            settings: the paper's when None. With `scaling = "deviation"` mean and standard deviation replace
                minimum and range; with `target = "departure"` the target is the yield minus the history
                baseline.
        """
        settings = settings or NetworkSettings()
        dynamic = rows.dynamic.reshape(-1, rows.dynamic.shape[-1]).astype(np.float64)
        static = rows.static.astype(np.float64)
        # A soil column without any value in these rows carries no information: a huge range scales it to 0,
        # also for places that have a value when the member predicts.
        empty = ~np.isfinite(static).any(axis=0)
        static = np.where(empty, 0.0, static)
        centre = np.nanmean(static, axis=0)
        if settings.scaling == "range":
            low, high = np.nanmin(static, axis=0), np.nanmax(static, axis=0)
            ranges = dynamic.min(axis=0), np.ptp(dynamic, axis=0), low, high - low
        else:
            ranges = dynamic.mean(axis=0), dynamic.std(axis=0), centre, np.nanstd(static, axis=0)
        target = rows.target_kg_ha.astype(np.float64)
        if settings.target == "departure":
            target = target - rows.static[:, base_column(rows.static_names)]
        return cls(
            ranges[0], _not_zero(ranges[1]), ranges[2], np.where(empty, 1e12, _not_zero(ranges[3])), centre,
            float(target.mean()) if scale_target else 0.0, float(target.std()) if scale_target else 1.0,
        )  # fmt: skip


def base_column(static_names: Sequence[str]) -> int:
    """Position of the history baseline among the static inputs; departures are added to it."""
    return tuple(static_names).index(HISTORY_BASELINE)


def _not_zero(spread: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(spread > 0, spread, 1.0)


def scale_weather(x: keras.KerasTensor, scaling: Scaling) -> keras.KerasTensor:
    """Weather in physical units to scaled weather, as a layer of the model."""
    return _normalise(scaling.dynamic_low, scaling.dynamic_range, "weather_0_1")(x)


def scale_static(x: keras.KerasTensor, scaling: Scaling) -> keras.KerasTensor:
    """Static inputs in physical units to scaled ones without NaN, as layers of the model."""
    # Centred first, so that a missing value becomes the training mean; then moved to the scaled range.
    x = _normalise(scaling.static_mean, scaling.static_range, "static_centred")(x)
    x = ops.nan_to_num(x, nan=0.0)
    offset = (scaling.static_mean - scaling.static_low) / scaling.static_range
    return layers.Rescaling(1.0, offset.tolist(), name="static_0_1")(x)


def scaled_to_yield(
    scaled: keras.KerasTensor,
    static: keras.KerasTensor,
    settings: NetworkSettings,
    scaling: Scaling,
    static_names: Sequence[str],
) -> keras.KerasTensor:
    """The scaled output of a network to a yield in kg/ha, as layers of the model.

    Args:
        scaled: (sample, 1).
        static: (sample, feature) in physical units.
        settings: whether the network predicts yields or departures from the history baseline.
        scaling: of the member.
        static_names: names of the static inputs; needed for departures.
    """
    name = "yield_kg_ha" if settings.target == "yield" else "departure_kg_ha"
    output = layers.Rescaling(scaling.target_sd, scaling.target_mean, name=name)(scaled)
    if settings.target == "departure":
        column = base_column(static_names)
        output = layers.Add(name="yield_kg_ha")([output, static[:, column : column + 1]])
    return output


def scaling_of_member(model: keras.Model) -> Scaling:
    """The scaling inside a member, saved or new, as `Scaling.fit` returned it."""
    dynamic, static = (model.get_layer(name) for name in ("weather_0_1", "static_centred"))
    offset = np.asarray(model.get_layer("static_0_1").offset, dtype=np.float64)
    names = {layer.name for layer in model.layers}
    target = model.get_layer("departure_kg_ha" if "departure_kg_ha" in names else "yield_kg_ha")
    low, centre = (np.asarray(layer.input_mean, dtype=np.float64).ravel() for layer in (dynamic, static))
    spread, range_ = (
        np.sqrt(np.asarray(layer.input_variance, dtype=np.float64)).ravel() for layer in (dynamic, static)
    )
    return Scaling(
        low, spread, centre - offset * range_, range_, centre, float(target.offset), float(target.scale)
    )


def _normalise(low: npt.NDArray[np.float64], spread: npt.NDArray[np.float64], name: str) -> layers.Layer:
    """(x - low) / spread with Keras's own layer, which divides by the square root of its variance."""
    return layers.Normalization(axis=-1, mean=low.tolist(), variance=(spread**2).tolist(), name=name)
