"""What each task makes of the owner's files, before `prepare` writes task.json and the page of the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import LeakageError, SchemaError
from yieldcast.language import sentence
from yieldcast.workspace.scoring.scores import Reference
from yieldcast.workspace.tasks.options import DataOptions
from yieldcast.workspace.tasks.task import Part

Progress = Callable[[int, int], None]
Notice = Callable[[str], None]
Texts = NDArray[np.str_]
PARTS: tuple[Part, Part] = ("training", "holdout")
_LONGEST_NAME = 60
_MOST_CLASSES = 50  # a confusion matrix of more is read by nobody, and costs memory with its fourth power


@dataclass(frozen=True)
class Made:
    """Facts of data whose arrays are written.

    Args:
        inputs, input_names, outputs, value_range, filled, crop, lead_months, synthetic: see
            `task.Task`.
        target: part -> (row,) positions of classes, or kg/ha.
        group: part -> (row,) texts, or None.
        harvest_year: part -> (row,), where rows have one.
        references: baseline -> what it said of the holdout, of values only.
        yield_kg_ha: (row,) of the training set, of yield and risk.
    """

    inputs: Mapping[str, tuple[int, ...]]
    outputs: tuple[str, ...]
    target: Mapping[Part, NDArray[Any]]
    group: Mapping[Part, Texts | None]
    input_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    value_range: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    filled: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    harvest_year: Mapping[Part, NDArray[np.int16]] = field(default_factory=dict)
    crop: str | None = None
    lead_months: int | None = None
    yield_kg_ha: NDArray[np.float64] | None = None
    synthetic: bool = False
    references: Mapping[str, Reference] = field(default_factory=dict)


def write_arrays(folder: Path, part: Part, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write inputs of a part as float32: name -> (row, ...)."""
    (folder / part / "inputs").mkdir(parents=True)
    for name, values in arrays.items():
        np.save(folder / part / "inputs" / f"{name}.npy", np.ascontiguousarray(values, dtype=np.float32))


def class_names(training: Texts, holdout: Texts) -> tuple[str, ...]:
    """Classes of the training set in the order of the alphabet, numbers in their own.

    Raises:
        SchemaError: fewer than two, a class of the holdout that the training set lacks, names that differ in
            case only, are too long or hold control characters.
    """
    found = set(training.tolist())
    names = sorted(found, key=int if all(one.isdecimal() for one in found) else None)
    if not 2 <= len(names) <= _MOST_CLASSES:
        raise SchemaError(
            f"expected 2 to {_MOST_CLASSES} classes in the training set, received {len(names)}: "
            f"{', '.join(names[:3])}",
            "Give every class a subfolder or a label of its own.",
        )
    if unknown := sorted(set(holdout.tolist()) - set(names)):
        count = int(np.isin(holdout, unknown).sum())
        raise SchemaError(
            f"expected classes of the training set in the holdout, received {len(unknown)} others in {count} "
            f"rows: {', '.join(unknown[:3])}",
            f"No model can learn them. Classes of the training set: {', '.join(names[:12])}.",
        )
    for name in names:
        if len(name) > _LONGEST_NAME or not name.isprintable():
            raise SchemaError(
                f"expected names of classes of at most {_LONGEST_NAME} printable characters, received "
                f"{name!r}"
            )
    if len({name.casefold() for name in names}) < len(names):
        raise SchemaError(
            f"names of classes differ in case only: {', '.join(names[:12])}", "Write them alike."
        )
    return tuple(names)


def positions(labels: Texts, names: Sequence[str]) -> NDArray[np.int32]:
    """(row,) position of each label in the names, which hold all of them."""
    order = np.argsort(names)
    return np.asarray(order[np.searchsorted(names, labels, sorter=order)], dtype=np.int32)


def check_groups(groups: Mapping[Part, Texts | None], options: DataOptions, notice: Notice) -> None:
    """Refuse fields, farms or places with rows in both parts, or say how many where that is allowed.

    Raises:
        LeakageError: shared groups.
    """
    training, holdout = groups["training"], groups["holdout"]
    if training is None or holdout is None:
        return
    shared = sorted((set(training.tolist()) & set(holdout.tolist())) - {""})
    if not shared:
        return
    rows = int(np.isin(holdout, shared).sum())
    text = sentence(
        "{n} groups (fields, farms or places) have rows in training set and holdout: {rows} rows of the "
        "holdout",
        n=len(shared), rows=rows,
    )  # fmt: skip
    if not options.allow_shared_groups:
        raise LeakageError(
            f"expected groups in either training set or holdout: {text}, e.g. {shared[0]}",
            "Rows of one field are alike: scores would be too good. Divide the data by them, or allow it "
            "with --allow-shared-groups.",
        )
    notice(text)


def refuse_rows_of_both(count: int, what: str, detail: str = "") -> None:
    """Raise LeakageError where rows of the holdout are in the training set too."""
    if count:
        raise LeakageError(
            f"expected {what} of the holdout that the training set does not have, received {count} that are "
            f"in both{detail}",
            "A model would know the answers. Leave them out of one of the two.",
        )


def rare_classes(target: NDArray[Any], outputs: Sequence[str], options: DataOptions) -> tuple[str, ...]:
    """The classes named in the options, or the least frequent ones of the training set.

    At most half of all classes are rare. Of equally frequent ones the earlier in the alphabet is taken.

    Raises:
        SchemaError: a name that is no class.
    """
    if options.rare is not None:
        if lost := sorted(set(options.rare) - set(outputs)):
            raise SchemaError(
                f"rare classes: expected classes of the training set, received {', '.join(lost)}",
                f"Classes: {', '.join(outputs[:12])}.",
            )
        return tuple(name for name in outputs if name in options.rare)
    counts = np.bincount(target, minlength=len(outputs))
    found = np.argsort(counts, kind="stable")[: min(options.rare_classes, len(outputs) // 2)]
    return tuple(outputs[k] for k in sorted(found))
