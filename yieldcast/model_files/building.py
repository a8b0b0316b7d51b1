"""The network of a checked file: built from its fresh config, then given the weights of the file.

Memory is taken only for what the file stores: the network is built without values, the shapes of its weights
are compared with those of the file, and then the values are made.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from yieldcast.model_files.checking import OPTIMIZER, STATE, CheckedModel
from yieldcast.model_files.graph import TENSOR, call_order
from yieldcast.model_files.hdf5 import Weights
from yieldcast.model_files.limits import Limits
from yieldcast.model_files.own_models import OwnModel, make_own
from yieldcast.model_files.refusal import RefusedModel, quoted

if TYPE_CHECKING:
    import keras

_HINT = "Load the file with keras.models.load_model where it was made, and save it again."


def build(checked: CheckedModel, limits: Limits | None = None, own: Sequence[OwnModel] = ()) -> keras.Model:
    """The network of a checked file, not compiled.

    Args:
        checked: of `checking.check`.
        limits: as for `check`.
        own: as for `check`.

    Raises:
        RefusedModel: Keras cannot build it, an output is too large, or the weights are not the network's.
    """
    import keras

    limits = limits or Limits()
    try:
        # Within the scope weights have shapes but no values, and what is assigned is kept by the scope.
        with keras.StatelessScope(initialize_variables=False) as scope:
            model = make_own(checked.config, own) if own_of(checked, own) else _model(checked.config, limits)
            _load(model, checked.weights)
        values = _values(model, scope)
    except RefusedModel:
        _forget_variables()
        raise
    except Exception as error:  # of Keras and its backend, which name no common class
        _forget_variables()
        raise RefusedModel(f"Keras cannot build this network: {_first_line(error)}", _HINT, "graph") from None
    with keras.StatelessScope():
        pass  # at its end Keras gives the weights their initial values
    for variable, value in values:
        variable.assign(value)
    return model


def own_of(checked: CheckedModel, own: Sequence[OwnModel]) -> bool:
    """Whether a file holds a model of an own class."""
    return checked.config["class_name"] in {one.registered_name for one in own}


def _model(fresh: Mapping[str, Any], limits: Limits) -> keras.Model:
    """A Functional or Sequential network of a fresh config."""
    import keras

    config = fresh["config"]
    if fresh["class_name"] == "Sequential":
        model = keras.Sequential([_layer(one, limits) for one in config["layers"]], name=config["name"])
        for layer in model.layers:
            for tensor in keras.tree.flatten(layer.output):
                _check_size(layer.name, tensor.shape, limits)
        return model
    graph = _Graph(config["layers"], limits)
    return keras.Model(
        inputs=graph.ends(config["input_layers"]),
        outputs=graph.ends(config["output_layers"]),
        name=config["name"],
        trainable=config["trainable"],
    )


def _layer(fresh: Mapping[str, Any], limits: Limits) -> Any:
    """A layer, an operation or a network, not called yet."""
    import keras

    found, config = fresh["class_name"], dict(fresh["config"])
    if found in ("Functional", "Sequential") and fresh["module"] != "keras.layers":
        return _model(fresh, limits)
    if fresh["module"] != "keras.layers":
        return keras.saving.deserialize_keras_object(
            {key: fresh[key] for key in ("module", "class_name", "registered_name")} | {"config": config}
        )
    kind = getattr(keras.layers, found)
    inner = {key: _layer(config.pop(key), limits) for key in ("layer", "backward_layer") if key in config}
    return kind(**inner, **config) if inner else kind.from_config(config)


class _Graph:
    """Calls the layers of a Functional network in their order.

    Args:
        layers: of its fresh config.
        limits: of the sizes of what they return.
    """

    def __init__(self, layers: Sequence[Mapping[str, Any]], limits: Limits) -> None:
        import keras

        made = [_layer(one, limits) for one in layers]
        self.made: dict[str, list[list[Any]]] = {one["name"]: [] for one in layers}
        # Keras counts the calls of a Functional network from 1 where it is an output.
        self.from_one = {one["name"] for one in layers if one["class_name"] == "Functional"}
        for fresh, layer in zip(layers, made, strict=True):
            if fresh["class_name"] == "InputLayer":
                self.made[fresh["name"]].append([layer.output])
        for k, i in call_order(layers):
            node = layers[k]["inbound_nodes"][i]
            output = made[k](
                *[self._given(one) for one in node["args"]],
                **{key: self._given(one) for key, one in node["kwargs"].items()},
            )
            tensors = keras.tree.flatten(output)
            for tensor in tensors:
                _check_size(layers[k]["name"], tensor.shape, limits)
            self.made[layers[k]["name"]].append(tensors)

    def ends(self, ends: Any) -> Any:
        """The tensors of the inputs or outputs."""
        if isinstance(ends, dict):
            return {key: self.ends(history) for key, history in ends.items()}
        if isinstance(ends[0], list):
            return [self.ends(history) for history in ends]
        layer, call, tensor = ends
        return self._tensor(layer, call - (layer in self.from_one), tensor)

    def _tensor(self, layer: str, call: int, tensor: int) -> Any:
        calls = self.made[layer]
        if not (0 <= call < len(calls) and tensor < len(calls[call])):
            raise RefusedModel(
                f"expected a tensor of layer {quoted(layer)}, received number {tensor} of its call {call}",
                _HINT, "graph",
            )  # fmt: skip
        return calls[call][tensor]

    def _given(self, value: Any) -> Any:
        """An argument of a call."""
        import keras

        if isinstance(value, list):
            return [self._given(one) for one in value]
        if not isinstance(value, dict):
            return value
        if "class_name" not in value:  # inputs of a network by their names
            return {key: self._given(one) for key, one in value.items()}
        kind, config = value["class_name"], value["config"]
        if kind == TENSOR:
            return self._tensor(*config["keras_history"])
        if kind == "__slice__":
            return slice(config["start"], config["stop"], config["step"])
        if kind == "__ellipsis__":
            return Ellipsis
        array = np.array(config["value"], np.float64)
        return keras.ops.convert_to_tensor(array, config["dtype"]) if kind == "__tensor__" else (
            keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(array, config["dtype"]))
        )  # fmt: skip


def _check_size(layer: str, shape: Sequence[int | None], limits: Limits) -> None:
    total = 1
    for length in shape[1:]:
        total *= length or 1
    if total > limits.elements:
        raise RefusedModel(
            f"expected outputs of at most {limits.elements:,} numbers of a sample, received {total:,} from "
            f"layer {quoted(layer)}",
            "Make the inputs or the layers smaller.", "size",
        )  # fmt: skip


def _load(model: keras.Model, weights: Weights) -> None:
    """Give every weight its array of the file, by the paths under which Keras stores them."""
    from keras.src.saving import saving_lib

    class Store(saving_lib.NpzIOStore):  # type: ignore[misc]
        """Arrays that were read, in the place of Keras's own reader, which opens a file."""

        def __init__(self) -> None:
            self.used: set[str] = set()

        def get(self, path: str) -> dict[str, Any]:
            self.used.add(path)
            return dict(weights.get(path, {}))

        def has_path(self, path: str) -> bool:
            return any(one == path or one.startswith(f"{path}/") for one in weights)

    store = Store()
    errors: dict[int, tuple[Any, Exception]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is missing: that is an error below
        saving_lib._load_state(
            model, store, None, "", visited_saveables=set(), failed_saveables=set(), error_msgs=errors
        )
    for layer, error in errors.values():
        raise _misfit(f"{quoted(getattr(layer, 'name', type(layer).__name__))}: {_first_line(error)}")
    left = sorted(path for path in set(weights) - store.used if path.split("/")[0] != OPTIMIZER)
    if left:
        raise _misfit(f"the file holds weights of {quoted(left[0])}, which the network does not have")


def _values(model: keras.Model, scope: Any) -> list[tuple[Any, Any]]:
    """Every weight with its value of the file; states of random numbers may be missing."""
    found = []
    for variable in model.variables:
        value = scope.get_current_value(variable)
        if value is not None:
            found.append((variable, value))
        elif STATE not in variable.path:
            raise _misfit(f"the file holds no weights for {quoted(variable.path)}")
    return found


def _misfit(what: str) -> RefusedModel:
    return RefusedModel(f"the weights are not those of the network: {what}", _HINT, "weights")


def _forget_variables() -> None:
    """Drop weights that were not given values, so that Keras does not make them later."""
    from keras.src.backend.common import global_state

    global_state.set_global_attribute("uninitialized_variables", [])


def _first_line(error: Exception) -> str:
    """What Keras says, without the config that it repeats."""
    text = str(error).strip().partition("\n\nException encountered: ")
    return quoted((text[2] or text[0]).partition("\n")[0], 300)
