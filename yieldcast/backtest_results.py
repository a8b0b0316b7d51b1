"""What a backtest found, and its files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yieldcast.disk import atomic_text


@dataclass(frozen=True)
class Tested:
    """Everything a backtest found.

    Args:
        rows: dictionaries with the keys of `verification.Skill`.
        by_state: the same with `state`, for the forecast and the best reference lines.
        reliability: per cast and model share of yields below each quantile, and mean width.
        synthetic: whether the data are.
    """

    rows: list[dict[str, Any]]
    by_state: list[dict[str, Any]]
    reliability: list[dict[str, Any]]
    synthetic: bool


def table_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Rows with the same keys as CSV; empty where there is no value."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_results(result: Tested, folder: Path, file: Path | None = None) -> list[Path]:
    """Write rows as JSON (to `file` too), states and reliability as CSV, into the folder of the backtest.

    Returns:
        The files written.
    """
    mark = "synthetic-" if result.synthetic else ""
    text = json.dumps(result.rows, indent=2, allow_nan=False) + "\n"
    files = {**({file: text} if file else {}), folder / f"{mark}backtest.json": text}
    files[folder / f"{mark}by-state.csv"] = table_csv(result.by_state)
    files[folder / f"{mark}reliability.csv"] = table_csv(result.reliability)
    for path, content in files.items():
        atomic_text(path, content)
    return list(files)
