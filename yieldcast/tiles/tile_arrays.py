"""Arrays of an NPZ file, tiles as a stream: sizes are checked before anything is unpacked."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import SchemaError
from yieldcast.tiles.tile_files import TileKind

_IMAGES = "images"
_MOST_BYTES = 2**32  # of an array that is read at once
_BOMB_BYTES, _BOMB_RATIO = 2**30, 100  # unpacked, and so many times the packed size: no satellite image
_HINT = "Write it with numpy.savez_compressed; the user guide on data of a workspace names the arrays."


class ArrayFile:
    """An NPZ file.

    Args:
        path: of the file.
        needed: names of arrays that it must have.

    Raises:
        SchemaError: not an NPZ file, arrays that are missing, or one that unpacks to far more than it holds.
    """

    def __init__(self, path: Path, needed: Sequence[str]) -> None:
        self.path = path
        with self._archive() as archive:
            members = {info.filename: info for info in archive.infolist()}
        self.names = tuple(name.removesuffix(".npy") for name in members if name.endswith(".npy"))
        for info in members.values():
            if info.file_size > max(_BOMB_BYTES, _BOMB_RATIO * info.compress_size):
                raise self._error(
                    f"expected an array, received {info.filename}, which unpacks {info.compress_size} bytes "
                    f"to {info.file_size}"
                )
        self._sizes = {name: members[f"{name}.npy"].file_size for name in self.names}
        if lost := [name for name in needed if name not in self.names]:
            raise self._error(
                f"expected the arrays {', '.join(needed)}, received no {' and no '.join(lost)}; it has "
                f"{', '.join(self.names) or 'none'}"
            )

    def tiles(self) -> tuple[TileKind, int]:
        """Kind and number of the tiles; SchemaError for arrays that are no tiles."""
        with self._member(_IMAGES) as (_, shape, dtype):
            pass
        if len(shape) not in (3, 4) or shape[0] < 1:
            raise self._error(f"expected images of (tile, y, x) or (tile, y, x, band), received {shape}")
        if len(shape) == 4 and shape[2] == shape[3] != shape[1]:
            raise self._error(
                f"expected images of (tile, y, x, band), received {shape}: are the bands before y and x? "
                "Then write numpy.moveaxis(images, 1, -1)"
            )
        kind = TileKind((shape[1], shape[2], shape[3] if len(shape) == 4 else 1), dtype.name)
        kind.check(str(self.path))
        return kind, shape[0]

    def array(self, name: str, dims: int = 1, count: int | None = None) -> NDArray[Any]:
        """An array that fits into memory.

        Args:
            name: of the array.
            dims: number of its dimensions.
            count: rows that it must have.

        Raises:
            SchemaError: of another size or of Python objects.
        """
        with self._member(name) as (stream, shape, dtype):
            size = math.prod(shape) * dtype.itemsize
            if len(shape) != dims or (count is not None and shape[0] != count) or size > _MOST_BYTES:
                rows = "" if count is None else f" and {count} rows"
                raise self._error(f"expected {name} of {dims} dimensions{rows}, received {shape}")
            return np.frombuffer(self._exactly(stream, size, name), dtype).reshape(shape).copy()

    def blocks(self, size: int) -> Iterator[NDArray[Any]]:
        """The tiles in their order, (tile, y, x, band), at most `size` at once."""
        kind, count = self.tiles()
        with self._member(_IMAGES) as (stream, _, dtype):
            of_one = math.prod(kind.shape) * dtype.itemsize
            for start in range(0, count, size):
                n = min(size, count - start)
                content = self._exactly(stream, n * of_one, _IMAGES)
                yield np.frombuffer(content, dtype).reshape(n, *kind.shape)

    @contextmanager
    def _member(self, name: str) -> Iterator[tuple[IO[bytes], tuple[int, ...], np.dtype[Any]]]:
        """The values of an array as a stream, its shape and its type."""
        with self._archive() as archive, archive.open(f"{name}.npy") as stream:
            try:
                version = np.lib.format.read_magic(stream)
                header = (
                    np.lib.format.read_array_header_1_0
                    if version == (1, 0)
                    else np.lib.format.read_array_header_2_0
                )
                shape, fortran, dtype = header(stream)
            except ValueError as error:
                raise self._error(f"{name} is not an array: {error}") from None
            if dtype.hasobject:
                raise self._error(f"expected numbers or texts in {name}, received Python objects")
            if fortran and len(shape) > 1:
                raise self._error(f"expected {name} in C order, received Fortran order")
            if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize > self._sizes[name]:
                raise self._error(f"{name} claims {shape} in {dtype} and holds {self._sizes[name]} bytes")
            yield stream, shape, dtype

    def _exactly(self, stream: IO[bytes], size: int, name: str) -> bytes:
        content = stream.read(size)
        if len(content) < size:
            raise self._error(f"{name} ends before its last value")
        return content

    @contextmanager
    def _archive(self) -> Iterator[zipfile.ZipFile]:
        try:
            with zipfile.ZipFile(self.path) as archive:
                yield archive
        except (
            zipfile.BadZipFile,
            zlib.error,
            OSError,
            NotImplementedError,
            RuntimeError,
            EOFError,
        ) as error:
            raise self._error(f"not an NPZ file: {error}") from None

    def _error(self, text: str) -> SchemaError:
        return SchemaError(f"{self.path}: {text}", _HINT)
