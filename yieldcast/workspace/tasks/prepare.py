"""The owner's files to the folder ``data`` of a workspace: arrays, task.json, public.json and examples."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from yieldcast.data.files import atomic_text, check_writable, write_folder_atomically
from yieldcast.errors import ConfigError
from yieldcast.workspace.scoring.scores import class_scores, reference_scores
from yieldcast.workspace.tasks.example_tiles import write_examples
from yieldcast.workspace.tasks.holdout import write_references
from yieldcast.workspace.tasks.made import PARTS, Made, Notice, Progress, rare_classes
from yieldcast.workspace.tasks.options import DataOptions
from yieldcast.workspace.tasks.public_page import public_page
from yieldcast.workspace.tasks.task import EXAMPLES, PUBLIC, TASKS, VALUE, Part, Task, TaskName

MAJORITY = "majority class"
DEFAULT = DataOptions()


def _no_progress(done: int, total: int) -> None:
    """Ignore progress."""


def _quiet(text: str) -> None:
    """Ignore notices."""


def prepare(
    task: TaskName,
    data: Path,
    holdout: Path | Sequence[int],
    out: Path,
    options: DataOptions = DEFAULT,
    progress: Progress = _no_progress,
    notice: Notice = _quiet,
) -> Task:
    """Write the folder ``data`` of a workspace, completely or not at all; readable by its owner only.

    Args:
        task: one of `TASKS`.
        data: training files; of yield and risk also a store that holds the holdout too.
        holdout: files, or harvest years of yield and risk.
        out: the folder, new or empty.
        options: what the owner says of the data.
        progress: called with rows done and of all, of crop-tiles.
        notice: called with what the owner must know, one line each.

    Raises:
        ConfigError: another task, a folder with files, options that exclude each other.
        MissingDataError: no such file, years that the store lacks, a full disk.
        SchemaError: contents that no task can be made of; see the readers of each task.
        LeakageError: rows, groups or years in both parts, or training data that were not public.
    """
    if task not in TASKS:
        raise ConfigError(f"expected a task of {', '.join(TASKS)}, received {task}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"expected a new or empty folder, received {out}", "Choose another one.")
    check_writable(out)
    made: list[Task] = []

    def fill(folder: Path) -> None:
        folder.chmod(0o700)
        found = _made(task, data, holdout, folder, options, progress, notice)
        made.append(_finish(task, found, folder, options))
        for path in folder.rglob("*"):
            os.chmod(path, 0o700 if path.is_dir() else 0o600)

    out.parent.mkdir(parents=True, exist_ok=True)
    write_folder_atomically(out, fill)
    return made[0]


def _made(
    task: TaskName,
    data: Path,
    holdout: Path | Sequence[int],
    folder: Path,
    options: DataOptions,
    progress: Progress,
    notice: Notice,
) -> Made:
    if task == "yield" or task == "risk":
        from yieldcast.workspace.tasks.yield_data import prepare_yields

        return prepare_yields(task, data, holdout, folder, options, notice)
    if not isinstance(holdout, Path):
        raise ConfigError(
            f"expected files of the holdout of {task}, received harvest years", "Give a path with --holdout."
        )
    if task == "crop-series":
        from yieldcast.workspace.tasks.series_data import prepare_series

        return prepare_series(data, holdout, folder, options, notice)
    from yieldcast.workspace.tasks.tile_data import prepare_tiles

    return prepare_tiles(data, holdout, folder, options, progress, notice)


def _finish(name: TaskName, made: Made, folder: Path, options: DataOptions) -> Task:
    """Targets, groups, baselines, task.json, public.json and examples beside the inputs."""
    for part in PARTS:
        np.save(folder / part / "target.npy", made.target[part])
        group = made.group[part]
        if group is not None:
            np.save(folder / part / "group.npy", group.astype(str))
    write_references(folder, made.references)
    classes = made.outputs != (VALUE,)
    rare = rare_classes(made.target["training"], made.outputs, options) if classes else ()
    task = Task(
        task=name, inputs=dict(made.inputs), input_names=dict(made.input_names), outputs=made.outputs,
        kind="classes" if classes else "value", training=len(made.target["training"]),
        holdout=len(made.target["holdout"]), rare=rare, value_range=dict(made.value_range),
        filled=dict(made.filled), harvest_years=_harvest_years(made),
        crop=made.crop,
        lead_months=made.lead_months, fingerprint=_fingerprint(folder), baselines=_baselines(made, rare),
        synthetic=made.synthetic,
    )  # fmt: skip
    task.write(folder)
    (folder / EXAMPLES).mkdir()
    page = public_page(folder, task, made, options.smallest_cell)
    if name == "crop-tiles":
        page["examples"] = write_examples(folder, task, page, options)
    atomic_text(folder / PUBLIC, json.dumps(page, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return task


def _harvest_years(made: Made) -> dict[Part, tuple[int, ...]]:
    return {part: tuple(np.unique(of).astype(int).tolist()) for part, of in made.harvest_year.items()}


def _baselines(made: Made, rare: Sequence[str]) -> dict[str, dict[str, Any]]:
    target, group = made.target["holdout"], made.group["holdout"]
    if made.outputs == (VALUE,):
        found = reference_scores(target, made.references, group)
        return {name: scores.model_dump(mode="json") for name, scores in found.items()}
    shares = np.bincount(made.target["training"], minlength=len(made.outputs)) / len(made.target["training"])
    everywhere = np.tile(shares, (len(target), 1))
    return {MAJORITY: class_scores(target, everywhere, made.outputs, rare, group).model_dump(mode="json")}


def _fingerprint(folder: Path) -> str:
    """SHA-256 of the arrays by name."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.np[yz]")):
        digest.update(path.relative_to(folder).as_posix().encode())
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
