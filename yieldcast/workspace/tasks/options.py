"""What the owner says of the data of a task."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from yieldcast.errors import ConfigError
from yieldcast.workspace.tasks.task import TaskName

_YEARS = re.compile(r"(\d{4})(?:[-:](\d{4}))?")


class DataOptions(BaseModel):
    """Options of `prepare`; those of other tasks play no part.

    Args:
        allow_shared_groups: whether a field, farm or place may have rows in training set and holdout.
        smallest_cell: counts below it are not published.
        rare: classes whose mean recall is scored by itself; None for the least frequent ones.
        rare_classes: how many those are; at most half of the classes.
        examples: synthetic tiles of each class on the page of the data.
        seed: of the synthetic tiles.
        synthetic: the data are known to be synthetic.
        label, group, season, start, step, units, months: of crop-series, see `series_tables.TableSettings`.
        crop, config: of yield and risk from a store: the crop, and a settings file of yieldcast.
        train_years: harvest years to train on; None for all that were public on the first day of the holdout.
        lead_months: months before the end of the harvest at which features are known; None for the last day
            of each season window.
        rule, threshold_kg_ha: classes of the task risk, see `risk.classes.class_rule`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    allow_shared_groups: bool = False
    smallest_cell: int = Field(default=10, ge=2)
    rare: tuple[str, ...] | None = None
    rare_classes: int = Field(default=4, ge=1)
    examples: int = Field(default=2, ge=0, le=20)
    seed: int = 0
    synthetic: bool = False
    label: str | None = None
    group: str | None = None
    season: str | None = None
    start: str | None = None
    step: str | None = None
    units: Mapping[str, str] = {}
    months: bool = False
    crop: str | None = None
    config: Path | None = None
    train_years: tuple[int, ...] | None = None
    lead_months: int | None = None
    rule: Literal["terciles", "municipality", "threshold"] = "terciles"
    threshold_kg_ha: float | None = None


def parse_holdout(text: str, task: TaskName) -> Path | tuple[int, ...]:
    """Harvest years for yield and risk, such as 2016-2018 or 2016,2018; any other text is a path.

    Raises:
        ConfigError: years that end before they begin.
    """
    parts = [_YEARS.fullmatch(part.strip()) for part in text.split(",")]
    if task not in ("yield", "risk") or not all(parts):
        return Path(text)
    years: set[int] = set()
    for part in parts:
        if part is not None:
            first, last = int(part[1]), int(part[2] or part[1])
            if last < first:
                raise ConfigError(
                    f"expected harvest years that begin before they end, received {text}", "E.g. 2016-2018."
                )
            years |= set(range(first, last + 1))
    return tuple(sorted(years))
