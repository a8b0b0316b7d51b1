"""Whether two requests to the Climate Data Store ask for the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_fetchers.parts import Record

_ORDERED = ("area", "grid")  # lists whose order means something
_FORMATS = ("data_format", "download_format")  # the server fills these in


def equal(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two requests ask for the same, however their values are written.

    The server keeps a request as lists of texts, adds keys of its own that begin with ``_``, and fills in
    formats (cads_adaptors: adaptors/cds.py, normalise_request; mars.py).
    """
    a, b = _plain(one), _plain(other)
    return all(a.get(key) == b.get(key) for key in a.keys() | b.keys() if not _filled_in(key, a, b))


def _filled_in(key: str, a: Record, b: Record) -> bool:
    return key.startswith("_") or (key in _FORMATS and (key not in a or key not in b))


def _plain(request: Mapping[str, Any]) -> Record:
    lists = {str(k): list(v) if isinstance(v, list | tuple) else [v] for k, v in request.items()}
    texts = {k: [_text(value) for value in values] for k, values in lists.items()}
    return {k: values if k in _ORDERED else sorted(values) for k, values in texts.items()}


def _text(value: Any) -> str:
    try:
        return f"{float(value):.10g}"  # "01", "1", 1 and 1.0 are one
    except (TypeError, ValueError):
        return str(value)
