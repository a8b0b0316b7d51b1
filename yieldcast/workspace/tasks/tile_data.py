"""Data of the task crop-tiles: tiles to arrays on the disk, and the tiles that are in both parts."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.language import sentence
from yieldcast.tiles.labelled_tiles import LabelledTiles, read_tiles
from yieldcast.workspace.tasks.made import (
    PARTS,
    Made,
    Notice,
    Progress,
    check_groups,
    class_names,
    positions,
    refuse_rows_of_both,
)
from yieldcast.workspace.tasks.options import DataOptions
from yieldcast.workspace.tasks.task import Part

INPUT = "image"
_LOOKED_AT = 100  # tiles whose scale is compared
_OTHER_SCALE = 20.0  # times the other: no season or region differs so much (our choice)


def prepare_tiles(
    data: Path, holdout: Path, folder: Path, options: DataOptions, progress: Progress, notice: Notice
) -> Made:
    """Write the tiles of both parts into a folder, block by block.

    Args:
        data, holdout: see `labelled_tiles`.
        folder: where ``training`` and ``holdout`` are made.
        options: of the task.
        progress: called with tiles done and of all.
        notice: called with what the owner must know.

    Raises:
        MissingDataError: no such file, or no room on the disk.
        SchemaError: not tiles of one kind, other classes in the holdout, pixels without a value.
        LeakageError: a tile, or a field, is in both parts.
    """
    sets: dict[Part, LabelledTiles] = {"training": read_tiles(data), "holdout": read_tiles(holdout)}
    training, held = sets["training"], sets["holdout"]
    if training.kind != held.kind:
        raise SchemaError(
            f"{held.where}: expected {training.kind}, as the training set, received {held.kind}",
            "Training set and holdout must be made alike.",
        )
    names = class_names(training.labels, held.labels)
    groups = {part: sets[part].groups for part in PARTS}
    check_groups(groups, options, notice)
    _check_room(folder, training.bytes + held.bytes)
    known = _Known()
    total, before = len(training) + len(held), 0
    for part in PARTS:
        blocks = _counted(sets[part], before, total, progress)
        _write(folder / part / "inputs" / f"{INPUT}.npy", sets[part], known.watched(part, sets[part], blocks))
        before += len(sets[part])
    known.refuse(notice)
    _check_scale(folder, held.where)
    target = {part: positions(sets[part].labels, names) for part in PARTS}
    return Made(
        {INPUT: training.kind.shape}, names, target, groups,
        input_names={INPUT: tuple(f"band_{k + 1}" for k in range(training.kind.shape[2]))},
        value_range=_range(training.kind.dtype), synthetic=options.synthetic,
    )  # fmt: skip


def _check_scale(folder: Path, where: str) -> None:
    """Refuse a holdout whose usual values are of another size, such as 0 to 1 beside 0 to 255."""
    usual = []
    for part in PARTS:
        pixels = np.load(folder / part / "inputs" / f"{INPUT}.npy", mmap_mode="r")
        usual.append(float(np.quantile(np.abs(pixels[:: max(1, len(pixels) // _LOOKED_AT)]), 0.9)))
    if max(usual) > _OTHER_SCALE * min(usual):
        raise SchemaError(
            f"{where}: expected pixels in the scale of the training set, nine tenths of which are below "
            f"{usual[0]:.4g}, received {usual[1]:.4g}",
            "Bring both to one scale.",
        )


def _range(dtype: str) -> dict[str, tuple[float, float]]:
    """Lowest and highest value of whole numbers; nothing for others: extremes are of single tiles."""
    if dtype.startswith("float"):
        return {}
    limits = np.iinfo(dtype)
    return {INPUT: (float(limits.min), float(limits.max))}


def _check_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise MissingDataError(
            f"{folder}: expected {size / 1e9:.1f} GB of free space for the arrays, received {free / 1e9:.1f}",
            "Free space, or make the workspace on another disk.",
        )


def _counted(
    tiles: LabelledTiles, before: int, total: int, progress: Progress
) -> Iterator[NDArray[np.float32]]:
    """Blocks as float32; progress counts the tiles of both parts."""
    done = before
    for block in tiles.read():
        values = np.ascontiguousarray(block, dtype=np.float32)
        if lost := int((~np.isfinite(values)).any(axis=(1, 2, 3)).sum()):
            raise SchemaError(
                f"{tiles.where}: expected a number in every pixel, received {lost} tiles with others among "
                f"the tiles {done - before + 1} to {done - before + len(values)}",
                "Fill these pixels, or leave the tiles out.",
            )
        yield values
        done += len(values)
        progress(done, total)


def _write(path: Path, tiles: LabelledTiles, blocks: Iterator[NDArray[np.float32]]) -> None:
    """Write an .npy file from blocks: no more than one is in memory."""
    path.parent.mkdir(parents=True)
    header = {"descr": "<f4", "fortran_order": False, "shape": (len(tiles), *tiles.kind.shape)}
    with open(path, "xb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            file.write(block.astype("<f4", copy=False).data)


class _Known:
    """Digests of the tiles seen so far: equal tiles in both parts are a leak, others are told."""

    def __init__(self) -> None:
        self._labels: dict[bytes, str] = {}
        self._leaked = self._turned = self._repeated = self._contradicted = 0

    def watched(
        self, part: Part, tiles: LabelledTiles, blocks: Iterator[NDArray[np.float32]]
    ) -> Iterator[NDArray[np.float32]]:
        """The same blocks, each tile compared with those before it."""
        row = 0
        for block in blocks:
            for tile in block:
                if part == "training":
                    self._learn(tile, str(tiles.labels[row]))
                else:
                    self._compare(tile)
                row += 1
            yield block

    def refuse(self, notice: Notice) -> None:
        """Raise LeakageError where a tile is in both parts; tell of tiles that the training set repeats."""
        detail = f" ({self._turned} of them turned or mirrored)" if self._turned else ""
        refuse_rows_of_both(self._leaked, "tiles", detail)
        if self._repeated:
            text = sentence(
                "{n} tiles of the training set equal another one of it, {other} of them with another label",
                n=self._repeated, other=self._contradicted,
            )  # fmt: skip
            notice(text)

    def _learn(self, tile: NDArray[np.float32], label: str) -> None:
        digest = _digest(tile)
        if digest in self._labels:
            self._repeated += 1
            self._contradicted += self._labels[digest] != label
        else:
            self._labels[digest] = label

    def _compare(self, tile: NDArray[np.float32]) -> None:
        if _digest(tile) in self._labels:
            self._leaked += 1
        elif any(_digest(other) in self._labels for other in _orientations(tile)):
            self._leaked += 1
            self._turned += 1


def _digest(tile: NDArray[Any]) -> bytes:
    """Of the values and the shape, whatever file they came from."""
    head = repr(tile.shape).encode()
    return hashlib.blake2b(head + np.ascontiguousarray(tile).tobytes(), digest_size=16).digest()


def _orientations(tile: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """The tile turned and mirrored, seven ways."""
    for mirrored in (tile, tile[:, ::-1]):
        for turns in range(4):
            if turns or mirrored is not tile:
                yield np.rot90(mirrored, turns)
