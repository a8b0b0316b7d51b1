"""Models of yieldcast's own classes: a closed entry of each, given by the room that holds the class."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from yieldcast.model_files.keras_objects import dtype
from yieldcast.model_files.layer_table import Arguments
from yieldcast.model_files.refusal import RefusedModel, quoted
from yieldcast.model_files.values import Unfit, arguments, flag, name

_KEYS = {
    "module",
    "class_name",
    "config",
    "registered_name",
    "shared_object_id",
    "build_config",
    "compile_config",
}
_HINT = "Make the file again with the version of yieldcast that wrote it."


@dataclass(frozen=True)
class OwnModel:
    """A registered class of yieldcast that may be the model of a file.

    Args:
        registered_name: "package>class", as Keras writes it.
        module: of the class.
        arguments: of its config.
        nested: arguments that hold a model of another own class, by its registered name.
        make: the model from its arguments.
    """

    registered_name: str
    module: str
    arguments: Arguments
    make: Callable[..., Any]
    nested: Mapping[str, str] = field(default_factory=dict)


def own_config(value: Any, own: Sequence[OwnModel]) -> dict[str, Any]:
    """The fresh config of a model of an own class: its registered name and its arguments.

    Args:
        value: of the file.
        own: the classes that are expected.

    Raises:
        RefusedModel: another class, or arguments that it does not have.
    """
    known = {one.registered_name: one for one in own}
    found = value.get("registered_name") if isinstance(value, Mapping) else None
    entry = known.get(found) if isinstance(found, str) else None
    if entry is None or not set(value) <= _KEYS or value.get("module") != entry.module:
        raise RefusedModel(f"expected one of {', '.join(known)}, received {quoted(found)}", _HINT, "class")
    inner = {key: _nested(known[within], own) for key, within in entry.nested.items()}
    readers = {"name": name, "trainable": flag, "dtype": dtype, **entry.arguments, **inner}
    try:
        config = arguments(value.get("config"), readers, tuple(entry.nested))
    except Unfit as error:
        raise RefusedModel(f"{found}: expected {error}", _HINT, error.rule) from None
    return {"class_name": found, "config": config}


def _nested(entry: OwnModel, own: Sequence[OwnModel]) -> Any:
    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or value.get("registered_name") != entry.registered_name:
            raise Unfit(entry.registered_name, "class")
        return own_config(value, own)

    return read


def make_own(fresh: Mapping[str, Any], own: Sequence[OwnModel]) -> Any:
    """The model of a fresh config of `own_config`, with weights that are not loaded yet."""
    entry = next(one for one in own if one.registered_name == fresh["class_name"])
    made = dict(fresh["config"])
    for key in entry.nested:
        made[key] = make_own(made[key], own)
    return entry.make(**made)
