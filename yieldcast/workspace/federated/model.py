"""The model that a federation trains: a file that is checked before anything is built from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from yieldcast.model_files import build, check

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class ModelFile:
    """A checked model file.

    Args:
        sha256: of the file.
        build: makes the model from what was understood of the file; each call makes another one.
    """

    sha256: str
    build: Callable[[], keras.Model]


def open_model(path: Path) -> ModelFile:
    """Check a model file as a submission's is.

    Raises:
        MissingDataError: no such file.
        SchemaError: the file is refused, and why.
    """
    checked = check(path)
    return ModelFile(checked.sha256, lambda: build(checked))
