"""Labelled image patches, read one at a time, so that sets larger than the memory can be used."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import SchemaError
from yieldcast.tiles.bands import BANDS, Floats
from yieldcast.tiles.label_codes import NO_DATA, Labels
from yieldcast.tiles.resnet import DEEPEST

Progress = Callable[[int, int], None]
Ints = NDArray[np.int64]
Texts = NDArray[np.str_]


def ignore(done: int, total: int) -> None:
    """Ignore progress."""


@dataclass(frozen=True)
class PatchSet:
    """Patches and how to read them.

    Args:
        names: (patch,) each once.
        countries: (patch,) or regions; empty where unknown.
        seasons: (patch,) empty where unknown.
        public_from: (patch,) YYYY-MM-DD from which image and label are public; empty where unknown.
        classes: names of the classes.
        absent: bands of `bands.BANDS` that the images do not have.
        load: reads the patch at a position: (y, x, 13) reflectance, (y, x) positions in `classes` or -1.
    """

    names: Texts
    countries: Texts
    seasons: Texts
    public_from: Texts
    classes: tuple[str, ...]
    absent: tuple[str, ...]
    load: Callable[[int], tuple[Floats, Labels]] = field(repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: Ints) -> PatchSet:
        """Some of the patches, in the order of `rows`."""
        columns = {n: getattr(self, n)[rows] for n in ("names", "countries", "seasons", "public_from")}
        return replace(self, **columns, load=lambda k: self.load(int(rows[k])))

    def known_on(self, day: dt.date) -> PatchSet:
        """The patches that were public on a day.

        Raises:
            SchemaError: patches without `public_from`, or none that was public.
        """
        if unknown := np.flatnonzero(self.public_from == "").tolist():
            raise SchemaError(
                f"expected public_from of every patch, received {len(unknown)} patches without it, e.g. "
                f"{self.names[unknown[0]]}",
                "Add a column public_from (YYYY-MM-DD) to the list of patches, or leave out --as-of.",
            )
        days = self.public_from.astype("datetime64[D]")
        rows = np.flatnonzero(days <= np.datetime64(day))
        if not rows.size:
            raise SchemaError(f"expected patches that were public on {day}, received none")
        return self.take(rows)


@dataclass(frozen=True)
class Survey:
    """What a first reading of all patches found.

    Args:
        patches: those with a labelled pixel.
        empty: names of the others.
        pixels: (patch, class) labelled pixels of `patches`.
        side: of squares that hold every patch, pixels; a multiple of 32.
        fingerprint: SHA-256 of names, images and labels of `patches`, in their order.
    """

    patches: PatchSet
    empty: tuple[str, ...]
    pixels: Ints
    side: int
    fingerprint: str


def survey(patches: PatchSet, progress: Progress = ignore) -> Survey:
    """Read every patch once: all faults are found before the long work begins.

    Raises:
        SchemaError: as the readers, or labels of fewer than two classes.
    """
    digest, counts, side = hashlib.sha256(), [], 0
    for k in range(len(patches)):
        image, label = patches.load(k)
        counts.append(np.bincount(label[label != NO_DATA], minlength=len(patches.classes)))
        if counts[-1].any():
            side = max(side, *label.shape)
            for content in (str(patches.names[k]).encode(), image.tobytes(), label.tobytes()):
                digest.update(hashlib.sha256(content).digest())
        progress(k + 1, len(patches))
    pixels = np.array(counts, np.int64).reshape(len(patches), len(patches.classes))
    labelled = pixels.sum(axis=1) > 0
    if int((pixels.sum(axis=0) > 0).sum()) < 2:
        raise SchemaError(
            "expected labels of two classes or more, received fewer", "Check legend and no data."
        )
    empty = tuple(patches.names[~labelled].tolist())
    rows = np.flatnonzero(labelled)
    return Survey(patches.take(rows), empty, pixels[rows], -(-side // DEEPEST) * DEEPEST, digest.hexdigest())


def whole_batches(
    patches: PatchSet, rows: Ints, side: int, batch: int
) -> Iterator[tuple[Ints, Floats, Labels]]:
    """Rows, images and labels of whole patches of one size; beyond them images are reflected."""
    for start in range(0, len(rows), batch):
        mine = rows[start : start + batch]
        images = np.empty((len(mine), side, side, len(BANDS)), np.float32)
        labels = np.full((len(mine), side, side), NO_DATA, np.int8)
        for k, row in enumerate(mine):
            image, label = patches.load(int(row))
            down, right = (reflected(np.arange(side), size) for size in label.shape)
            images[k] = image[np.ix_(down, right)]
            labels[k, : label.shape[0], : label.shape[1]] = label
        yield mine, images, labels


def reflected(positions: Ints, size: int) -> Ints:
    """Positions beyond an edge as those of a mirror at the outermost pixel: -1 is 1, size is size - 2."""
    if size == 1:
        return np.zeros_like(positions)
    period = 2 * (size - 1)
    inside = np.mod(positions, period)
    mirrored: Ints = np.minimum(inside, period - inside)
    return mirrored


def split(countries: Texts, shares: Sequence[float], seed: int) -> list[Ints]:
    """Rows at random into parts, each with its share of every country.

    Args:
        countries: (patch,).
        shares: of all parts but the first, which gets the rest; each part gets a patch if there are enough.
        seed: of the draw.

    Raises:
        SchemaError: fewer patches than parts.
    """
    if len(countries) <= len(shares):
        raise SchemaError(
            f"expected at least {len(shares) + 1} labelled patches (to train, to stop, to score), "
            f"received {len(countries)}",
            "Give more patches.",
        )
    rng = np.random.default_rng([seed, 0])
    # countries one after the other, each in random order; equal steps through them give every part its share
    order = rng.permutation(len(countries))
    order = order[np.argsort(countries[order], kind="stable")]
    parts: list[Ints] = []
    for share in shares:
        count = min(max(1, round(share * len(countries))), len(order) - len(shares) + len(parts))
        picked = np.floor((np.arange(count) + 0.5) * len(order) / count).astype(np.int64)
        parts.append(np.sort(order[picked]))
        order = np.delete(order, picked)
    return [np.sort(order), *parts]
