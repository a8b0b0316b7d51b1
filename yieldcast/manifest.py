"""``store.json``: which files of a store belong together, and where they come from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yieldcast.errors import MissingDataError

FORMAT = 1
FILE = "store.json"
TABLES = ("static", "weather", "yields", "seasonal")
AGAIN = "Run the import or the fetch again: it replaces the table."
_MAKE = "Make one with `yieldcast import` from your own tables or with `yieldcast fetch all`."


def tables_of(manifest: Mapping[str, Any]) -> list[str]:
    """Names of the tables that a manifest lists."""
    return [table for table in TABLES if table in manifest["tables"]]


def read(path: Path) -> dict[str, Any]:
    """The manifest of the store in a folder.

    Raises:
        MissingDataError: none there, or one that is broken or of another format.
    """
    try:
        manifest = json.loads((path / FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise MissingDataError(f"no data store at {path}", _MAKE) from None
    except OSError as error:
        raise MissingDataError(f"the data store at {path} cannot be read: {error}", _MAKE) from error
    except ValueError as error:
        raise MissingDataError(f"{path / FILE} is broken: {error}", AGAIN) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else type(manifest).__name__
        raise MissingDataError(
            f"{path / FILE}: expected store format {FORMAT}, received {found!r}",
            f"It was written by another version of yieldcast. {AGAIN}",
        )
    try:
        entries = [manifest["tables"][t] for t in tables_of(manifest)]
        complete = bool(entries) and all({"file", "fingerprint"} <= entry.keys() for entry in entries)
        complete = complete and {"written", "sources"} <= manifest.keys()
    except (KeyError, AttributeError, TypeError):
        complete = False
    if not complete:
        raise MissingDataError(f"{path / FILE} is broken: entries are missing", AGAIN)
    return manifest


def files_in_use(path: Path) -> set[str]:
    """Names of the files that the store in a folder consists of; none where there is no store."""
    try:
        contents = read(path)
    except MissingDataError:
        return set()
    return {*(str(entry["file"]) for entry in contents["tables"].values()), str(contents.get("mesh"))}
