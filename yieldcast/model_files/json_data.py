"""JSON of strangers, read as data: bounded before it is parsed, one meaning only."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any, NoReturn

from yieldcast.model_files.limits import Limits
from yieldcast.model_files.refusal import RefusedModel, quoted

# A string without an end counts to the end of the file, so that every byte is looked at once.
_TOKENS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{},]', re.DOTALL)
_LONGEST_NUMBER = 40  # characters; Keras writes at most 25
_HINT = "Save the model again with Keras 3."


def read_json(content: bytes, name: str, limits: Limits) -> dict[str, Any]:
    """The object of a JSON file.

    Args:
        content: of the file, UTF-8.
        name: of the file, for messages.
        limits: see `Limits`.

    Raises:
        RefusedModel: not JSON, too deep or too large, NaN or infinite numbers, a key twice, or not an object.
    """
    _check_size(content, name, limits)
    try:
        found = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=lambda pairs: _object(pairs, name),
            parse_constant=lambda text: _not_a_number(text, name),
            parse_float=lambda text: _floating(text, name),
            parse_int=lambda text: _whole(text, name),
        )
    except RefusedModel:
        raise
    except (ValueError, RecursionError) as error:
        raise RefusedModel(f"{name} is not JSON: {quoted(str(error))}", _HINT, "json") from None
    if not isinstance(found, dict):
        raise RefusedModel(f"{name}: expected an object, received {quoted(found)}", _HINT, "json")
    return found


def _check_size(content: bytes, name: str, limits: Limits) -> None:
    """Count depth and values without parsing: Python's parser has no bounds of its own."""
    depth = nodes = 0
    for token in _TOKENS.finditer(content):
        mark = content[token.start()]
        if mark in b"[{":
            depth += 1
            nodes += 1
        elif mark in b"]}":
            depth -= 1
        elif mark == 0x2C:
            nodes += 1
        if depth > limits.json_depth:
            raise RefusedModel(
                f"{name}: expected at most {limits.json_depth} objects and lists within each other",
                "Nest fewer networks.", "json",
            )  # fmt: skip
        if nodes > limits.json_nodes:
            raise RefusedModel(
                f"{name}: expected at most {limits.json_nodes:,} values", "Make the network smaller.", "size"
            )


def _object(pairs: list[tuple[str, Any]], name: str) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise RefusedModel(f"{name}: the key {quoted(twice)} is there twice", _HINT, "duplicate")
    return found


def _not_a_number(text: str, name: str) -> NoReturn:
    raise RefusedModel(
        f"{name}: expected finite numbers, received {text}",
        "Find the layer whose argument is not finite, and save the model again.", "json",
    )  # fmt: skip


def _floating(text: str, name: str) -> float:
    value = float(text) if len(text) <= _LONGEST_NUMBER else math.inf
    if not math.isfinite(value):
        _not_a_number(text[:_LONGEST_NUMBER], name)
    return value


def _whole(text: str, name: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise RefusedModel(f"{name}: a number of {len(text):,} digits", _HINT, "json")
    return int(text)
