"""Codes of label images to the harmonised classes, by a legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import SchemaError
from yieldcast.pixels.legends import read_legend

Labels = NDArray[np.int8]
CLASSES = ("maize", "soybean", "rice", "wheat", "other")  # Chang et al., section 3; there from 1
NO_DATA = -1  # position of pixels whose class is unknown; not used in losses and scores
_MOST_CLASSES = 100


@dataclass(frozen=True)
class LabelCodes:
    """What each code of a label image means.

    Args:
        classes: names.
        position: code -> position in `classes`, or `NO_DATA`.
    """

    classes: tuple[str, ...]
    position: Mapping[int, int]

    def positions(self, codes: NDArray[Any], missing: NDArray[np.bool_], where: str) -> Labels:
        """(y, x) positions in `classes`, `NO_DATA` where missing and where the legend has no class.

        Args:
            codes: (y, x) of a label image.
            missing: (y, x) True where the file says no data. A code of the legend is never missing: the
                legend goes first.
            where: the file, for errors.

        Raises:
            SchemaError: codes that the legend lacks, or that are not whole numbers.
        """
        made = np.full(codes.shape, NO_DATA, np.int8)
        found, inverse, counts = np.unique(codes, return_inverse=True, return_counts=True)
        gone = np.bincount(inverse.ravel(), weights=missing.ravel(), minlength=len(found)) == counts
        table = np.full(len(found), NO_DATA, np.int8)
        unknown = []
        for k, code in enumerate(found.tolist()):
            if code in self.position:
                table[k] = self.position[int(code)]
            elif not gone[k]:
                unknown.append(f"{code:g} ({counts[k]} pixels)")
        if unknown:
            raise SchemaError(
                f"{where}: expected codes of the legend, received {len(unknown)} others: "
                f"{', '.join(unknown[:5])}",
                "Add them to the legend; an empty class is no data.",
            )
        made[:] = table[inverse].reshape(codes.shape)
        return made


def harmonised_codes() -> LabelCodes:
    """The codes of the harmonised data set of the paper: 0 no data, 1 maize to 5 other."""
    return LabelCodes(CLASSES, {0: NO_DATA, **{k + 1: k for k in range(len(CLASSES))}})


def codes_of_legend(
    path: Path,
    code: str = "code",
    column: str = "class",
    own_classes: bool = False,
    no_data: Sequence[int] = (),
) -> LabelCodes:
    """Codes from a legend.

    Args:
        path: table with a row for each code.
        code, column: of codes and classes; an empty class, or "ignore", is no data.
        own_classes: take the classes of the legend instead of the harmonised ones.
        no_data: more codes without class.

    Raises:
        MissingDataError, ConfigError: as `pixels.legends.read_legend`.
        SchemaError: a code twice or not a whole number, no class, or a class that is not a harmonised one.
    """
    legend = read_legend(path, code, column)
    named = {_whole(text, path): name for text, name in legend.classes.items()}
    present = list(dict.fromkeys(name for name in named.values() if name))
    classes = tuple(present) if own_classes else CLASSES
    if others := [name for name in present if name not in classes]:
        raise SchemaError(
            f"{path}: expected the classes {', '.join(CLASSES)}, received others: {', '.join(others[:5])}",
            "Change the legend, or give --own-classes to train with the classes of the legend.",
        )
    if not 1 < len(classes) <= _MOST_CLASSES or not present:
        raise SchemaError(f"{path}: expected 2 to {_MOST_CLASSES} classes, received {len(present)}")
    position = {number: classes.index(name) if name else NO_DATA for number, name in named.items()}
    return LabelCodes(classes, {**position, **dict.fromkeys(no_data, NO_DATA)})


def with_no_data(codes: LabelCodes, no_data: Sequence[int]) -> LabelCodes:
    """The same codes, and more of them without class."""
    return LabelCodes(codes.classes, {**codes.position, **dict.fromkeys(no_data, NO_DATA)})


def _whole(text: str, path: Path) -> int:
    try:
        number = float(text)
        if number.is_integer():
            return int(number)
    except ValueError:
        pass
    raise SchemaError(f"{path}: expected whole numbers as codes, received {text!r}")
