"""Legends: codes of a hierarchy to your classes, as a table; rare classes merged by a rule and named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import ConfigError, SchemaError
from yieldcast.pixels.pixel_series import first
from yieldcast.pixels.series_tables import read_table

NO_CLASS = ("", "ignore", "nan")  # in official legends: not to be used as a class
OTHER = "other"
Texts = NDArray[np.str_]


@dataclass(frozen=True)
class Legend:
    """Classes of codes.

    Args:
        classes: code -> class; empty where the legend says that a code is none.
        parents: code -> class of the next coarser level, for rare classes; may be empty.
    """

    classes: Mapping[str, str]
    parents: Mapping[str, str]

    @property
    def coarser(self) -> dict[str, str]:
        """Class -> coarser class; a class with several has none."""
        found: dict[str, set[str]] = {}
        for code, name in self.classes.items():
            if name and self.parents.get(code):
                found.setdefault(name, set()).add(self.parents[code])
        return {name: next(iter(several)) for name, several in found.items() if len(several) == 1}

    def of(self, codes: Texts, where: str = "table") -> Texts:
        """(sample,) classes, empty where the legend has none.

        Raises:
            SchemaError: codes that the legend lacks.
        """
        unknown = Counter(code for code in codes.tolist() if code and code not in self.classes)
        if unknown:
            listed = ", ".join(f"{code} ({count})" for code, count in unknown.most_common(5))
            raise SchemaError(
                f"{where}: expected codes of the legend, received {len(unknown)} others: {listed}",
                "Add them to the legend; an empty class leaves their samples out.",
            )
        return np.array([self.classes.get(code, "") for code in codes.tolist()], dtype=str)


@dataclass(frozen=True)
class Merging:
    """What became of each class.

    Args:
        labels: (sample,) classes, empty where left out.
        counts: samples of each class that is left.
        merged: class -> (where it went, number of its samples); "" for left out.
    """

    labels: Texts
    counts: dict[str, int]
    merged: dict[str, tuple[str, int]]


def read_legend(path: Path, code: str, column: str, coarser: str | None = None) -> Legend:
    """A legend from a table (CSV or Parquet) with a row for each code.

    Args:
        path: the table.
        code: column of the codes.
        column: column of the classes.
        coarser: column of the next coarser level.

    Raises:
        MissingDataError: no such file.
        ConfigError: no such column.
        SchemaError: a code with two classes.
    """
    frame = read_table(path)
    for name in filter(None, (code, column, coarser)):
        if name not in frame:
            raise ConfigError(f"{path}: no column {name}", f"Columns: {', '.join(map(str, frame.columns))}.")
    texts = frame.astype("string").fillna("")
    codes = texts[code].tolist()
    if twice := [one for one, count in Counter(codes).items() if count > 1]:
        raise SchemaError(
            f"{path}: expected each code once, received {first(np.array(twice))} more than once"
        )

    def classes(name: str) -> dict[str, str]:
        found = (one.strip() for one in texts[name].tolist())
        return {k: "" if v.lower() in NO_CLASS else v for k, v in zip(codes, found, strict=True)}

    return Legend(classes(column), classes(coarser) if coarser else {})


def merge_rare(
    labels: Texts, least: int, into: str = OTHER, parents: Mapping[str, str] | None = None
) -> Merging:
    """Classes with too few samples go into their parent, or into one class of the rest.

    Args:
        labels: (sample,) classes, empty where there is none.
        least: samples that a class needs, 1 or more.
        into: class of the rest; "" leaves rare samples out.
        parents: class -> coarser class.

    Returns:
        the new labels, and what was merged. A class of the rest that is itself too rare is left out.
    """
    if least < 1:
        raise ConfigError(f"expected at least 1 sample for each class, received {least}")
    before = Counter(filter(None, labels.tolist()))
    target = {name: name for name in before}

    def send_rare(where_to: Callable[[str], str]) -> None:
        sizes: Counter[str] = Counter()
        for name, count in before.items():
            sizes[target[name]] += count
        for name, now in target.items():
            if now and sizes[now] < least:
                target[name] = where_to(now)

    send_rare(lambda name: (parents or {}).get(name) or into)
    send_rare(lambda name: into)  # a parent that is rare too
    send_rare(lambda name: "")  # a rest that is rare too
    texts = np.array([target.get(one, "") for one in labels.tolist()], dtype=str)
    merged = {name: (target[name], before[name]) for name in sorted(before) if target[name] != name}
    return Merging(texts, dict(sorted(Counter(filter(None, texts.tolist())).items())), merged)


def refuse_others(labels: Texts, classes: Sequence[str], where: str) -> None:
    """Refuse labels that are not of these classes; empty ones are none.

    Raises:
        SchemaError: others, named and counted.
    """
    others = Counter(one for one in labels.tolist() if one and one not in classes)
    if others:
        listed = ", ".join(f"{name} ({count})" for name, count in others.most_common(5))
        raise SchemaError(
            f"{where}: expected labels of {', '.join(classes)}, received others: {listed}",
            "Use the legend of the training, or train again with these classes.",
        )
