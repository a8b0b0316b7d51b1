"""Parts on disk: one request, one file, one sidecar; each whole or not at all, whenever the process dies.

A source's shelf holds, per part:

    NAME-MARK.nc             the file, renamed to this name only after it was checked
    NAME-MARK.nc.meta.json   the sidecar: request, time, sha256, licence, what the check found
    NAME-MARK.nc.job.json    only while it is under way: the service's job, so that a restart finds it again
    vintages/                earlier files of parts that a service has revised since

MARK is a hash of the request, so another request is another file. The new sidecar is written beside the old
one (``.next.json``) before the file takes its place: a process killed between any two steps leaves either the
earlier part or everything that is needed to finish the new one.
"""

from __future__ import annotations

import datetime as dt
import glob
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from shutil import copyfile
from typing import Any

from data_fetchers.engine import clock
from yieldcast.data.files import atomic_text, atomic_write, disk_error, make_folder, remove_leftovers

FORMAT = 1
Record = dict[str, Any]
_SAFE = re.compile(r"[a-z0-9][a-z0-9._-]{0,80}")


@dataclass(frozen=True)
class Request:
    """One request to one service, and the file that its answer becomes.

    Args:
        source: name of the source, e.g. ``ibge``.
        name: readable part of the file name: lower case letters, digits, ``.``, ``_``, ``-``.
        request: everything that decides the contents, as JSON can hold it. Never a key or a token.
        suffix: of the file, with its dot.
    """

    source: str
    name: str
    request: Mapping[str, Any]
    suffix: str = ".json"

    def __post_init__(self) -> None:
        if not _SAFE.fullmatch(self.name):
            raise ValueError(f"expected a plain file name, received {self.name!r}")

    def __hash__(self) -> int:
        return hash(self.file)

    @cached_property
    def mark(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of source and request."""
        text = json.dumps([self.source, self.request], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def file(self) -> str:
        """File name on the shelf."""
        return f"{self.name}-{self.mark}{self.suffix}"

    def as_json(self) -> Record:
        """What a sidecar keeps of it."""
        return {"name": self.name, "request": dict(self.request), "suffix": self.suffix}


class PendingJob:
    """What must survive a crash while a part is under way: the service's job id, and what it waits for.

    Args:
        path: the note's file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> Record:
        """The note, empty when there is none or it cannot be read."""
        with suppress(OSError, ValueError):
            note = json.loads(self.path.read_text(encoding="utf-8"))
            if isinstance(note, dict):
                return note
        return {}

    def save(self, **values: Any) -> None:
        """Add values to the note; a None removes one."""
        note = {**self.load(), **values}
        atomic_text(self.path, json.dumps({k: v for k, v in note.items() if v is not None}))

    def say(self, state: str) -> None:
        """Say what is being waited for, e.g. "queued at the CDS since 12:03"; progress shows it."""
        if self.load().get("state") != state:
            self.save(state=state)

    def clear(self) -> None:
        """Forget it."""
        self.path.unlink(missing_ok=True)


class RequestCache:
    """The parts of one source in one folder.

    Args:
        folder: made when the first part is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Another writer, a worker that outlived its fetch, say, must never write into this one's file.
        self._token = secrets.token_hex(4)

    def path(self, part: Request) -> Path:
        """Where the part's file lies, or will."""
        return self.folder / part.file

    def temporary(self, part: Request) -> Path:
        """Where the part's file is written before it is checked; another place for every shelf object."""
        return self.folder / f".{part.file}.{self._token}.part"

    def job(self, part: Request) -> PendingJob:
        """The part's note while it is under way."""
        return PendingJob(self.folder / f"{part.file}.job.json")

    def verified(self, part: Request, finish: bool = True) -> Record | None:
        """The sidecar of a part whose file is here, whole and as written; None otherwise.

        A commit that was cut off is finished first, unless `finish` is False: a look beside a fetch that is
        at work. A split part is verified by its sidecar alone.
        """
        if finish:
            self._finish(part)
        record = _read_record(self._sidecar(part), part)
        if record is None or "split" in record:
            return record
        return record if _holds(self.path(part), record) else None

    def below(self, part: Request, finish: bool = True) -> Iterator[tuple[Request, Record | None]]:
        """The part, or those that it was split into, each with its sidecar (`verified`)."""
        record = self.verified(part, finish)
        if record is None or "split" not in record:
            yield part, record
            return
        for child in children(part, record):
            yield from self.below(child, finish)

    def leaves(self, part: Request) -> Iterator[tuple[Request, Path, Record]]:
        """The verified files that a part stands for: its own, or those of the parts it was split into."""
        for leaf, record in self.below(part):
            if record is not None:
                yield leaf, self.path(leaf), record

    def complete(self, part: Request) -> bool:
        """Whether the part, or every one of those that it was split into, is verified."""
        return all(record is not None for _, record in self.below(part))

    def commit(self, part: Request, record: Record) -> bool:
        """Put the checked temporary file in its place, with its sidecar.

        Returns:
            True when it replaced an earlier file with other contents; that one is kept in ``vintages``.
        """
        temporary, final = self.temporary(part), self.path(part)
        try:
            with open(temporary, "r+b") as file:
                os.fsync(file.fileno())
        except OSError as error:
            raise disk_error(temporary, error) from error
        record = {**record, "bytes": temporary.stat().st_size, "sha256": _sha256(temporary)}
        atomic_text(self._next(part), _dump(part, record))
        revised = self._keep_vintage(part, record["sha256"])
        os.replace(temporary, final)
        os.replace(self._next(part), self._sidecar(part))
        self.job(part).clear()
        return revised

    def commit_split(self, part: Request, parts: list[Request], record: Record) -> None:
        """Note that a part was too big and which parts stand for it."""
        self._keep_vintage(part, "")
        atomic_text(self._sidecar(part), _dump(part, {**record, "split": [p.as_json() for p in parts]}))
        self.temporary(part).unlink(missing_ok=True)
        self.job(part).clear()

    def remove_leftovers(self) -> None:
        """Remove what killed writers left, except files whose commit had begun; nobody else may write now."""
        remove_leftovers(self.folder)
        for file in self.folder.glob(".*.part"):
            name = file.name[1:].rsplit(".", 2)[0]
            if not (self.folder / f"{name}.next.json").exists():
                file.unlink(missing_ok=True)

    def forget(self, part: Request) -> None:
        """Remove the sidecar of an answer that others have shown not to be whole: it is asked for again.

        Raises:
            MissingDataError: the disk refuses.
        """
        try:
            self._sidecar(part).unlink(missing_ok=True)
        except OSError as error:
            raise disk_error(self._sidecar(part), error) from error

    def make(self) -> None:
        """Make the folder."""
        make_folder(self.folder)

    def _sidecar(self, part: Request) -> Path:
        return self.folder / f"{part.file}.meta.json"

    def _next(self, part: Request) -> Path:
        return self.folder / f"{part.file}.next.json"

    def _finish(self, part: Request) -> None:
        waiting = self._next(part)
        if not waiting.exists():
            return
        record = _read_record(waiting, part)
        for temporary in self.folder.glob(f".{glob.escape(part.file)}.*.part"):
            if record is not None and _holds(temporary, record):
                self._keep_vintage(part, record["sha256"])
                os.replace(temporary, self.path(part))
        if record is not None and _holds(self.path(part), record):
            os.replace(waiting, self._sidecar(part))
            self.job(part).clear()
        else:
            waiting.unlink(missing_ok=True)

    def _keep_vintage(self, part: Request, sha256: str) -> bool:
        old = _read_record(self._sidecar(part), part)
        if old is None or old.get("sha256") == sha256 or not _holds(self.path(part), old):
            return False
        vintages = self.folder / "vintages"
        make_folder(vintages)
        stamp = re.sub(r"[^0-9]", "", str(old["fetched"]))[:14]
        kept = vintages / f"{part.name}-{part.mark}-{stamp}{part.suffix}"
        _keep(self.path(part), kept)
        _keep(self._sidecar(part), kept.with_name(f"{kept.name}.meta.json"))
        return True


def children(part: Request, record: Record) -> list[Request]:
    """The parts that a split part's sidecar names; none for one that was not split."""
    return [Request(part.source, c["name"], c["request"], c["suffix"]) for c in record.get("split", [])]


def timestamp() -> str:
    """Now, in UTC, as sidecars hold it."""
    return clock.now().isoformat(timespec="seconds")


def fetched_on(record: Mapping[str, Any]) -> dt.date:
    """The day on which a part was fetched."""
    return dt.datetime.fromisoformat(str(record["fetched"])).date()


def _dump(part: Request, record: Record) -> str:
    whole = {"format": FORMAT, "source": part.source, **part.as_json(), **record}
    return json.dumps(whole, indent=1, ensure_ascii=False)


def _read_record(path: Path, part: Request) -> Record | None:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        return None
    # Through JSON once: a request may hold tuples, a sidecar lists.
    same = record.get("request") == json.loads(json.dumps(dict(part.request)))
    return record if same and "fetched" in record else None


def _holds(path: Path, record: Mapping[str, Any]) -> bool:
    try:
        return bool(path.stat().st_size == record["bytes"] and _sha256(path) == record["sha256"])
    except (OSError, KeyError):
        return False


def _copy(path: Path, target: Path) -> None:
    copyfile(path, target)


def _keep(path: Path, kept: Path) -> None:
    try:
        os.link(path, kept)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        atomic_write(kept, lambda temporary: _copy(path, temporary))


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
