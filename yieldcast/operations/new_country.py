"""The beginning of a country: a commented ``country.toml``, a calendar and synthetic tables."""

from __future__ import annotations

from pathlib import Path

from calendars.country import SKELETON
from yieldcast.data import synthetic
from yieldcast.data.files import atomic_text, make_folder
from yieldcast.errors import ConfigError

_TABLES = ("places.csv", "yields.csv", "soil.csv", "weather.nc")  # of `synthetic.write_files`


def write_skeleton(folder: Path) -> list[Path]:
    """Write the files of a made-up country, which a user changes to those of a real one.

    Its tables are synthetic and complete, so that the commands of the README beside them run as they are.

    Args:
        folder: made if it does not exist.

    Returns:
        the files written.

    Raises:
        ConfigError: the folder holds a file of the same name; nothing is written.
        MissingDataError: the disk refuses.
    """
    sources = sorted(path for path in SKELETON.iterdir() if path.is_file())
    names = sorted({*(path.name for path in sources), *_TABLES})
    if there := [name for name in names if (folder / name).exists()]:
        raise ConfigError(
            f"{folder} already holds {', '.join(there)}", "Give a new folder: nothing is overwritten."
        )
    make_folder(folder)
    for path in sources:
        atomic_text(folder / path.name, path.read_text(encoding="utf-8"))
    synthetic.write_files(folder, synthetic.northern())
    return [folder / name for name in names]
