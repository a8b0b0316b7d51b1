"""A first look at a whole config: what no part of it may hold, at any depth and in any place.

The grammar reads layers; this look also covers what the grammar leaves out, such as losses and optimisers,
and gives the published faults messages of their own.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from yieldcast.model_files.layer_table import FORBIDDEN
from yieldcast.model_files.networks import FUNCTIONAL
from yieldcast.model_files.operation_table import CORE, MATH, NN, NUMPY
from yieldcast.model_files.refusal import RefusedModel, quoted
from yieldcast.model_files.values import like_path

MODULES = frozenset({
    "keras", "keras.layers", "keras.models", "keras.initializers", "keras.regularizers", "keras.constraints",
    "keras.optimizers", "keras.optimizers.schedules", "keras.losses", "keras.metrics", "keras.dtype_policies",
    FUNCTIONAL[0], NUMPY, NN, CORE, MATH,
})  # fmt: skip
_WITHOUT_MODULE = ("__keras_tensor__", "__tensor__", "__numpy__", "__slice__", "__ellipsis__")
_OWN_CODE = (
    "A file may hold layers of Keras only. Rebuild the part with them, or compile and save the model with "
    "losses and metrics by their names."
)


def refuse_faults(config: Any, own: Collection[tuple[str, str]] = ()) -> None:
    """Refuse code, foreign modules and texts that look like a path.

    Args:
        config: of a file.
        own: module and class of yieldcast's own models that are expected; texts are not looked at then.

    Raises:
        RefusedModel: one of them was found.
    """
    waiting = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict):
            if "class_name" in value:
                _check_object(value, own)
            waiting.extend(value.values())
            if not own:
                waiting.extend(value)
        elif not own and like_path(value):
            raise RefusedModel(
                f"expected names and words, received the text {quoted(value)}, which looks like a path or an "
                "address",
                "A model file may name no file and no address: rename the layer, or leave the layer out.",
                "path",
            )


def _check_object(value: dict[str, Any], own: Collection[tuple[str, str]]) -> None:
    found, module, registered = (value.get(key) for key in ("class_name", "module", "registered_name"))
    if isinstance(found, str) and found in FORBIDDEN:
        rule, why = FORBIDDEN[found]
        raise RefusedModel(
            f"expected layers of the closed list, received {quoted(value_name(value))}: {why}",
            _OWN_CODE,
            rule,
        )
    if (isinstance(module, str) and isinstance(found, str) and (module, found) in own) or (
        found in _WITHOUT_MODULE and set(value) == {"class_name", "config"}
    ):
        return
    if not isinstance(module, str) or module not in MODULES:
        raise RefusedModel(
            f"expected classes of Keras, received {quoted(found)} of the module {quoted(module)}", _OWN_CODE,
            "module",
        )  # fmt: skip
    if registered is not None and registered != found:
        raise RefusedModel(
            f"expected the class {quoted(found)} of Keras, received the registered name {quoted(registered)}",
            _OWN_CODE, "class",
        )  # fmt: skip


def value_name(value: dict[str, Any]) -> str:
    """What an object is called, for messages: its class and name."""
    config = value.get("config")
    named = config.get("name") if isinstance(config, dict) else config
    return f"{value['class_name']} {named}" if isinstance(named, str) else str(value["class_name"])
