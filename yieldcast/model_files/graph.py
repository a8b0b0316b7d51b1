"""How layers of a network are joined: the nodes of its graph, read as data, and an order of its calls."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from yieldcast.model_files.keras_objects import NUMBERS
from yieldcast.model_files.values import Unfit, choice, flag, name, nested_numbers, optional, several, whole

TENSOR = "__keras_tensor__"
# Names of the arguments with which the layers of the closed list are called.
_KEYWORDS = {
    "training", "mask", "initial_state", "inputs", "sequence", "sequences", "query", "value", "key",
    "query_mask", "value_mask", "key_mask", "attention_mask", "return_attention_scores", "use_causal_mask",
    "x", "x1", "x2", "xs",
}  # fmt: skip
_DEEPEST = 6
_MOST_TENSORS = 4096
_index = whole(0, 65535)
_position = optional(whole(-(2**31), 2**31))
_constant = nested_numbers()


class Nodes:
    """Reads the nodes of the layers of one network.

    Args:
        calls: number of calls of each layer, by name.
    """

    def __init__(self, calls: Mapping[str, int]) -> None:
        self.calls = calls

    def node(self, value: Any) -> dict[str, Any]:
        """One call of a layer: its arguments and those by name."""
        if not isinstance(value, dict) or set(value) != {"args", "kwargs"}:
            raise Unfit("a call with args and kwargs, as Keras 3 writes it", "graph")
        args, kwargs = value["args"], value["kwargs"]
        if not isinstance(args, list) or len(args) > 64 or not isinstance(kwargs, dict):
            raise Unfit("a list of args and an object of kwargs", "graph")
        strange = sorted(set(kwargs) - _KEYWORDS, key=ascii)
        if strange:
            raise Unfit(f"no argument {ascii(strange[0])[:80]} of a call", "graph")
        return {
            "args": [self._argument(one, _DEEPEST) for one in args],
            "kwargs": {key: self._argument(one, _DEEPEST) for key, one in kwargs.items()},
        }

    def ends(self, value: Any) -> Any:
        """The inputs or outputs of a network: one tensor, a list of tensors or an object of them."""
        if isinstance(value, dict):
            if not 0 < len(value) <= _MOST_TENSORS:
                raise Unfit("some tensors", "graph")
            return {key: self.history(one) for key, one in value.items()}
        if isinstance(value, list) and value and all(isinstance(one, list) for one in value):
            return [self.history(one) for one in value[:_MOST_TENSORS]]
        return self.history(value)

    def history(self, value: Any) -> list[Any]:
        """Layer, position of its call and of the tensor in what it returns."""
        known = isinstance(value, list) and len(value) == 3 and isinstance(value[0], str)
        if not known or value[0] not in self.calls:
            raise Unfit("a tensor of a layer of this network: [name, call, tensor]", "graph")
        return [value[0], _index(value[1]), _index(value[2])]

    def _argument(self, value: Any, left: int) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, (int, float)):
            return _constant(value)
        if isinstance(value, list) and left:
            if len(value) > _MOST_TENSORS:
                raise Unfit(f"at most {_MOST_TENSORS} tensors", "graph")
            return [self._argument(one, left - 1) for one in value]
        if isinstance(value, dict) and set(value) == {"class_name", "config"}:
            return {"class_name": value["class_name"], "config": self._object(value)}
        if isinstance(value, dict) and left and "class_name" not in value and len(value) <= _MOST_TENSORS:
            return {name(key): self._argument(one, left - 1) for key, one in value.items()}
        raise Unfit("tensors, numbers, slices and lists of them", "graph")

    def _object(self, value: Mapping[str, Any]) -> dict[str, Any]:
        kind, config = value["class_name"], value["config"]
        keys = set(config) if isinstance(config, dict) else None
        if kind == TENSOR and keys == {"shape", "dtype", "keras_history"}:
            shape = several(optional(whole(0)), 0, 8)(config["shape"])
            history = self.history(config["keras_history"])
            return {"shape": shape, "dtype": choice(*NUMBERS)(config["dtype"]), "keras_history": history}
        if kind == "__slice__" and keys == {"start", "stop", "step"}:
            return {key: _position(config[key]) for key in ("start", "stop", "step")}
        if kind == "__ellipsis__" and keys == set():
            return {}
        if kind in ("__tensor__", "__numpy__") and keys == {"value", "dtype"}:
            kept = config["value"]
            truths = flag(kept) if isinstance(kept, bool) else _constant(kept)
            return {"value": truths, "dtype": choice(*NUMBERS)(config["dtype"])}
        raise Unfit("a tensor, a constant, a slice or an ellipsis", "class")


def tensors_of(value: Any) -> Iterator[list[Any]]:
    """[layer, call, tensor] of all tensors among the arguments of a call that was read."""
    if isinstance(value, list):
        for one in value:
            yield from tensors_of(one)
    elif isinstance(value, dict):
        if value.get("class_name") == TENSOR:
            yield value["config"]["keras_history"]
        else:
            for one in value.values():
                yield from tensors_of(one)


def call_order(layers: Sequence[Mapping[str, Any]]) -> list[tuple[int, int]]:
    """An order in which every call finds its tensors: position of the layer, position of its call.

    Args:
        layers: of the fresh config of a network.

    Raises:
        Unfit: the calls wait for each other, or for a call that is not there.
    """
    place = {layer["name"]: k for k, layer in enumerate(layers)}
    waiting: dict[tuple[int, int], int] = {}
    after: dict[tuple[int, int], list[tuple[int, int]]] = {}
    ready: deque[tuple[int, int]] = deque()
    for k, layer in enumerate(layers):
        for i, node in enumerate(layer["inbound_nodes"]):
            needed = {(place[one[0]], one[1]) for one in tensors_of(node)}
            # InputLayers are there before the first call.
            needed = {one for one in needed if layers[one[0]]["inbound_nodes"] or one[1]}
            if i:
                needed.add((k, i - 1))
            waiting[(k, i)] = len(needed)
            for one in needed:
                after.setdefault(one, []).append((k, i))
            if not needed:
                ready.append((k, i))
    order = []
    while ready:
        done = ready.popleft()
        order.append(done)
        for one in after.get(done, ()):
            waiting[one] -= 1
            if not waiting[one]:
                ready.append(one)
    if len(order) != len(waiting):
        stuck = next(one for one, count in waiting.items() if count)
        raise Unfit(f"a graph without loops; {layers[stuck[0]]['name']!r} waits for its own output", "graph")
    return order
