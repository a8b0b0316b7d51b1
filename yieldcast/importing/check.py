"""The faults of a user's files, all at once: each file is read on its own, and nothing is written."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from calendars import CalendarError
from yieldcast.data.files import atomic_text
from yieldcast.errors import YieldcastError
from yieldcast.importing.columns import ImportLog, Line

_Table = TypeVar("_Table")
FORMAT = 1


@dataclass(frozen=True)
class Fault:
    """A file that an import refuses.

    Args:
        table: that was to be made of it.
        file: its path.
        error: what is wrong and what to do.
    """

    table: str
    file: str
    error: YieldcastError | CalendarError


@dataclass
class Reader:
    """Reads files one after the other, and keeps what went wrong.

    Args:
        collect: keep the errors in `faults` and go on; otherwise the first one is raised.
        log: what was read, left out and is missing.
        faults: files that are refused.
        unchecked: table -> table that must be read first and was refused.
    """

    collect: bool = False
    log: ImportLog = field(default_factory=ImportLog)
    faults: list[Fault] = field(default_factory=list)
    unchecked: dict[str, str] = field(default_factory=dict)

    def read(self, table: str, file: Path, how: Callable[[], _Table], origin: bool = True) -> _Table | None:
        """What `how` returns; None where it is refused and errors are collected.

        Args:
            table: that is made of the file.
            file: its path.
            how: reads it.
            origin: record the file as the origin of the table.
        """
        try:
            made = how()
            if origin:
                self.log.sources[table] = {"file": str(file), "bytes": file.stat().st_size}
            return made
        except (YieldcastError, CalendarError) as error:
            if not self.collect:
                raise
            self.faults.append(Fault(table, str(file), error))
            return None


def write_document(
    path: Path | None, reader: Reader, store: Path, fingerprints: Mapping[str, str] | None
) -> None:
    """Write `document` as JSON, if a path is given.

    Raises:
        MissingDataError: the disk refuses.
    """
    if path is not None:
        atomic_text(path, json.dumps(document(reader, store, fingerprints), indent=2, ensure_ascii=False))


def document(reader: Reader, store: Path, fingerprints: Mapping[str, str] | None) -> dict[str, Any]:
    """What an import or its check found, as values for JSON.

    Args:
        reader: after all files were read.
        store: folder of the store.
        fingerprints: of the tables that were written; None where nothing was.
    """
    log = reader.log
    return {
        "format": FORMAT,
        "store": str(store),
        "written": fingerprints is not None,
        "fingerprints": dict(fingerprints or {}),
        "read": _lines(log.read),
        "dropped": _lines(log.dropped),
        "warnings": _lines(log.warnings),
        "faults": [
            {
                "table": fault.table, "file": fault.file, "error": str(fault.error),
                "hint": fault.error.hint, "exit_code": fault.error.exit_code,
            }
            for fault in reader.faults
        ],
        "unchecked": [{"table": table, "because_of": cause} for table, cause in reader.unchecked.items()],
        "places_without": {table: list(codes) for table, codes in log.places_without.items()},
    }  # fmt: skip


def _lines(lines: list[Line]) -> list[dict[str, Any]]:
    return [{"table": table, "what": text, "count": count} for table, text, count in lines]
