"""Cache of answers on disk: per request one file and one sidecar, always complete or absent.

The folder of a source holds, per request:

    NAME-MARK.nc             the answer, renamed to this name only after it was checked
    NAME-MARK.nc.meta.json   the sidecar: parameters, time, SHA-256, licence, results of the check
    NAME-MARK.nc.job.json    only while the request runs: the service's job, so that a restart finds it
    vintages/                earlier answers that the service has revised since

MARK is a hash of the parameters: other parameters give another file. The new sidecar is written beside the
old one (``.next.json``) before the file is replaced, so a process killed between any two steps leaves either
the earlier answer or all that is needed to finish storing the new one.
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

from yieldcast import clock
from yieldcast.data.files import atomic_text, atomic_write, disk_error, make_folder, remove_leftovers

FORMAT = 1
Record = dict[str, Any]
_SAFE = re.compile(r"[a-z0-9][a-z0-9._-]{0,80}")


@dataclass(frozen=True)
class Request:
    """One request to one service; its answer is one file.

    Args:
        source: name of the source, e.g. ``ibge``.
        name: readable start of the file name: lower-case letters, digits, ``.``, ``_``, ``-``.
        parameters: everything that decides the answer, in types that JSON can hold. Never a key or a token.
        suffix: of the file, with its dot.
    """

    source: str
    name: str
    parameters: Mapping[str, Any]
    suffix: str = ".json"

    def __post_init__(self) -> None:
        if not _SAFE.fullmatch(self.name):
            raise ValueError(f"expected a plain file name, received {self.name!r}")

    def __hash__(self) -> int:
        return hash(self.file)

    @cached_property
    def mark(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of source and parameters."""
        text = json.dumps([self.source, self.parameters], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def file(self) -> str:
        """File name in the cache."""
        return f"{self.name}-{self.mark}{self.suffix}"

    def as_json(self) -> Record:
        """Entries of the sidecar that identify the request."""
        return {"name": self.name, "request": dict(self.parameters), "suffix": self.suffix}


class PendingJob:
    """State of a running request that must survive a crash: the service's job id and what it waits for.

    Args:
        path: JSON file that holds the state.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> Record:
        """Saved values; empty without a readable file."""
        with suppress(OSError, ValueError):
            note = json.loads(self.path.read_text(encoding="utf-8"))
            if isinstance(note, dict):
                return note
        return {}

    def save(self, **values: Any) -> None:
        """Add values; a None removes one."""
        note = {**self.load(), **values}
        atomic_text(self.path, json.dumps({k: v for k, v in note.items() if v is not None}))

    def set_state(self, state: str) -> None:
        """Save what the request waits for, e.g. "queued at the CDS since 12:03", for the progress display."""
        if self.load().get("state") != state:
            self.save(state=state)

    def clear(self) -> None:
        """Delete the file."""
        self.path.unlink(missing_ok=True)


class RequestCache:
    """Answers to the requests of one source, in one folder.

    Args:
        folder: made by `make`; others may read it before that.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Two writers (e.g. a worker that outlived its fetch) must never share a temporary file.
        self._token = secrets.token_hex(4)

    def path(self, request: Request) -> Path:
        """Path of the answer, whether it exists or not."""
        return self.folder / request.file

    def temporary(self, request: Request) -> Path:
        """Path where the answer is written before it is checked; differs between cache objects."""
        return self.folder / f".{request.file}.{self._token}.part"

    def job(self, request: Request) -> PendingJob:
        """State of the request while it runs."""
        return PendingJob(self.folder / f"{request.file}.job.json")

    def verified(self, request: Request, finish: bool = True) -> Record | None:
        """The sidecar of a request whose answer is stored and unchanged (size, SHA-256); None otherwise.

        A request that was split has no answer of its own; its sidecar is enough.

        Args:
            request: any of this source.
            finish: first finish storing an answer that a killed process left half stored. False only reads,
                e.g. while another fetch runs.
        """
        if finish:
            self._finish(request)
        record = _read_record(self._sidecar(request), request)
        if record is None or "split" in record:
            return record
        return record if _holds(self.path(request), record) else None

    def expanded(self, request: Request, finish: bool = True) -> Iterator[tuple[Request, Record | None]]:
        """The request, or the smaller ones it was split into, each with the result of `verified`."""
        record = self.verified(request, finish)
        if record is None or "split" not in record:
            yield request, record
            return
        for child in children(request, record):
            yield from self.expanded(child, finish)

    def leaves(self, request: Request) -> Iterator[tuple[Request, Path, Record]]:
        """Request, file and sidecar of each verified answer: one, or those of the smaller requests."""
        for leaf, record in self.expanded(request):
            if record is not None:
                yield leaf, self.path(leaf), record

    def complete(self, request: Request) -> bool:
        """Whether the request, or every smaller one it was split into, has a verified answer."""
        return all(record is not None for _, record in self.expanded(request))

    def commit(self, request: Request, record: Record) -> bool:
        """Store the checked temporary file and its sidecar.

        Returns:
            True when it replaced an answer with other contents, which is kept in ``vintages``.

        Raises:
            MissingDataError: the disk refuses.
        """
        temporary, final = self.temporary(request), self.path(request)
        try:
            with open(temporary, "r+b") as file:
                os.fsync(file.fileno())
        except OSError as error:
            raise disk_error(temporary, error) from error
        record = {**record, "bytes": temporary.stat().st_size, "sha256": _sha256(temporary)}
        atomic_text(self._next(request), _dump(request, record))
        revised = self._keep_vintage(request, record["sha256"])
        os.replace(temporary, final)
        os.replace(self._next(request), self._sidecar(request))
        self.job(request).clear()
        return revised

    def commit_split(self, request: Request, requests: list[Request], record: Record) -> None:
        """Record that a request was too large and which requests replace it."""
        self._keep_vintage(request, "")
        split = [smaller.as_json() for smaller in requests]
        atomic_text(self._sidecar(request), _dump(request, {**record, "split": split}))
        self.temporary(request).unlink(missing_ok=True)
        self.job(request).clear()

    def remove_leftovers(self) -> None:
        """Remove files of killed writers, unless storing them had begun. No other writer may run."""
        remove_leftovers(self.folder)
        for file in self.folder.glob(".*.part"):
            name = file.name[1:].rsplit(".", 2)[0]
            if not (self.folder / f"{name}.next.json").exists():
                file.unlink(missing_ok=True)

    def forget(self, request: Request) -> None:
        """Remove the sidecar of an answer that proved incomplete, so that it is requested again.

        Raises:
            MissingDataError: the disk refuses.
        """
        try:
            self._sidecar(request).unlink(missing_ok=True)
        except OSError as error:
            raise disk_error(self._sidecar(request), error) from error

    def make(self) -> None:
        """Create the folder."""
        make_folder(self.folder)

    def _sidecar(self, request: Request) -> Path:
        return self.folder / f"{request.file}.meta.json"

    def _next(self, request: Request) -> Path:
        return self.folder / f"{request.file}.next.json"

    def _finish(self, request: Request) -> None:
        waiting = self._next(request)
        if not waiting.exists():
            return
        record = _read_record(waiting, request)
        for temporary in self.folder.glob(f".{glob.escape(request.file)}.*.part"):
            if record is not None and _holds(temporary, record):
                self._keep_vintage(request, record["sha256"])
                os.replace(temporary, self.path(request))
        if record is not None and _holds(self.path(request), record):
            os.replace(waiting, self._sidecar(request))
            self.job(request).clear()
        else:
            waiting.unlink(missing_ok=True)

    def _keep_vintage(self, request: Request, sha256: str) -> bool:
        old = _read_record(self._sidecar(request), request)
        if old is None or old.get("sha256") == sha256 or not _holds(self.path(request), old):
            return False
        vintages = self.folder / "vintages"
        make_folder(vintages)
        stamp = re.sub(r"[^0-9]", "", str(old["fetched"]))[:14]
        kept = vintages / f"{request.name}-{request.mark}-{stamp}{request.suffix}"
        _keep(self.path(request), kept)
        _keep(self._sidecar(request), kept.with_name(f"{kept.name}.meta.json"))
        return True


def children(request: Request, record: Record) -> list[Request]:
    """Requests that a split request's sidecar lists; none for one that was not split."""
    return [Request(request.source, c["name"], c["request"], c["suffix"]) for c in record.get("split", [])]


def timestamp() -> str:
    """Current UTC time as text, as sidecars hold it."""
    return clock.now().isoformat(timespec="seconds")


def fetched_on(record: Mapping[str, Any]) -> dt.date:
    """The day on which an answer was fetched."""
    return dt.datetime.fromisoformat(str(record["fetched"])).date()


def _dump(request: Request, record: Record) -> str:
    whole = {"format": FORMAT, "source": request.source, **request.as_json(), **record}
    return json.dumps(whole, indent=1, ensure_ascii=False)


def _read_record(path: Path, request: Request) -> Record | None:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        return None
    # Through JSON once: parameters may hold tuples, a sidecar holds lists.
    same = record.get("request") == json.loads(json.dumps(dict(request.parameters)))
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
