"""Parts that the results files of these scripts share: heading, provenance, Markdown tables, writing."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from yieldcast.data.files import atomic_text, make_folder
from yieldcast.training.run_directory import versions


def heading(title: str, *before: str, remark: str = "") -> list[str]:
    """Title, date, commands and versions: the first parts of a results file.

    Args:
        title: of the file.
        before: commands that were run before this script.
        remark: words after "Command" or "Commands", e.g. what a second call does.
    """
    commands = [*before, f"python {' '.join(sys.argv)}"]
    label = ("Commands" if before else "Command") + remark
    text = "\n".join(commands)
    return [f"# {title}", f"Date: {dt.date.today()}. {label}:\n\n```\n{text}\n```", f"{made_with()}."]


def made_with(found: Mapping[str, str] | None = None) -> str:
    """Versions of Python and of the packages as text.

    Args:
        found: version by name; those of this process if None.
    """
    return f"Made with {', '.join(f'{name} {version}' for name, version in (found or versions()).items())}"


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]], right: bool = True) -> str:
    """A Markdown table.

    Args:
        heads: names of the columns.
        rows: cells, as many as `heads` in each row.
        right: align all columns but the first to the right.
    """
    rule = ["---", *["--:" if right else "---"] * (len(heads) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows))


def write(path: Path, parts: Sequence[str]) -> Path:
    """Write the parts of a results file, separated by empty lines; makes the folder if needed."""
    make_folder(path.parent)
    atomic_text(path, "\n\n".join(parts) + "\n")
    return path
