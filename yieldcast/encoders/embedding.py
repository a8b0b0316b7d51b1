"""Embeddings of many pixel series: in small batches of one shape, in bounded memory."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from yieldcast.data.files import atomic_write
from yieldcast.encoders.bands import BAND_NAMES, GROUPS, LAND_COVER, MONTHS, NO_LAND_COVER, STATIC
from yieldcast.errors import MissingDataError, SchemaError

if TYPE_CHECKING:
    from yieldcast.encoders.custom import CustomEncoder
    from yieldcast.encoders.presto import PrestoEncoder

    Encoder = PrestoEncoder | CustomEncoder

Pool = Literal["global", "time"]
# Rows of one call: on a CPU the tokens of 64 series still fit its cache (of 32, 64 and 128 the fastest).
BATCH = 64
COMPILED_FROM = 4 * BATCH  # series; compiling takes seconds, as long as a few batches without it
_PROGRAMS = 16  # that are kept; parts of a map differ at most in groups of bands that nobody saw there
_HINT = "Give an .npz with x, latlons and month, and optionally mask and dynamic_world."


@dataclass(frozen=True)
class PixelInputs:
    """Series as the encoder reads them.

    Args:
        x: (sample, step, band) float32, normalised, in the order of `bands.BANDS`.
        mask: (sample, step, band) bool, True where missing.
        dynamic_world: (sample, step) int32 land cover, 0 to 8; 9 = missing.
        latlons: (sample, 2) float32, latitude and longitude in degrees.
        month: (sample, step) int32, 0 = January.
    """

    x: NDArray[np.float32]
    mask: NDArray[np.bool_]
    dynamic_world: NDArray[np.int32]
    latlons: NDArray[np.float32]
    month: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: NDArray[np.int64]) -> PixelInputs:
        """Chosen series, in this order."""
        return PixelInputs(
            self.x[rows], self.mask[rows], self.dynamic_world[rows], self.latlons[rows], self.month[rows]
        )

    def joined(self, other: PixelInputs) -> PixelInputs:
        """These series, and then others of the same steps."""
        names = ("x", "mask", "dynamic_world", "latlons", "month")
        return PixelInputs(*(np.concatenate([getattr(self, n), getattr(other, n)]) for n in names))

    def known_groups(self) -> tuple[int, ...]:
        """Positions in `bands.GROUPS` of the groups that any series has a token of, at least one."""
        found = []
        for position, group in enumerate(GROUPS):
            if position == LAND_COVER:
                known = bool((self.dynamic_world != NO_LAND_COVER).any())
            else:
                steps = slice(0, 1) if position == STATIC else slice(None)
                missing = self.mask[:, steps, group.columns[0] : group.columns[-1] + 1]
                known = bool((~missing.any(axis=-1)).any())
            if known:
                found.append(position)
        return tuple(found) or (STATIC,)  # a program needs a token, if only a masked one

    def batches(self, size: int = BATCH) -> Iterator[tuple[slice, dict[str, NDArray[Any]]]]:
        """Rows and their inputs, `size` at a time; the last batch repeats its last row up to that size."""
        for start in range(0, len(self), size):
            rows = np.minimum(np.arange(start, start + size), len(self) - 1)
            mask = self.mask[rows]
            yield slice(start, min(start + size, len(self))), {
                "x": np.where(mask, np.float32(0), self.x[rows]), "mask": mask.astype(np.float32),
                "dynamic_world": self.dynamic_world[rows], "latlons": self.latlons[rows],
                "month": self.month[rows],
            }  # fmt: skip


def pixel_inputs(
    x: ArrayLike,
    latlons: ArrayLike,
    month: ArrayLike,
    mask: NDArray[Any] | None = None,
    dynamic_world: NDArray[Any] | None = None,
    where: str = "input",
) -> PixelInputs:
    """Checked inputs.

    Args:
        x: (sample, step, band) normalised values; any value where masked.
        latlons: (sample, 2) degrees, latitude first.
        month: 0 to 11: of the first step, (sample,) or one number; or of every step, (sample, step).
        mask: (sample, step, band), 1 = missing; None: nothing is.
        dynamic_world: (sample, step) 0 to 9; None: missing everywhere.
        where: the file, for errors.

    Raises:
        SchemaError: another shape, range, or a value that is neither finite nor masked.
    """
    x = np.asarray(x, dtype=np.float32)
    if x.ndim != 3 or x.shape[2] != len(BAND_NAMES) or 0 in x.shape:
        raise SchemaError(
            f"{where}: expected x of (sample, step, {len(BAND_NAMES)} bands), received {x.shape}",
            f"The bands are {', '.join(BAND_NAMES)}.",
        )
    rows, steps = x.shape[:2]
    missing = np.zeros(x.shape, bool) if mask is None else _shaped(mask, x.shape, "mask", where) != 0
    given: NDArray[Any] = np.full((rows, steps), NO_LAND_COVER) if dynamic_world is None else dynamic_world
    cover = _whole(
        _shaped(given, (rows, steps), "dynamic_world", where), NO_LAND_COVER, "dynamic_world", where
    )
    place = _shaped(latlons, (rows, 2), "latlons", where).astype(np.float32)
    if not ((np.abs(place[:, 0]) <= 90) & (np.abs(place[:, 1]) <= 360)).all():
        raise SchemaError(
            f"{where}: expected latlons of latitude (-90 to 90) and longitude (-360 to 360) in degrees, "
            f"received {place.min():g} to {place.max():g}",
            "Latitude comes first.",
        )
    if not np.isfinite(x[~missing]).all():
        raise SchemaError(f"{where}: expected finite values where mask is 0, received others", _HINT)
    return PixelInputs(x, missing, cover, place, _months(month, rows, steps, where))


def _months(month: ArrayLike, rows: int, steps: int, where: str) -> NDArray[np.int32]:
    """(sample, step) months from those of the first step, or of every step."""
    given = np.asarray(month)
    if given.ndim == 2:
        return _whole(_shaped(given, (rows, steps), "month", where), MONTHS - 1, "month", where)
    first = np.full(rows, given) if given.ndim == 0 else _shaped(given, (rows,), "month", where)
    every = _whole(first, MONTHS - 1, "month", where)[:, None] + np.arange(steps)
    return (every % MONTHS).astype(np.int32)


def read_inputs(path: Path) -> PixelInputs:
    """Inputs from an .npz with the arrays of `pixel_inputs`; others in the file are ignored.

    Raises:
        MissingDataError: no such file.
        SchemaError: not an .npz, an array is missing, or as `pixel_inputs`.
    """
    if not path.is_file():
        raise MissingDataError(f"no file {path}", _HINT)
    try:
        with np.load(path, allow_pickle=False) as content:
            names = ("x", "latlons", "month", "mask", "dynamic_world")
            arrays = {name: content[name] for name in names if name in content.files}
    except (ValueError, OSError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise SchemaError(f"{path}: not an .npz of arrays: {error}", _HINT) from None
    if lost := [name for name in names[:3] if name not in arrays]:
        raise SchemaError(
            f"{path}: expected the arrays x, latlons and month; {', '.join(lost)} missing", _HINT
        )
    return pixel_inputs(**arrays, where=str(path))


def embed(
    encoder: Encoder,
    inputs: PixelInputs,
    pool: Pool = "global",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> NDArray[np.float32]:
    """Embeddings of series.

    One program serves all batches, compiled where there are many. Groups of bands that no series has are left
    out of it: they change nothing and cost time.

    Args:
        encoder: see `files.load_encoder`.
        inputs: series that ``encoder.check`` lets pass.
        pool: "global" for one embedding of a series, "time" for one of each step.
        progress: called with the number of series done and of all series.

    Returns:
        (sample, width) or (sample, step, width); Presto's width is 128.

    Raises:
        SchemaError: more steps than the encoder can tell apart.
        ConfigError: an encoder of the user's that does not make such embeddings.
    """
    steps = inputs.x.shape[1]
    encoder.check(steps, pool)
    groups = inputs.known_groups()
    run = program(encoder, groups, pool, compiled=len(inputs) > COMPILED_FROM)
    shape = (len(inputs),) if pool == "global" else (len(inputs), steps)
    result = np.empty((*shape, encoder.widths[pool]), np.float32)
    for rows, batch in inputs.batches():
        result[rows] = np.asarray(run(batch))[: rows.stop - rows.start]
        progress(rows.stop, len(inputs))
    return result


@lru_cache(maxsize=_PROGRAMS)
def program(encoder: Encoder, groups: tuple[int, ...], pool: Pool, compiled: bool) -> Callable[..., Any]:
    """The encoder for these groups, on TensorFlow as one compiled program if wanted.

    The last programs are kept, so that a map compiles once and not for every part. A program reads the
    weights when it is called: further training of the encoder is seen.
    """
    import keras

    run: Callable[..., Any] = partial(encoder.__call__, groups=groups, pool=pool)
    if compiled and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # layers of a user's model may have no XLA
        run = tf.function(run, jit_compile=isinstance(encoder, keras.Model))
    return run


def write_embeddings(path: Path, **arrays: NDArray[np.float32]) -> None:
    """Write arrays as an .npz, whole or not at all."""
    atomic_write(path, lambda temporary: _save(temporary, arrays))


def _save(temporary: Path, arrays: dict[str, NDArray[np.float32]]) -> None:
    with open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def _shaped(values: Any, shape: tuple[int, ...], name: str, where: str) -> NDArray[Any]:
    array = np.asarray(values)
    if array.shape != shape:
        raise SchemaError(f"{where}: expected {name} of shape {shape}, received {array.shape}", _HINT)
    return array


def _whole(values: NDArray[Any], most: int, name: str, where: str) -> NDArray[np.int32]:
    whole = values.astype(np.int32)
    if (whole != values).any() or (whole < 0).any() or (whole > most).any():
        raise SchemaError(
            f"{where}: expected {name} of whole numbers from 0 to {most}, received {values.min()} to "
            f"{values.max()}",
            "January is month 0." if name == "month" else _HINT,
        )
    return whole
