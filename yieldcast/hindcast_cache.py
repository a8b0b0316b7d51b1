"""Hindcasts kept in the run: made once for a date, not once for every forecast from the same inputs."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from yieldcast.disk import atomic_write, make_folder
from yieldcast.errors import MissingDataError
from yieldcast.hindcasts import Caster, Raw, hindcasts

if TYPE_CHECKING:
    from yieldcast.prediction import Members

KEPT = 24  # files of a run: two years of monthly issues; about 2 MB each for soybean in Brazil
FORMAT = 1


def kept_hindcasts(
    caster: Caster,
    members: Members,
    harvest_year: int,
    inputs: Mapping[str, str],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Raw:
    """`hindcasts.hindcasts`, read from the run where the same were made before.

    Args:
        caster, members, harvest_year, progress: as there.
        inputs: what the forecast is made from; the same inputs have the same hindcasts.
    """
    what = json.dumps([FORMAT, caster.as_of.isoformat(), members.seeds, dict(inputs)], sort_keys=True)
    folder = caster.run.path / "hindcasts"
    file = folder / f"{caster.as_of}-{hashlib.sha256(what.encode()).hexdigest()[:12]}.npz"
    found = _read(file)
    if found is not None:
        return found
    made = hindcasts(caster, members, harvest_year, progress)
    with suppress(MissingDataError):  # a run that may not be written to serves all the same
        make_folder(folder)
        atomic_write(
            file,
            lambda path: np.savez_compressed(path, **{f.name: getattr(made, f.name) for f in fields(Raw)}),
        )
        for old in sorted(folder.glob("*.npz"), key=lambda path: path.stat().st_mtime)[:-KEPT]:
            old.unlink(missing_ok=True)
    return made


def _read(file: Path) -> Raw | None:
    try:
        with file.open("rb") as opened, np.load(opened) as kept:  # numpy leaves a damaged file open
            return Raw(**{f.name: kept[f.name] for f in fields(Raw)})
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
        return None  # not there, or damaged: made again
