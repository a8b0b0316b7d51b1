"""Folders written whole or not at all: filled under a hidden name, then renamed."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from yieldcast.disk import refused

_UNFINISHED = ".writing-"


def make_whole(path: Path, fill: Callable[[Path], None]) -> None:
    """Make a folder that appears under its name only when all of it is on the disk.

    Args:
        path: of the folder, which must not be there; its parent must.
        fill: writes the files into the hidden folder that it is given.

    Raises:
        MissingDataError: the disk refuses. What `fill` raises is passed on; either way nothing is left.
    """
    # The process and a random number: processes of several hosts may share a number, and a folder.
    mark = f"{os.getpid()}{secrets.randbelow(10**6):06d}"
    temporary = path.with_name(f"{_UNFINISHED}{path.name}-{mark}")
    try:
        temporary.mkdir()
        fill(temporary)
        for one in (*temporary.rglob("*"), temporary):
            _sync(one)
        os.rename(temporary, path)
        _sync(path.parent)
    except OSError as error:
        raise refused(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_unfinished(parent: Path) -> None:
    """Remove what writers that were killed left behind; only while the parent is held (`disk.alone`)."""
    for place in parent.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(place, ignore_errors=True)


def about(file: Path) -> dict[str, Any]:
    """Size and SHA-256 of a file; OSError where it cannot be read."""
    with open(file, "rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return {"bytes": file.stat().st_size, "sha256": digest}


def _sync(path: Path) -> None:
    if path.is_dir() and os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
