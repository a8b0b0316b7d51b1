"""The dual-path network of one member (Cunha & Silva 2020, Figure 1), in plain Keras.

Built only from Keras's own layers, so that a saved ``.keras`` file loads without yieldcast. Scaling, the
replacement of missing soil and the noise are layers inside it: it takes physical units and returns kg/ha.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import numpy.typing as npt
from keras import layers, ops

from yieldcast.config import NetworkSettings
from yieldcast.features.samples import SampleSet
from yieldcast.models.scaling import Scaling, scale_static, scale_weather, scaled_to_yield

SCALED_OUTPUT = "yield_scaled"


def build_network(
    settings: NetworkSettings, scaling: Scaling, steps: int, static_names: Sequence[str] = ()
) -> keras.Model:
    """The network, untrained; its initial weights follow Keras's global random seed.

    Args:
        settings: unit counts, noise, L2, whether it predicts yields or departures.
        scaling: from the training rows.
        steps: months of the crop's window, n of Figure 1 and Table 2.
        static_names: names of the static inputs; needed where the target is a departure.

    Returns:
        A model of ``{"weather": (sample, step, variable), "static": (sample, feature)}`` in physical
        units to ``(sample, 1)`` in kg/ha. The layer named `SCALED_OUTPUT` holds the scaled yield.
    """
    inputs, merged = _inputs_and_head(settings, scaling, steps)
    scaled = _dense(1, settings, SCALED_OUTPUT, activation=None)(merged)
    output = scaled_to_yield(scaled, inputs["static"], settings, scaling, static_names)
    return keras.Model(inputs, output, name="dual_path")


def build_classifier(settings: NetworkSettings, scaling: Scaling, steps: int, classes: int) -> keras.Model:
    """The same two paths, untrained, to the probabilities of classes.

    Args:
        settings, scaling, steps: as for `build_network`; the target plays no part.
        classes: number of classes.

    Returns:
        A model of the same inputs to ``(sample, class)`` shares that add up to 1.
    """
    inputs, merged = _inputs_and_head(settings, scaling, steps)
    output = _dense(classes, settings, "probabilities", activation="softmax")(merged)
    return keras.Model(inputs, output, name="dual_path_classifier")


def _inputs_and_head(
    settings: NetworkSettings, scaling: Scaling, steps: int
) -> tuple[dict[str, keras.KerasTensor], keras.KerasTensor]:
    """Inputs by name, and the last layer that both outputs share."""
    weather = keras.Input((steps, len(scaling.dynamic_low)), name="weather")
    static = keras.Input((len(scaling.static_low),), name="static")
    merged = layers.Concatenate(name="join")(
        [_dynamic_path(weather, settings, scaling), _static_path(static, settings, scaling)]
    )
    for k, units in enumerate(settings.head_units, 1):
        merged = _dense(units, settings, f"head_{k}")(merged)
    return {"weather": weather, "static": static}, merged


def _dynamic_path(x: keras.KerasTensor, settings: NetworkSettings, scaling: Scaling) -> keras.KerasTensor:
    x = layers.GaussianNoise(settings.noise, name="noise")(scale_weather(x, scaling))
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
    x = scale_static(x, scaling)
    for k, units in enumerate(settings.static_units, 1):
        x = _dense(units, settings, f"static_{k}")(x)
    return x


def _dense(units: int, settings: NetworkSettings, name: str, activation: str | None = "relu") -> layers.Dense:
    return layers.Dense(
        units, activation=activation, kernel_regularizer=keras.regularizers.L2(settings.l2), name=name
    )


def scaled_model(model: keras.Model) -> keras.Model:
    """The same network up to the scaled yield, on which the loss is computed; weights are shared."""
    return keras.Model(model.input, model.get_layer(SCALED_OUTPUT).output, name="dual_path_scaled")


def model_inputs(rows: SampleSet) -> dict[str, npt.NDArray[np.float32]]:
    """Inputs of a member: "weather" (sample, step, variable) and "static" (sample, feature)."""
    return {"weather": rows.dynamic, "static": rows.static}


def predict(model: keras.Model, rows: SampleSet) -> npt.NDArray[np.float64]:
    """Yield of every row in kg/ha, (sample,), by a member with any network."""
    return predict_arrays(model, rows.dynamic, rows.static)


def predict_arrays(
    model: keras.Model,
    weather: npt.NDArray[np.float32],
    static: npt.NDArray[np.float32],
    batch_size: int = 8192,
) -> npt.NDArray[np.float64]:
    """Yield of every row in kg/ha, (sample,), by a member with any network.

    The model is called directly, not through `Model.predict`: that compiles again for every member.

    Args:
        model: a member.
        weather: (sample, step, variable), physical units.
        static: (sample, feature), physical units; NaN is a missing value.
        batch_size: rows at once; limits memory.
    """
    parts = [np.empty(0)]
    for start in range(0, len(static), batch_size):
        rows = slice(start, start + batch_size)
        output = model({"weather": weather[rows], "static": static[rows]}, training=False)
        parts.append(ops.convert_to_numpy(output)[:, 0])
    return np.concatenate(parts).astype(np.float64)
