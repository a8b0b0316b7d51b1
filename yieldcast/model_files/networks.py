"""The grammar of a network: reads the config of a file and writes a fresh one of what was understood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from yieldcast.model_files.graph import Nodes, call_order
from yieldcast.model_files.layer_table import (
    COMMON,
    INPUT,
    LAYERS,
    RECURRENT,
    WRAPPERS,
)
from yieldcast.model_files.limits import Limits
from yieldcast.model_files.operation_table import OPERATIONS
from yieldcast.model_files.refusal import RefusedModel, quoted
from yieldcast.model_files.values import Unfit, arguments, flag, name, optional, several, whole

FUNCTIONAL = ("keras.src.models.functional", "Functional")
SEQUENTIAL = (("keras", "Sequential"), ("keras.models", "Sequential"))
_LAYER_KEYS = {
    "module", "class_name", "config", "registered_name", "shared_object_id", "build_config", "compile_config",
    "name", "inbound_nodes",
}  # fmt: skip
_HINT = "yieldcast workspace check says what is accepted; docs/user_guide lists the layers."


@dataclass
class Understood:
    """What the grammar has found, in the order of the file.

    Args:
        layers: name and class of every layer, those of networks within the network included.
        least: number of weights that they have at least, whatever the inputs are.
    """

    layers: list[tuple[str, str]] = field(default_factory=list)
    least: int = 0
    shared: set[int] = field(default_factory=set)


class Grammar:
    """Reads configs of networks.

    Args:
        limits: see `Limits`.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.found = Understood()

    def network(self, value: Any, where: str = "the network") -> dict[str, Any]:
        """The fresh config of a network.

        Raises:
            RefusedModel: anything in it that is not on the closed lists.
        """
        try:
            return self._network(value, self.limits.nesting)
        except _Misfit as error:
            raise RefusedModel(f"{error.place}: expected {error}", error.hint, error.rule) from None
        except Unfit as error:
            raise RefusedModel(f"{where}: expected {error}", _HINT, error.rule) from None

    def _network(self, value: Any, left: int) -> dict[str, Any]:
        kind = _kind(value)
        if not left:
            raise Unfit(f"at most {self.limits.nesting} networks and wrappers within each other", "size")
        if kind == FUNCTIONAL:
            return self._functional(value, left)
        if kind in SEQUENTIAL:
            return self._sequential(value, left)
        raise Unfit(
            f"a Functional or Sequential network, received {quoted(kind[1])} of {quoted(kind[0])}", "class"
        )

    def _functional(self, value: Mapping[str, Any], left: int) -> dict[str, Any]:
        config = value["config"]
        _keys(config, {"name", "trainable", "layers", "input_layers", "output_layers"}, {"trainable"})
        listed = config["layers"]
        if not isinstance(listed, list) or not listed:
            raise Unfit("a list of layers")
        names = [one.get("name") if isinstance(one, dict) else None for one in listed]
        if len({quoted(one, 250) for one in names}) != len(names):
            raise Unfit("layers of different names", "graph")
        counts = {
            key: len(one["inbound_nodes"]) for key, one in zip(names, listed, strict=True)
            if isinstance(key, str) and isinstance(one.get("inbound_nodes"), list)
        }  # fmt: skip
        nodes = Nodes(counts)
        layers = [self._placed(one, nodes, left) for one in listed]
        call_order(layers)
        made = {
            "name": name(config["name"]), "trainable": flag(config.get("trainable", True)), "layers": layers,
            "input_layers": nodes.ends(config["input_layers"]),
            "output_layers": nodes.ends(config["output_layers"]),
        }  # fmt: skip
        return _fresh(FUNCTIONAL, made, registered="Functional")

    def _placed(self, value: Any, nodes: Nodes, left: int) -> dict[str, Any]:
        """A layer with its calls."""
        kind = _kind(value)
        made = self._layer(value, left)
        if value.get("name") != made["config"]["name"]:
            raise _Misfit(value, "one name of the layer", "graph")
        calls = value.get("inbound_nodes")
        if not isinstance(calls, list) or len(calls) > 4096 or (kind[1] == "InputLayer") != (not calls):
            raise _Misfit(value, "a list of its calls; none for an input", "graph")
        try:
            read = [nodes.node(one) for one in calls]
        except Unfit as error:
            raise _Misfit(value, str(error), error.rule) from None
        return {**made, "name": made["config"]["name"], "inbound_nodes": read}

    def _sequential(self, value: Mapping[str, Any], left: int) -> dict[str, Any]:
        config = value["config"]
        _keys(config, {"name", "trainable", "dtype", "layers", "build_input_shape"}, {"trainable", "dtype"})
        listed = config["layers"]
        if not isinstance(listed, list) or len(listed) < 2 or _kind(listed[0])[1] != "InputLayer":
            raise Unfit("an Input before the first layer of a Sequential network", "graph")
        several(optional(whole(1)), 1, 8)(config["build_input_shape"])
        layers = [self._layer(one, left) for one in listed]
        if any(one["class_name"] == "InputLayer" for one in layers[1:]):
            raise Unfit("one Input in a Sequential network", "graph")
        made = {
            "name": name(config["name"]), "trainable": flag(config.get("trainable", True)), "layers": layers,
        }  # fmt: skip
        return _fresh(("keras", "Sequential"), made)

    def _layer(self, value: Any, left: int) -> dict[str, Any]:
        kind = _kind(value)
        if kind == FUNCTIONAL or kind in SEQUENTIAL:
            made = self._network(value, left - 1)
        else:
            try:
                made = self._single(value, kind, left)
            except _Misfit:
                raise
            except Unfit as error:
                raise _Misfit(value, str(error), error.rule) from None
        self._count(value, made)
        return made

    def _single(self, value: Mapping[str, Any], kind: tuple[str, str], left: int) -> dict[str, Any]:
        module, found = kind
        if value.get("registered_name") not in (None, found):
            raise Unfit(f"{found} of Keras, received {quoted(value['registered_name'])}", "class")
        config = value["config"]
        if kind in OPERATIONS:
            known = {"name": name, **OPERATIONS[kind]}
            return _fresh(kind, arguments(config, known, ("name",)), registered=found)
        if module != "keras.layers":
            raise Unfit(f"a layer of keras.layers, received {quoted(found)} of {quoted(module)}", "module")
        if found == "InputLayer":
            made = arguments(config, INPUT, ("name", "batch_shape"))
            self._check_elements(made["batch_shape"])
            return _fresh(kind, made)
        if found in WRAPPERS:
            return _fresh(kind, self._wrapped(found, config, left - 1))
        if found not in LAYERS:
            raise Unfit(f"a layer of the closed list, received {quoted(found)}", "class")
        layer = LAYERS[found]
        made = arguments(config, {**COMMON, **layer.arguments}, ("name", *layer.needed))
        self.found.least += layer.least(made)
        if self.found.least > self.limits.parameters:
            raise Unfit(f"at most {self.limits.parameters:,} weights", "size")
        return _fresh(kind, made)

    def _wrapped(self, found: str, config: Any, left: int) -> dict[str, Any]:
        """The arguments of a wrapper, the layers inside it too."""
        if not left:
            raise Unfit(f"at most {self.limits.nesting} networks and wrappers within each other", "size")
        inner = {"layer": lambda one: self._layer(one, left)}
        if found == "Bidirectional":
            inner = {"layer": lambda one: self._recurrent(one, left)}
            inner["backward_layer"] = inner["layer"]
        return arguments(config, {**COMMON, **WRAPPERS[found], **inner}, ("name", "layer"))

    def _recurrent(self, value: Any, left: int) -> dict[str, Any]:
        if _kind(value)[1] not in RECURRENT:
            raise Unfit(f"one of {', '.join(RECURRENT)}", "class")
        return self._layer(value, left)

    def _count(self, value: Mapping[str, Any], made: Mapping[str, Any]) -> None:
        mark = value.get("shared_object_id")
        if mark is not None and made["class_name"] != "InputLayer":  # which has no weights to share
            if isinstance(mark, bool) or not isinstance(mark, int) or mark in self.found.shared:
                raise _Misfit(value, "a layer that one network holds, not two", "graph")
            self.found.shared.add(mark)
        self.found.layers.append((made["config"]["name"], made["class_name"]))
        if len(self.found.layers) > self.limits.layers:
            raise Unfit(f"at most {self.limits.layers:,} layers", "size")

    def _check_elements(self, shape: list[int | None]) -> None:
        total = 1
        for length in shape[1:]:
            total *= length or 1
        if total > self.limits.elements:
            raise Unfit(f"an input of at most {self.limits.elements:,} numbers, received {total:,}", "size")


