"""Model files for tests: valid ones, and the same with other members or another config."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"


def saved(model: Any, path: Path) -> Path:
    """The file of a Keras model."""
    model.save(path)
    return path


def members(content: bytes) -> dict[str, bytes]:
    """Contents of an archive by name."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(parts: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of these members."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", method) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return held.getvalue()


def with_config(content: bytes, config: Any) -> bytes:
    """The same archive with another config."""
    return packed({**members(content), CONFIG: json.dumps(config).encode()})


def config_of(content: bytes) -> dict[str, Any]:
    """The config of an archive."""
    made: dict[str, Any] = json.loads(members(content)[CONFIG])
    return made
