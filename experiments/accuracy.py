"""What each ingredient of a forecast is worth on past harvest years, by date, level and protocol.

Joins the rows of backtests (`yieldcast backtest`, one folder or several) and writes accuracy.json (a row per
crop, level, protocol, date, harvest year and model) and accuracy.md, whose tables are made from the rows.

    for crop in soybean corn; do
      yieldcast backtest --store STORE --crop $crop --out WORK --test-years 2014:2018 \\
          --dates 10-15,01-15,02-15,03-15,04-15,06-15
      yieldcast backtest --store STORE --crop $crop --out WORK --test-years 2011:2018 \\
          --dates 10-15,01-15,02-15,03-15,04-15,06-15 --protocol leave-year-out
    done
    python experiments/accuracy.py --folder WORK --note experiments/results/accuracy-data.txt

The store needs yields and official estimates and, better, daily weather. `--seeds 0` leaves the network out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from results_file import heading, markdown_table, write
from yieldcast.cli.terminal import short_errors
from yieldcast.data.files import atomic_text, make_folder
from yieldcast.errors import MissingDataError
from yieldcast.evaluation.accuracy import merged
from yieldcast.evaluation.accuracy_tables import tables


def rows_of(folders: Sequence[Path]) -> tuple[list[dict[str, Any]], str]:
    """The rows of all folders, and how the names of the results begin.

    Raises:
        MissingDataError: a folder without rows.
    """
    rows: list[dict[str, Any]] = []
    mark = ""
    for folder in folders:
        found = [folder / f"{mark}accuracy.json" for mark in ("", "synthetic-")]
        there = [path for path in found if path.is_file()]
        if not there:
            raise MissingDataError(
                f"no accuracy.json in {folder}", "Run yieldcast backtest --out there first."
            )
        mark = "synthetic-" if there[0].name.startswith("synthetic-") else mark
        rows = merged(rows, json.loads(there[0].read_text(encoding="utf-8")))
    return rows, mark


def document(given: argparse.Namespace, rows: Sequence[dict[str, Any]]) -> list[str]:
    """The parts of accuracy.md."""
    parts = heading("Accuracy by ingredient, date and protocol", *given.command)
    parts.append("Errors in kg/ha, means over the harvest years; every municipality with a yield is scored.")
    parts.append(given.note.read_text(encoding="utf-8").strip())
    for one in tables(rows):
        parts += [f"## {one.title}", markdown_table(one.heads, one.lines)]
    return parts


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("--folder", type=Path, action="append", required=True, help="of yieldcast backtest; several times")
    add("--command", action="append", default=[], help="a command that made the folders; several times")
    add("--note", type=Path, required=True, help="text file: what a reader must know of the data")
    add("--write", type=Path, default=Path("experiments/results"))
    given = parser.parse_args()
    rows, mark = rows_of(given.folder)
    make_folder(given.write)
    text = "[\n" + ",\n".join(json.dumps(row, allow_nan=False) for row in rows) + "\n]\n"  # a line a row
    atomic_text(given.write / f"{mark}accuracy.json", text)
    print(f"written: {write(given.write / f'{mark}accuracy.md', document(given, rows))}")


if __name__ == "__main__":
    with short_errors():
        main()