class _Misfit(Unfit):
    """An `Unfit` that says which layer it is about."""

    def __init__(self, layer: Mapping[str, Any], expected: str, rule: str) -> None:
        super().__init__(expected, rule)
        config = layer.get("config")
        called = config.get("name") if isinstance(config, dict) else None
        self.place = f"layer {quoted(called)} ({quoted(layer.get('class_name'))[1:-1]})"
        self.hint = _HINT


def _kind(value: Any) -> tuple[str, str]:
    """Module and class of an object."""
    if not isinstance(value, dict) or not set(value) <= _LAYER_KEYS:
        raise Unfit("a layer with module, class_name and config", "class")
    module, found = value.get("module"), value.get("class_name")
    if not isinstance(module, str) or not isinstance(found, str) or not isinstance(value.get("config"), dict):
        raise Unfit(
            f"a layer of Keras with its config, received {quoted(found)} of the module {quoted(module)}",
            "class",
        )
    return module, found


def _keys(config: Any, known: set[str], free: set[str]) -> None:
    if not isinstance(config, dict) or not known - free <= set(config) <= known:
        raise Unfit(f"a network with {', '.join(sorted(known))}")


def _fresh(kind: tuple[str, str], config: dict[str, Any], registered: str | None = None) -> dict[str, Any]:
    return {"module": kind[0], "class_name": kind[1], "config": config, "registered_name": registered}
