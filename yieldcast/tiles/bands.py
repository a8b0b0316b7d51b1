"""The 13 bands of Sentinel-2 that the image encoder reads: names, order, units, possible values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import SchemaError

Floats = NDArray[np.float32]
Unit = Literal["x10000", "1"]

# Order of the bands in products of level 1C, and of the published encoders (SSL4EO-S12; Wang et al. 2023).
BANDS = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12")
ALL_BANDS = "L1C"  # what users write for all of them in this order
UNITS: tuple[Unit, ...] = ("x10000", "1")
# Names of the STAC extension "eo" in the same order.
_COMMON = (
    "coastal", "blue", "green", "red", "rededge1", "rededge2", "rededge3", "nir", "nir08", "nir09", "cirrus",
    "swir16", "swir22",
)  # fmt: skip
_BY_COMMON = dict(zip(_COMMON, BANDS, strict=True))
_NUMBER = re.compile(r"B?0?(?P<number>1?\d)(?P<a>A?)", re.IGNORECASE)
# Reflectance x 10000. Clouds and sun glint pass 1; an image with no value above 0.01 is in another unit. The
# limits are our choice.
_POSSIBLE = (-2000.0, 32000.0)
_DARK = 100.0
_HINT = "Give --unit 1 for reflectance from 0 to 1; other values must be converted first."


@dataclass(frozen=True)
class ReflectanceUnit:
    """How numbers of a file become reflectance.

    Args:
        unit: of the numbers.
        offset: added first, in the unit of the file: -1000 for products of Sentinel-2 from processing
            baseline 04.00 on (25 January 2022), unless they are harmonised.
    """

    unit: Unit = "x10000"
    offset: float = 0.0

    def reflectance(self, values: NDArray[Any], missing: NDArray[np.bool_], where: str) -> Floats:
        """Reflectance, 0 where missing: the input of the encoder (SSL4EO-S12 divides by 10000).

        Args:
            values: numbers of a file, any shape.
            missing: True where a value is none, same shape.
            where: the file, for errors.

        Raises:
            SchemaError: values that are impossible in this unit.
        """
        if values.dtype == np.uint8:
            raise SchemaError(f"{where}: expected reflectance, received 8-bit numbers", _HINT)
        factor = 1.0 if self.unit == "x10000" else 1e4
        made = (values.astype(np.float32) + np.float32(self.offset)) * np.float32(factor)
        made = np.where(missing, np.float32(0), made)
        self._check(made[~missing], where)
        return made / np.float32(1e4)

    def _check(self, known: Floats, where: str) -> None:
        if not known.size:
            return
        if not np.isfinite(known).all():
            raise SchemaError(f"{where}: expected finite reflectance, received others", _HINT)
        low, high = float(known.min()), float(known.max())
        if low < _POSSIBLE[0] or high > _POSSIBLE[1]:
            raise SchemaError(
                f"{where}: expected reflectance in unit {self.unit}, received values that are {low:g} to "
                f"{high:g} as x10000",
                f"{_HINT} Values that stand for no data must be declared in the file.",
            )

    def check_bright(self, brightest: float, where: str) -> None:
        """Refuse an image that is too dark for its unit: most likely reflectance from 0 to 1.

        Args:
            brightest: largest reflectance of the image, 0 to 1; not of a window, which may be all water.
            where: the file, for errors.
        """
        if brightest * 1e4 < _DARK:
            raise SchemaError(
                f"{where}: expected reflectance in unit {self.unit}, received no value above "
                f"{brightest * 1e4:g} as x10000",
                _HINT,
            )


def band_of(text: str) -> str | None:
    """A band's name from B8A, B08, b8, 8A or its STAC name (nir); None for others."""
    common = _BY_COMMON.get(text.strip().lower())
    found = _NUMBER.fullmatch(text.strip())
    if common or not found:
        return common
    name = f"B{found['number']}{found['a'].upper()}"
    return name if name in BANDS else None


@dataclass(frozen=True)
class BandOrder:
    """Where the bands stand in a file.

    Args:
        positions: of each band of `BANDS` that the encoder sees, from 0; it sees reflectance 0 of the others.
        unused: other bands of the file, as named there.
    """

    positions: dict[str, int]
    unused: tuple[str, ...] = ()

    def fill(self, found: Floats) -> Floats:
        """(y, x, 13) from (band, y, x) of the bands in `positions`, in their order."""
        made = np.zeros((*found.shape[1:], len(BANDS)), np.float32)
        made[..., [BANDS.index(name) for name in self.positions]] = np.moveaxis(found, 0, -1)
        return made


def band_order(
    names: Sequence[str | None], given: Sequence[str] | None, absent: Sequence[str], where: str
) -> BandOrder:
    """The order of a file's bands.

    Args:
        names: descriptions in the file, one for each band; None where there is none.
        given: names in the order of the file, said by the user; None takes the descriptions.
        absent: bands that the encoder shall not see, because the product does not have them.
        where: the file, for errors.

    Raises:
        SchemaError: no names, another number of them, a band twice, a band that is neither there nor said to
            be absent, or names that contradict the descriptions.
    """
    hint = f"Name them in the order of the file with --bands, e.g. {ALL_BANDS} for {', '.join(BANDS)}."
    texts = list(names) if given is None else list(given)
    if len(texts) != len(names):
        raise SchemaError(f"{where}: expected {len(texts)} bands (--bands), received {len(names)}", hint)
    found = [band_of(text or "") for text in texts]
    described = [band_of(text or "") for text in names]
    for k, (one, other) in enumerate(zip(found, described, strict=True)):
        if one and other and one != other:
            raise SchemaError(
                f"{where}: expected band {k + 1} to be {one} (--bands), received the description {names[k]}",
                hint,
            )
    positions = {name: k for k, name in enumerate(found) if name and name not in absent}
    if len(set(filter(None, found))) != sum(name is not None for name in found):
        raise SchemaError(f"{where}: expected each band once, received {', '.join(map(str, texts))}", hint)
    missing = [name for name in BANDS if name not in positions and name not in absent]
    if missing:
        received = ", ".join(str(text) for text in texts if text) or "bands without names"
        raise SchemaError(
            f"{where}: expected the bands of Sentinel-2, missing {', '.join(missing)}; received {received}",
            f"{hint} Bands that a product does not have: --absent, e.g. B10 for level 2A.",
        )
    unused = tuple(str(text) for k, text in enumerate(texts) if text and k not in positions.values())
    return BandOrder(positions, unused)
