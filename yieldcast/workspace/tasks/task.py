"""`Task`: what a workspace asks of models, as ``data/task.json`` says it, and the arrays beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from yieldcast.data.files import atomic_text
from yieldcast.errors import MissingDataError, SchemaError

TaskName = Literal["crop-tiles", "crop-series", "yield", "risk"]
Part = Literal["training", "holdout"]
TASKS: tuple[TaskName, ...] = ("crop-tiles", "crop-series", "yield", "risk")
FILE, PUBLIC, EXAMPLES = "task.json", "public.json", "examples"
VALUE = "yield_kg_ha"  # the output of the task yield
_HINT = "Create the workspace again: yieldcast workspace create."


class Task(BaseModel):
    """What models get and give. Nothing in it says anything of a single row.

    Args:
        format: of the file, 1.
        task: one of `TASKS`.
        inputs: name -> shape of one row; float32 without NaN.
        input_names: name -> names, with units, along the last axis of the input.
        outputs: classes in their order, or `VALUE`.
        kind: "classes" (targets are positions in `outputs`) or "value" (targets in kg/ha).
        training, holdout: numbers of rows.
        rare: classes whose mean recall is scored by itself.
        value_range: input -> lowest and highest usual value: of the type of tiles, else rounded quantiles.
        filled: input -> names along its last axis whose missing values were filled from training rows.
        harvest_years: part -> harvest years, where rows have them.
        crop: of the tasks yield and risk.
        lead_months: months before the end of the harvest at which the rows of yield and risk are known; None
            for the last day of each season window.
        fingerprint: SHA-256 of all arrays.
        baselines: name -> scores on the holdout of what needs no model.
        synthetic: whether the data are synthetic.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    task: TaskName
    inputs: dict[str, tuple[int, ...]]
    input_names: dict[str, tuple[str, ...]] = {}
    outputs: tuple[str, ...]
    kind: Literal["classes", "value"]
    training: int
    holdout: int
    rare: tuple[str, ...] = ()
    value_range: dict[str, tuple[float, float]] = {}
    filled: dict[str, tuple[str, ...]] = {}
    harvest_years: dict[Part, tuple[int, ...]] = {}
    crop: str | None = None
    lead_months: int | None = None
    fingerprint: str
    baselines: dict[str, dict[str, Any]] = {}
    synthetic: bool = False

    @model_validator(mode="after")
    def _whole(self) -> Task:
        if self.kind == "value" and self.outputs != (VALUE,):
            raise ValueError(f"outputs: expected {VALUE} of a value")
        if self.kind == "classes" and (len(self.outputs) < 2 or len(set(self.outputs)) < len(self.outputs)):
            raise ValueError("outputs: expected two different classes or more")
        if lost := set(self.rare) - set(self.outputs):
            raise ValueError(f"rare: not among the outputs: {', '.join(sorted(lost))}")
        return self

    @classmethod
    def read(cls, folder: Path) -> Task:
        """The task of a workspace, or of its folder ``data``.

        Raises:
            MissingDataError: no task.json.
            SchemaError: another format, or not what this class says.
        """
        path = data_folder(folder) / FILE
        if not path.is_file():
            raise MissingDataError(f"{folder}: expected a workspace, received no {path.name}", _HINT)
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "contents"
            raise SchemaError(f"{path}: {where}: {first['msg']}", _HINT) from None

    def about(self) -> dict[str, Any]:
        """What contributors may know: all but the baselines, whose scores are exact, and the fingerprint."""
        return self.model_dump(mode="json", exclude={"baselines", "fingerprint"})

    def write(self, folder: Path) -> None:
        """Write task.json into a folder."""
        atomic_text(folder / FILE, self.model_dump_json(indent=2) + "\n")


def data_folder(folder: Path) -> Path:
    """The folder ``data`` of a workspace; the folder itself if it is that one."""
    return folder if (folder / FILE).is_file() else folder / "data"


def read_inputs(folder: Path, task: Task, part: Part) -> dict[str, NDArray[np.float32]]:
    """Inputs of a part, mapped from the disk: name -> (row, ...) as `Task.inputs`.

    Raises:
        SchemaError: a file is missing or of another shape.
    """
    count = getattr(task, part)
    return {
        name: _mapped(data_folder(folder) / part / "inputs" / f"{name}.npy", (count, *shape))
        for name, shape in task.inputs.items()
    }


def read_target(folder: Path, task: Task, part: Part) -> NDArray[Any]:
    """(row,) int32 positions of classes, or float32 kg/ha; raises as `read_inputs`."""
    return np.array(_mapped(data_folder(folder) / part / "target.npy", (getattr(task, part),)))


def read_group(folder: Path, task: Task, part: Part) -> NDArray[np.str_] | None:
    """(row,) what belongs together (field, farm, place), for splits and intervals only; None without.

    Raises:
        SchemaError: of another length.
    """
    path = data_folder(folder) / part / "group.npy"
    return np.array(_mapped(path, (getattr(task, part),))) if path.is_file() else None


def read_public(folder: Path) -> dict[str, Any]:
    """What the page of the data says, see `public_page`.

    Raises:
        SchemaError: missing or not JSON.
    """
    path = data_folder(folder) / PUBLIC
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SchemaError(f"{path}: {error}", _HINT) from None
    return found


def _mapped(path: Path, shape: tuple[int, ...]) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise SchemaError(f"{path}: {error}", _HINT) from None
    if array.shape != shape:
        raise SchemaError(f"{path}: expected an array of {shape}, received {array.shape}", _HINT)
    return array
