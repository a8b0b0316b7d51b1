"""Labelled tiles in files: a folder for each class, a list, or arrays in NPZ; read block by block.

==============  =========================================================================================
what is given   what is read
==============  =========================================================================================
folder          ``tiles.csv`` or ``tiles.parquet`` in it, if there is one (see the next line); otherwise a
                subfolder for each class with PNG or GeoTIFF files; a folder between class and file is the
                group (field, farm) of its tiles
.csv, .parquet  columns path (from the folder of the list) and label, and, if there is one, group
.npz            images (tile, y, x) or (tile, y, x, band), labels (tile,): texts, or whole numbers with the
                names in classes; and, if there are any, groups (tile,)
==============  =========================================================================================

All tiles have one size, one number of bands and one type of numbers, and every pixel has a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import ConfigError, MissingDataError, SchemaError
from yieldcast.pixels.series_tables import read_table
from yieldcast.tiles.tile_arrays import ArrayFile
from yieldcast.tiles.tile_files import DRIVERS, TileKind, read_tile

LISTS = ("tiles.csv", "tiles.parquet")
_TABLES = (".csv", ".parquet", ".pq")
_IGNORED = (".xml", ".tfw", ".wld", ".txt", ".md", ".db")  # beside images, never images themselves
_BLOCK_BYTES = 2**25
_HINT = "See the user guide on data of a workspace for the forms of tiles."


@dataclass(frozen=True)
class LabelledTiles:
    """Tiles whose pixels are read when they are needed.

    Args:
        where: the folder or file, for errors.
        labels: (tile,) names of classes.
        groups: (tile,) what belongs together; None where nothing says so, "" for a tile by itself.
        kind: size, bands and type of numbers.
        read: the tiles in their order, (tile, y, x, band) for each block.
    """

    where: str
    labels: NDArray[np.str_]
    groups: NDArray[np.str_] | None
    kind: TileKind
    read: Callable[[], Iterator[NDArray[Any]]]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def bytes(self) -> int:
        """Of all pixels as float32."""
        return len(self) * int(np.prod(self.kind.shape)) * 4


def read_tiles(path: Path) -> LabelledTiles:
    """Labelled tiles of a folder, a list or an NPZ file.

    Args:
        path: see the table above.

    Raises:
        MissingDataError: no such file or folder.
        ConfigError: a file of another kind.
        SchemaError: no tiles, tiles without a label, files that are no images of the kinds named above. What
            is wrong with a single image is found when it is read.
    """
    if path.is_dir():
        lists = [path / name for name in LISTS if (path / name).is_file()]
        return _of_list(lists[0]) if lists else _of_folder(path)
    if not path.is_file():
        raise MissingDataError(f"no file or folder {path}", _HINT)
    if path.suffix.lower() in _TABLES:
        return _of_list(path)
    if path.suffix.lower() == ".npz":
        return _of_arrays(path)
    raise ConfigError(f"{path}: expected a folder, or a file that ends with .csv, .parquet or .npz", _HINT)


def _of_folder(folder: Path) -> LabelledTiles:
    files: list[Path] = []
    for file in sorted(folder.rglob("*")):
        below = file.relative_to(folder)
        if not file.is_file() or any(part.startswith(".") for part in below.parts):
            continue
        if file.suffix.lower() in DRIVERS:
            files.append(file)
        elif file.suffix.lower() not in _IGNORED:
            raise SchemaError(
                f"{folder}: expected PNG and GeoTIFF files, received {below}",
                "JPEG changes pixels: convert from the originals. Take other files out of the folder.",
            )
    below_all = [file.relative_to(folder).parts for file in files]
    if loose := [parts[0] for parts in below_all if len(parts) == 1]:
        raise SchemaError(
            f"{folder}: expected a subfolder for each class, received images beside them, e.g. {loose[0]}",
            _HINT,
        )
    groups = ["/".join(parts[1:-1]) for parts in below_all]
    return _of_files(files, [parts[0] for parts in below_all], groups if any(groups) else None, str(folder))


def _of_list(path: Path) -> LabelledTiles:
    frame = read_table(path)
    if lost := [name for name in ("path", "label") if name not in frame]:
        raise SchemaError(f"{path}: expected the columns path and label, {' and '.join(lost)} missing", _HINT)
    texts = {
        name: frame[name].astype("string").fillna("").str.strip().to_list()
        for name in ("path", "label", "group")
        if name in frame
    }
    files = [path.parent / name for name in texts["path"]]
    if lost := [str(file) for file in files if not file.is_file()]:
        raise MissingDataError(f"{path}: {len(lost)} files are missing, e.g. {lost[0]}", "Check the list.")
    if len(set(files)) < len(files):
        raise SchemaError(
            f"{path}: expected every file once, received {len(files) - len(set(files))} again",
            "Leave out the repeated rows: a tile has one label.",
        )
    return _of_files(files, texts["label"], texts.get("group"), str(path))


def _of_files(
    files: list[Path], labels: Sequence[str], groups: Sequence[str] | None, where: str
) -> LabelledTiles:
    if not files:
        raise SchemaError(f"{where}: expected tiles, received none", _HINT)
    if other := [file for file in files if file.suffix.lower() not in DRIVERS]:
        raise SchemaError(
            f"{where}: expected PNG and GeoTIFF files, received {other[0].name}",
            "JPEG changes pixels: convert from the originals.",
        )
    kind = TileKind.of(read_tile(files[0]))
    size = _block(kind)

    def read() -> Iterator[NDArray[Any]]:
        for start in range(0, len(files), size):
            yield np.stack([read_tile(file, kind) for file in files[start : start + size]])

    return LabelledTiles(where, _labels(labels, where), _texts(groups), kind, read)


def _of_arrays(path: Path) -> LabelledTiles:
    file = ArrayFile(path, ("images", "labels"))
    kind, count = file.tiles()
    labels = file.array("labels", count=count)
    if labels.dtype.kind in "iu":
        if "classes" in file.names:
            classes = file.array("classes").astype(str)
            if labels.min() < 0 or labels.max() >= len(classes):
                raise SchemaError(
                    f"{path}: expected labels of 0 to {len(classes) - 1}, the positions in classes, received "
                    f"{labels.min()} to {labels.max()}"
                )
            labels = classes[labels]
    elif labels.dtype.kind != "U":
        raise SchemaError(f"{path}: expected labels as texts or whole numbers, received {labels.dtype}")
    groups = file.array("groups", count=count) if "groups" in file.names else None
    return LabelledTiles(
        str(path), _labels(labels.astype(str).tolist(), str(path)),
        None if groups is None else _texts(groups.astype(str).tolist()),
        kind, lambda: file.blocks(_block(kind)),
    )  # fmt: skip


def _block(kind: TileKind) -> int:
    """Tiles of a block."""
    return max(1, _BLOCK_BYTES // (int(np.prod(kind.shape)) * 4))


def _labels(labels: Sequence[str], where: str) -> NDArray[np.str_]:
    stripped = [label.strip() for label in labels]
    if empty := sum(not label for label in stripped):
        raise SchemaError(
            f"{where}: expected a label for every tile, received {empty} of {len(stripped)} without one",
            "Leave these tiles out, or label them.",
        )
    return np.array(stripped)


def _texts(groups: Sequence[str] | None) -> NDArray[np.str_] | None:
    return None if groups is None else np.array([group.strip() for group in groups])
