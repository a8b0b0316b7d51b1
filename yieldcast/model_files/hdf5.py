"""Arrays of an HDF5 file of weights, read without the HDF5 library.

The library is written in C, and files of strangers have made it read and write outside its memory. What
Keras writes is a small part of the format: superblock version 0, groups by symbol tables, datasets in one
piece. This reads that part, in bounds, and refuses the rest: other links than hard ones, external and virtual
storage, filters, types that are not numbers. Source: HDF5 File Format Specification, version 3.0 (The HDF
Group).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.model_files.refusal import RefusedModel, quoted

Weights = dict[str, dict[str, NDArray[Any]]]  # arrays by path of their layer and by their number
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_NOWHERE = 2**64 - 1
_MOST_OBJECTS = 200_000
_MOST_MESSAGES = 4096
_MOST_STEPS = 3_000_000  # structures that are read: a file cannot make the reader go round in circles
_LONGEST_NAME = 255
_DEEPEST = 40
_MOST_DIMENSIONS = 8
_HINT = "Save the model again with Keras 3: model.save('model.keras')."
# Types of messages of an object header (specification IV.A.2).
_NIL, _DATASPACE, _LINK_INFO, _DATATYPE, _FILL_OLD, _FILL, _LINK, _EXTERNAL, _LAYOUT = range(9)
_FILTERS, _ATTRIBUTE, _MODIFIED_OLD, _CONTINUED, _SYMBOLS, _MODIFIED = 0xB, 0xC, 0xE, 0x10, 0x11, 0x12
_LEFT_OUT = (_NIL, _FILL_OLD, _FILL, _ATTRIBUTE, _MODIFIED_OLD, _MODIFIED)
# Properties of the types of IEEE 754, little-endian (specification IV.A.2.d): offset, precision, exponent
# location and size, mantissa location and size, exponent bias; and the bit field: mantissa with its first bit
# implied, location of the sign.
_FLOATS = {
    2: ((0, 16, 10, 5, 0, 10, 15), (0x20, 15)), 4: ((0, 32, 23, 8, 0, 23, 127), (0x20, 31)),
    8: ((0, 64, 52, 11, 0, 52, 1023), (0x20, 63)),
}  # fmt: skip


def read_hdf5(content: bytes) -> Weights:
    """All arrays of a file, as views of its bytes.

    Args:
        content: of the file.

    Returns:
        arrays by the path of their layer (``layers/dense``) and by their number (``0``), as Keras stores them
        below ``vars``.

    Raises:
        RefusedModel: not such a file, or one with what is refused.
    """
    file = _File(content)
    found: Weights = {}
    stored = 0
    for path, array in file.arrays():
        layer, _, number = path.rpartition("/")
        if (layer != "vars" and not layer.endswith("/vars")) or not number.isdigit():
            raise RefusedModel(f"weights: unexpected dataset {quoted(path)}", _HINT, "weights")
        stored += array.nbytes
        if stored > len(content):
            raise RefusedModel("weights: datasets overlap: more is declared than is stored", _HINT, "size")
        found.setdefault(layer.removesuffix("vars").removesuffix("/"), {})[number] = array
    return found


class _File:
    """The structures of a file, each read in bounds and at most once."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.seen: set[int] = set()
        self.steps = 0

    def arrays(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Path and values of every dataset."""
        waiting = [("", self._root(), 0)]
        while waiting:
            path, address, depth = waiting.pop()
            if address in self.seen:
                raise _refused(f"the object {quoted(path)} is linked twice", "hdf5-link")
            self.seen.add(address)
            if len(self.seen) > _MOST_OBJECTS or depth > _DEEPEST:
                raise _refused("too many groups and datasets", "size")
            messages = dict(self._messages(address, path))
            if _SYMBOLS in messages:
                links = self._links(messages[_SYMBOLS], path)
                waiting.extend((f"{path}/{name}".lstrip("/"), to, depth + 1) for name, to in links)
            else:
                yield path, self._dataset(messages, path)

    def _take(self, form: str, at: int) -> tuple[Any, ...]:
        size, self.steps = struct.calcsize(form), self.steps + 1
        if self.steps > _MOST_STEPS:
            raise _refused("too many structures", "size")
        if not 0 <= at <= len(self.content) - size:
            raise _refused("an address outside the file", "hdf5")
        return struct.unpack_from(form, self.content, at)

    def _root(self) -> int:
        """Address of the header of the root group."""
        if self.content[:8] != _SIGNATURE:
            raise _refused("the file is not HDF5", "hdf5")
        version, _, _, _, _, offsets, lengths = self._take("<7B", 8)
        if version or (offsets, lengths) != (8, 8):
            raise _refused(f"superblock version {version}, which Keras does not write", "hdf5")
        base, _, _, driver, _, root, cache, _ = self._take("<QQQQQQII", 24)
        if base or driver != _NOWHERE or cache not in (0, 1):
            raise _refused("an unusual superblock", "hdf5")
        return int(root)

    def _messages(self, address: int, path: str) -> Iterator[tuple[int, tuple[int, int]]]:
        """Type of each message of an object header, with the begin and the size of its data."""
        version, _, count, _, size = self._take("<BBHII", address)
        if version != 1 or count > _MOST_MESSAGES:
            raise _refused(f"the header of {quoted(path)} is not one that Keras writes", "hdf5")
        types: set[int] = set()
        blocks = [(address + 16, size)]
        for at, length in blocks:
            end = at + length
            while at + 8 <= end and count:
                kind, data, flags = self._take("<HHB", at)
                begin, at, count = at + 8, at + 8 + data, count - 1
                if at > end:
                    raise _refused(f"the header of {quoted(path)} ends too early", "hdf5")
                if kind == _CONTINUED:
                    blocks.append(self._take("<QQ", begin))
                elif kind not in _LEFT_OUT:
                    _check_message(kind, flags, types, path)
                    types.add(kind)
                    yield kind, (begin, data)

    def _links(self, message: tuple[int, int], path: str) -> Iterator[tuple[str, int]]:
        """Name and header address of what a group holds."""
        tree, heap = self._take("<QQ", message[0])
        mark, version, names_size, _, names = self._take("<4sB3xQQQ", heap)
        if mark != b"HEAP" or version or names + names_size > len(self.content):
            raise _refused(f"the names of the group {quoted(path)} are damaged", "hdf5")
        for node in self._leaves(tree, path):
            mark, version, _, count = self._take("<4sBBH", node)
            if mark != b"SNOD" or version != 1:
                raise _refused(f"the group {quoted(path)} is damaged", "hdf5")
            for k in range(count):
                name, header, cache, _ = self._take("<QQII", node + 8 + 40 * k)
                if cache not in (0, 1):
                    raise _refused(f"the group {quoted(path)} holds a soft link", "hdf5-link")
                yield self._name(names, names_size, name, path), header

    def _leaves(self, tree: int, path: str) -> Iterator[int]:
        """Addresses of the symbol tables of a group, by its B-tree of version 1."""
        seen: set[int] = set()
        waiting = [tree]
        while waiting:
            node = waiting.pop()
            if node in seen or len(seen) > _MOST_OBJECTS:
                raise _refused(f"the tree of the group {quoted(path)} turns back", "hdf5")
            seen.add(node)
            mark, kind, level, used = self._take("<4sBBH", node)
            if mark != b"TREE" or kind or level > 8:
                raise _refused(f"the tree of the group {quoted(path)} is damaged", "hdf5")
            children = [self._take("<Q", node + 24 + 8 + 16 * k)[0] for k in range(used)]
            if level:
                waiting.extend(children)
            else:
                yield from children

    def _name(self, begin: int, size: int, offset: int, path: str) -> str:
        """A name of the heap, up to its zero byte."""
        end = begin + min(size, offset + _LONGEST_NAME + 1)
        stop = self.content.find(b"\0", begin + offset, end) if offset < size else -1
        text = self.content[begin + offset : stop].decode("ascii", "replace") if stop > 0 else ""
        if not text or "/" in text or text in (".", ".."):
            raise _refused(f"the group {quoted(path)} holds something without a proper name", "hdf5")
        return text

    def _dataset(self, messages: dict[int, tuple[int, int]], path: str) -> NDArray[Any]:
        missing = {_DATASPACE, _DATATYPE, _LAYOUT} - set(messages)
        if missing:
            raise _refused(f"{quoted(path)} is neither a group nor a dataset", "hdf5")
        kind = self._type(messages[_DATATYPE][0], path)
        shape = self._shape(messages[_DATASPACE][0], path)
        begin, size = self._place(messages[_LAYOUT], path)
        if math.prod(shape) * kind.itemsize != size:
            raise _refused(
                f"{quoted(path)} declares {math.prod(shape):,} numbers and stores {size:,} bytes", "size"
            )
        if size and not 0 < begin <= len(self.content) - size:
            raise _refused(f"{quoted(path)} lies outside the file", "size")
        return np.frombuffer(self.content, kind, math.prod(shape), begin if size else 0).reshape(shape)

    def _shape(self, at: int, path: str) -> tuple[int, ...]:
        version, rank, flags, kind = self._take("<4B", at)
        if version not in (1, 2) or rank > _MOST_DIMENSIONS or flags > 1 or (version == 2 and kind > 1):
            raise _refused(f"the shape of {quoted(path)} is not one that Keras writes", "hdf5")
        return self._take(f"<{rank}Q", at + (8 if version == 1 else 4))

    def _type(self, at: int, path: str) -> np.dtype[Any]:
        first, low, high, _, size = self._take("<4BI", at)
        version, kind = first >> 4, first & 15
        if version in (1, 2, 3) and kind == 1 and size in _FLOATS:
            found = self._take("<HHBBBBI", at + 8)
            if (found, (low, high)) == _FLOATS[size]:
                return np.dtype(f"<f{size}")
        whole = version in (1, 2, 3) and kind == 0 and size in (1, 2, 4, 8) and low in (0, 8) and not high
        if whole and self._take("<HH", at + 8) == (0, 8 * size):
            return np.dtype(f"<{'i' if low else 'u'}{size}")
        raise _refused(f"{quoted(path)} holds other than floating-point or whole numbers", "dtype")

    def _place(self, message: tuple[int, int], path: str) -> tuple[int, int]:
        """Where the values of a dataset begin, and how many bytes they take."""
        at, length = message
        version, kind = self._take("<BB", at)
        if version == 3 and kind == 1:
            begin, size = self._take("<QQ", at + 2)
            return int(begin), int(size)
        if version == 3 and kind == 0:
            (size,) = self._take("<H", at + 2)
            if size + 4 <= length:
                return at + 4, int(size)
        raise _refused(
            f"{quoted(path)} is stored in pieces, filtered or virtually (layout {version}.{kind})",
            "hdf5-storage",
        )


def _check_message(kind: int, flags: int, types: set[int], path: str) -> None:
    if kind in (_LINK, _LINK_INFO):
        raise _refused(
            f"the group {quoted(path)} holds links of the newer kind, soft or external", "hdf5-link"
        )
    if kind == _EXTERNAL:
        raise _refused(f"{quoted(path)} stores its values in another file", "hdf5-storage")
    if kind == _FILTERS:
        raise _refused(f"{quoted(path)} is compressed or filtered", "hdf5-storage")
    if kind not in (_DATASPACE, _DATATYPE, _LAYOUT, _SYMBOLS) or kind in types or flags & 2:
        raise _refused(f"{quoted(path)} holds what Keras does not write (message {kind})", "hdf5")


def _refused(what: str, rule: str) -> RefusedModel:
    return RefusedModel(f"file of weights: expected HDF5 as Keras writes it, received: {what}", _HINT, rule)
