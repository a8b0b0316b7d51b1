"""The dual-path network of one member (Cunha & Silva 2020, Figure 1), in plain Keras.

Built only from Keras's own layers, so that a saved ``.keras`` file loads without yieldcast. Scaling,
the stand-in for missing soil and the noise are layers inside it: it takes physical units and gives kg/ha.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import numpy.typing as npt
from keras import layers, ops

from yieldcast.config import NetworkSettings
from yieldcast.features.samples import SampleSet
from yieldcast.models.scaling import Scaling, base_column

SCALED_OUTPUT = "yield_scaled"


def build_network(
    settings: NetworkSettings, scaling: Scaling, steps: int, static_names: Sequence[str] = ()
) -> keras.Model:
    """The network, untrained; its initial weights follow Keras's global random seed.

    Args:
        settings: unit counts, noise, L2, what it is added to.
        scaling: from the training rows.
        steps: months of the crop's window, n of Figure 1 and Table 2.
        static_names: names of the static inputs; needed where the target is a departure.

    Returns:
        A model of ``{"weather": (sample, step, variable), "static": (sample, feature)}`` in physical
        units to ``(sample, 1)`` in kg/ha. The layer named `SCALED_OUTPUT` holds the scaled yield.
    """
    weather = keras.Input((steps, len(scaling.dynamic_low)), name="weather")
    static = keras.Input((len(scaling.static_low),), name="static")
    merged = layers.Concatenate(name="join")(
        [_dynamic_path(weather, settings, scaling), _static_path(static, settings, scaling)]
    )
    for k, units in enumerate(settings.head_units, 1):
        merged = _dense(units, settings, f"head_{k}")(merged)
    scaled = _dense(1, settings, SCALED_OUTPUT, activation=None)(merged)
    name = "yield_kg_ha" if settings.target == "yield" else "departure_kg_ha"
    output = layers.Rescaling(scaling.target_sd, scaling.target_mean, name=name)(scaled)
    if settings.target == "departure":
        column = base_column(static_names)
        output = layers.Add(name="yield_kg_ha")([output, static[:, column : column + 1]])
    return keras.Model({"weather": weather, "static": static}, output, name="dual_path")


def _dynamic_path(x: keras.KerasTensor, settings: NetworkSettings, scaling: Scaling) -> keras.KerasTensor:
    x = _min_max(scaling.dynamic_low, scaling.dynamic_range, "weather_0_1")(x)
    x = layers.GaussianNoise(settings.noise, name="noise")(x)
    last = len(settings.lstm_units)
    for k, units in enumerate(settings.lstm_units, 1):
        x = layers.LSTM(
            units,
            return_sequences=k < last,
            kernel_regularizer=keras.regularizers.L2(settings.l2),
            recurrent_regularizer=keras.regularizers.L2(settings.l2),
            name=f"lstm_{k}",
        )(x)
    return x


def _static_path(x: keras.KerasTensor, settings: NetworkSettings, scaling: Scaling) -> keras.KerasTensor:
    # Around the mean first, so that a missing value becomes the training mean; then moved to 0-1.
    x = _min_max(scaling.static_mean, scaling.static_range, "static_centred")(x)
    x = ops.nan_to_num(x, nan=0.0)
    offset = (scaling.static_mean - scaling.static_low) / scaling.static_range
    x = layers.Rescaling(1.0, offset.tolist(), name="static_0_1")(x)
    for k, units in enumerate(settings.static_units, 1):
        x = _dense(units, settings, f"static_{k}")(x)
    return x


def _min_max(low: npt.NDArray[np.float64], spread: npt.NDArray[np.float64], name: str) -> layers.Layer:
    """(x - low) / spread with Keras's own layer, which divides by the root of its variance."""
    return layers.Normalization(axis=-1, mean=low.tolist(), variance=(spread**2).tolist(), name=name)


def _dense(units: int, settings: NetworkSettings, name: str, activation: str | None = "relu") -> layers.Dense:
    return layers.Dense(
        units, activation=activation, kernel_regularizer=keras.regularizers.L2(settings.l2), name=name
    )


def scaling_of_member(model: keras.Model) -> Scaling:
    """The scaling inside a member, saved or new, as `Scaling.fit` gave it."""
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


def scaled_model(model: keras.Model) -> keras.Model:
    """The same network up to the scaled yield, what the loss is taken of; weights are shared."""
    return keras.Model(model.input, model.get_layer(SCALED_OUTPUT).output, name="dual_path_scaled")


def model_inputs(rows: SampleSet) -> dict[str, npt.NDArray[np.float32]]:
    """The rows as the network takes them."""
    return {"weather": rows.dynamic, "static": rows.static}


def predict(model: keras.Model, rows: SampleSet, batch_size: int = 8192) -> npt.NDArray[np.float64]:
    """Yield of every row in kg/ha, (sample,).

    Called layer by layer, not through `Model.predict`: that compiles anew for every member.
    """
    parts = [np.empty(0)]
    for start in range(0, len(rows), batch_size):
        batch = {name: values[start : start + batch_size] for name, values in model_inputs(rows).items()}
        parts.append(ops.convert_to_numpy(model(batch, training=False))[:, 0])
    return np.concatenate(parts).astype(np.float64)
