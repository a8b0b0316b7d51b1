"""Parts of a training that are done, kept until all of it is: a stopped training continues from there."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.data.files import atomic_text, atomic_write, make_folder
from yieldcast.errors import ConfigError

FOLDER = "unfinished"
_MARK = "training.json"
Arrays = list[NDArray[Any]]


class Unfinished:
    """The folder of the parts.

    Args:
        run: run directory; None keeps nothing.
        mark: of series, settings and weights: only parts of the same training are used.

    Raises:
        ConfigError: the folder holds parts of another training.
    """

    def __init__(self, run: Path | None, mark: str) -> None:
        self.folder = run and run / FOLDER
        self.mark = mark
        if self.folder and (self.folder / _MARK).is_file():
            found = json.loads((self.folder / _MARK).read_text(encoding="utf-8"))["mark"]
            if found != mark:
                raise ConfigError(
                    f"{run} holds parts of a training with other series, settings or weights",
                    "Choose another --out, or delete this directory.",
                )

    def part(self, name: str, make: Callable[[], Arrays]) -> Arrays:
        """Arrays of a part, made now unless they are there."""
        if self.folder is None:
            return make()
        file = self.folder / f"{name}.npz"
        if file.is_file():
            try:
                with np.load(file, allow_pickle=False) as kept:
                    return [kept[f"arr_{k}"] for k in range(len(kept.files))]
            except (ValueError, OSError, KeyError, zipfile.BadZipFile):
                file.unlink()  # damaged: made again
        made = make()
        make_folder(self.folder)
        atomic_text(self.folder / _MARK, json.dumps({"mark": self.mark}) + "\n")
        atomic_write(file, lambda temporary: _save(temporary, made))
        return made


def remove_parts(run: Path) -> None:
    """Remove the parts of a run that is written."""
    shutil.rmtree(run / FOLDER, ignore_errors=True)


def _save(temporary: Path, arrays: Arrays) -> None:
    with open(temporary, "wb") as file:
        np.savez(file, *arrays)
