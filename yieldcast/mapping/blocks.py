"""A crop-type classifier over a raster, block by block: bounded memory, resumable, also on a cluster.

Blocks are made of cells of 32 x 32 pixels on a lattice that starts at the first pixel of the raster. The
series of a cell are classified together, whatever block it is in, so that the size of the blocks changes no
bit of the result.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.crop_types.run import RECORD, CropTypeRun, open_run
from yieldcast.data.files import atomic_text, atomic_write, make_folder
from yieldcast.errors import SchemaError
from yieldcast.mapping.aligned import wanted_pixels
from yieldcast.mapping.raster_inputs import RasterInput, Window
from yieldcast.mapping.raster_series import RasterPart, pixels_of, windows

CELL = 32  # pixels of a side: 1,024 series are 16 batches of the encoder
_DIGITS = 4  # of probabilities in maps
_PLAN, _WAITING = "plan.json", 2  # blocks that each worker may have in hand
Probabilities = NDArray[np.float32]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class MapJob:
    """What blocks need; goes to workers.

    Args:
        run: directory of the classifier.
        encoder: file of the encoder; None for that of the training.
        raster: the season.
        units: of the bands.
        bands: of the series, as in the training.
        region: pixels to map.
        block: pixels of a side.
        mask: raster of which pixels to map; None for all.
    """

    run: Path
    encoder: Path | None
    raster: RasterInput
    units: Mapping[str, str]
    bands: tuple[str, ...]
    region: Window
    block: int
    mask: Path | None = None

    @property
    def side(self) -> int:
        """Pixels of a side of a block: whole cells."""
        return -(-self.block // CELL) * CELL

    def blocks(self) -> list[Window]:
        """All blocks."""
        return list(windows(self.region, self.side))

    def mark(self) -> str:
        """SHA-256 of everything that the result depends on, and of the block size."""
        files = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in self.raster.files]
        if self.mask:
            files.append((self.mask.name, self.mask.stat().st_size, self.mask.stat().st_mtime_ns))
        record = hashlib.sha256((self.run / RECORD).read_bytes()).hexdigest()
        days = [day.isoformat() for day in self.raster.days]
        parts = [files, record, str(self.encoder), days, dict(self.units), self.bands, self.region, self.side]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True)
class BlockResult:
    """One block of a map.

    Args:
        probability: (row, column, class), NaN where there is no data.
        faults: band -> number of impossible values, which became gaps.
    """

    probability: Probabilities
    faults: dict[str, int]


@lru_cache(maxsize=2)
def opened(run: Path, record: str) -> CropTypeRun:
    """A run that is opened once in a process.

    Args:
        run: directory.
        record: SHA-256 of its record; another one opens it again.
    """
    return open_run(run)


def classifier(run: Path) -> CropTypeRun:
    """The opened run of a directory; RunError as `open_run`."""
    try:
        return opened(run, hashlib.sha256((run / RECORD).read_bytes()).hexdigest())
    except OSError:
        return open_run(run)  # says what is wrong


def map_block(job: MapJob, window: Window) -> BlockResult:
    """Classify the pixels of a block.

    Raises:
        SchemaError: contents that cannot be used.
    """
    run, faults = classifier(job.run), dict[str, int]()
    count = len(run.model.classes)
    made = np.full((*window.shape, count), np.nan, np.float32)
    part = RasterPart.of(job.raster, window)
    for cell in windows(window, CELL):
        wanted = wanted_pixels(job.mask, job.raster.grid.part(cell)) if job.mask else None
        pixels = pixels_of(part, cell, job.units, job.bands, wanted)
        if pixels is None:
            continue
        for name, number in pixels.faults.items():
            faults[name] = faults.get(name, 0) + number
        probability = run.probabilities(pixels.series, job.encoder).round(_DIGITS)
        made[cell.top - window.top + pixels.rows, cell.left - window.left + pixels.columns] = probability
    return BlockResult(made, faults)


class BlockStore:
    """Finished blocks in a folder, from which a map that was cut off goes on.

    Args:
        folder: is made; blocks of another job in it are removed.
        job: that the blocks belong to.
    """

    def __init__(self, folder: Path, job: MapJob) -> None:
        self.folder, self.job = folder, job
        plan, mark = folder / _PLAN, job.mark()
        with suppress(OSError, ValueError, KeyError):
            if json.loads(plan.read_text(encoding="utf-8"))["job"] == mark:
                return
        shutil.rmtree(folder, ignore_errors=True)
        make_folder(folder)
        atomic_text(plan, json.dumps({"job": mark}) + "\n")

    def __contains__(self, window: Window) -> bool:
        return self._file(window).is_file()

    def put(self, window: Window, result: BlockResult) -> None:
        """Keep a block, whole or not at all."""

        def save(temporary: Path) -> None:
            with open(temporary, "wb") as file:
                faults: Any = json.dumps(result.faults)
                np.savez_compressed(file, probability=result.probability, faults=faults)

        atomic_write(self._file(window), save)

    def get(self, window: Window) -> BlockResult:
        """A block that was kept."""
        with np.load(self._file(window), allow_pickle=False) as content:
            return BlockResult(content["probability"], json.loads(str(content["faults"])))

    def results(self) -> Iterator[tuple[Window, BlockResult]]:
        """All blocks, one at a time."""
        for window in self.job.blocks():
            yield window, self.get(window)

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, window: Window) -> Path:
        return self.folder / f"block_{window.top}_{window.left}.npz"


def run_blocks(
    job: MapJob,
    store: BlockStore,
    executor: Executor | None = None,
    workers: int = 1,
    progress: Progress = lambda done, total: None,
) -> None:
    """Classify all blocks that are not in the store.

    Args:
        job: what to do.
        store: takes each block when it is finished.
        executor: processes or a cluster; None for this process.
        workers: of the executor; it gets a few blocks more, so that memory stays bounded.
        progress: called with pixels done and all of them.

    Raises:
        SchemaError: no pixel has data, or contents that cannot be used.
    """
    blocks = job.blocks()
    todo = [window for window in blocks if window not in store]
    total = sum(_pixels(window) for window in blocks)
    done = total - sum(_pixels(window) for window in todo)
    progress(done, total)
    for window, result in _results(job, todo, executor, workers * _WAITING):
        store.put(window, result)
        done += _pixels(window)
        progress(done, total)


def _results(
    job: MapJob, todo: list[Window], executor: Executor | None, most: int
) -> Iterator[tuple[Window, BlockResult]]:
    if executor is None:
        for window in todo:
            yield window, map_block(job, window)
        return
    waiting: dict[Future[BlockResult], Window] = {}
    left = iter(todo)
    try:
        while True:
            for window in left:
                waiting[executor.submit(map_block, job, window)] = window
                if len(waiting) >= most:
                    break
            if not waiting:
                return
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                yield waiting.pop(future), future.result()
    finally:
        for future in waiting:
            future.cancel()


def _pixels(window: Window) -> int:
    rows, columns = window.shape
    return rows * columns


def refuse_empty(pixels: Mapping[str, int], where: Path) -> None:
    """Refuse a map without a classified pixel. SchemaError."""
    if not any(pixels.values()):
        raise SchemaError(
            f"{where}: expected pixels with values at two dates or more, received none",
            "Is everything masked, or nodata?",
        )
