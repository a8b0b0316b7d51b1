"""The zip archive of a model file, read into memory with bounds; nothing is unpacked to disk."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from yieldcast.errors import MissingDataError
from yieldcast.model_files.limits import Limits
from yieldcast.model_files.refusal import RefusedModel, quoted

CONFIG, METADATA = "config.json", "metadata.json"
HDF5_WEIGHTS, NPZ_WEIGHTS = "model.weights.h5", "model.weights.npz"
_WEIGHTS = (HDF5_WEIGHTS, NPZ_WEIGHTS)
_START = b"PK\x03\x04"
_HDF5_START = b"\x89HDF\r\n\x1a\n"
_END, _LONGEST_END = b"PK\x05\x06", 22 + 65535  # the end of a directory with its comment
_LARGE_END = b"PK\x06\x07"  # of archives over 4 GB
_LARGEST_DIRECTORY = 4 * 2**20
_CHUNK = 2**20
_HINT = "Save the model with Keras 3: model.save('model.keras')."
# What Python's zipfile raises on damaged archives, found by random changes of bytes.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, NotImplementedError,
    RuntimeError, OverflowError, LookupError, TypeError,
)  # fmt: skip


@dataclass(frozen=True, repr=False)
class Archive:
    """The members of a model file.

    Args:
        config, metadata: contents of the two JSON files.
        weights_name: name of the file of weights.
        weights: its contents.
        sha256: of the whole archive.
    """

    config: bytes
    metadata: bytes
    weights_name: str
    weights: bytes
    sha256: str


def read_archive(path: Path, limits: Limits) -> Archive:
    """The members of a model file, checked.

    Args:
        path: of the file; a regular file, or a symbolic link to one.
        limits: see `Limits`.

    Raises:
        MissingDataError: no such file, or it cannot be read.
        RefusedModel: not a zip archive by its content, or one with other members, links, encryption,
            duplicates, or more bytes than it states.
    """
    content = _file_bytes(path, limits)
    if content[:8] == _HDF5_START:
        raise RefusedModel(
            "expected a .keras archive (zip), received an HDF5 file, the older format of Keras",
            f"{_HINT} Files in the older format can run code when they are loaded.", "archive",
        )  # fmt: skip
    if content[:4] != _START:
        raise RefusedModel("expected a .keras archive (zip), received something else", _HINT, "archive")
    members = read_members(content, "the archive", limits.file_bytes)
    names = set(members)
    held = [name for name in _WEIGHTS if name in names]
    if names != {CONFIG, METADATA, *held} or len(held) != 1:
        strange = sorted(names - {CONFIG, METADATA, *_WEIGHTS})
        missing = sorted({CONFIG, METADATA} - names)
        raise RefusedModel(
            f"expected the members {CONFIG}, {METADATA} and one of {', '.join(_WEIGHTS)}, received "
            f"{', '.join(quoted(name) for name in strange[:3]) or quoted(sorted(names)[:4])}"
            + (f"; missing: {', '.join(missing)}" if missing else ""),
            f"{_HINT} A layer that keeps files beside its weights cannot be submitted.", "member",
        )  # fmt: skip
    for name in (CONFIG, METADATA):
        if len(members[name]) > limits.json_bytes:
            raise RefusedModel(
                f"{name}: expected at most {limits.json_bytes:,} bytes, received {len(members[name]):,}",
                "Make the network smaller.", "size",
            )  # fmt: skip
    digest = hashlib.sha256(content).hexdigest()
    return Archive(members[CONFIG], members[METADATA], held[0], members[held[0]], digest)


def read_members(content: bytes, where: str, most: int) -> dict[str, bytes]:
    """All members of a zip archive, unpacked in memory.

    Args:
        content: of the archive.
        where: what it is, for messages.
        most: bytes of all members together.

    Raises:
        RefusedModel: see `read_archive`.
    """
    members: dict[str, bytes] = {}
    _check_directory(content, where)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            _check_entries(entries, where, most)
            for entry in entries:
                members[entry.filename] = _unpacked(archive, entry, where)
    except RefusedModel:
        raise
    except _DAMAGE as error:
        raise RefusedModel(f"{where} is damaged: {quoted(str(error))}", _HINT, "archive") from None
    return members


def _check_directory(content: bytes, where: str) -> None:
    """Refuse a directory so large that reading it takes the memory that it is to protect."""
    at = content.rfind(_END, max(0, len(content) - _LONGEST_END))
    if at < 0 or at + 22 > len(content):
        raise RefusedModel(f"{where} is damaged: it has no directory", _HINT, "archive")
    (size,) = struct.unpack_from("<I", content, at + 12)
    if size > _LARGEST_DIRECTORY or content[max(0, at - 20) : at].startswith(_LARGE_END):
        raise RefusedModel(f"{where} has a directory of {size:,} bytes, for too many members", _HINT, "size")


def _file_bytes(path: Path, limits: Limits) -> bytes:
    """The file, read once: what was checked is what is built."""
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise RefusedModel(
                    f"{path}: expected a regular file", "Give the path of a .keras file.", "link"
                )
            if facts.st_size > limits.file_bytes:
                raise RefusedModel(
                    f"expected a file of at most {limits.file_bytes:,} bytes, received {facts.st_size:,}",
                    "Make the network smaller, or save it without its optimizer.", "size",
                )  # fmt: skip
            return file.read(facts.st_size)
    except (OSError, ValueError) as error:
        raise MissingDataError(f"{path} cannot be read: {error}", "Give the path of a .keras file.") from None


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe of that name must not stop the checker."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _check_entries(entries: list[zipfile.ZipInfo], where: str, most: int) -> None:
    """Refuse entries by what the archive states of them, before any is unpacked."""
    names = [entry.filename for entry in entries]
    for entry in entries:
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise _refused(where, entry, "is a link or a special file", "link")
        if entry.flag_bits & 0x1 or entry.flag_bits & 0x40:
            raise _refused(where, entry, "is encrypted", "encrypted")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _refused(where, entry, f"is packed by the method {entry.compress_type}", "archive")
    if len(set(names)) != len(names):
        twice = max(names, key=names.count) if len(names) < 100 else names[0]
        raise RefusedModel(f"{where} holds members twice, such as {quoted(twice)}", _HINT, "duplicate")
    total = sum(entry.file_size for entry in entries)
    if total > most:
        raise RefusedModel(
            f"{where}: expected at most {most:,} bytes unpacked, received {total:,}",
            "Make the network smaller, or save it without its optimizer.", "size",
        )  # fmt: skip


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, where: str) -> bytes:
    """One member; the bytes are counted while they arrive, whatever the archive states."""
    parts, count = [], 0
    with archive.open(entry) as stream:
        while part := stream.read(_CHUNK):
            count += len(part)
            if count > entry.file_size:
                raise _refused(where, entry, "unpacks to more bytes than it states", "size")
            parts.append(part)
    if count != entry.file_size:
        raise _refused(where, entry, "unpacks to fewer bytes than it states", "archive")
    return b"".join(parts)


def _refused(where: str, entry: zipfile.ZipInfo, what: str, rule: str) -> RefusedModel:
    return RefusedModel(f"{where}: the member {quoted(entry.filename)} {what}", _HINT, rule)
