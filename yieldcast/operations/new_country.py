"""The beginning of a country: a commented ``country.toml`` and examples of its tables."""

from __future__ import annotations

from pathlib import Path

from calendars.country import SKELETON
from yieldcast.data.files import atomic_text, make_folder
from yieldcast.errors import ConfigError


def write_skeleton(folder: Path) -> list[Path]:
    """Write the files of a made-up country, which a user changes to those of a real one.

    Args:
        folder: made if it does not exist.

    Returns:
        the files written.

    Raises:
        ConfigError: the folder holds a file of the same name; nothing is written.
        MissingDataError: the disk refuses.
    """
    sources = sorted(path for path in SKELETON.iterdir() if path.is_file())
    if there := [path.name for path in sources if (folder / path.name).exists()]:
        raise ConfigError(
            f"{folder} already holds {', '.join(there)}", "Give a new folder: nothing is overwritten."
        )
    make_folder(folder)
    for path in sources:
        atomic_text(folder / path.name, path.read_text(encoding="utf-8"))
    return [folder / path.name for path in sources]
