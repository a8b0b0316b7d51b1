"""Short summaries of an object for people: plain text for a terminal, one HTML table for a notebook."""

from __future__ import annotations

import html
from collections.abc import Sequence

# Colours are inherited and the lines are grey, so that light and dark notebooks can both show the table.
_CELL = "text-align: left; vertical-align: top; padding: 0.15em 0.8em 0.15em 0; color: inherit;"
_HEADING = f"{_CELL} font-weight: normal; opacity: 0.75; white-space: nowrap;"
_VALUE = f"{_CELL} overflow-wrap: anywhere; white-space: pre-line;"
_TABLE = "border-collapse: collapse; background: transparent; color: inherit; max-width: 60em;"


def summary_text(title: str, rows: Sequence[tuple[str, str]]) -> str:
    """A title and one line per row, names in a column of equal width.

    Args:
        title: what the object is, e.g. ``Store /data/brazil``.
        rows: names and values; a value may have several lines.

    Returns:
        the text, without a line break at its end.
    """
    width = max((len(name) for name, _ in rows), default=0)
    lines = [title]
    for name, value in rows:
        first, *more = value.split("\n")
        lines.append(f"  {name:<{width}}  {first}".rstrip())
        lines += [f"  {'':<{width}}  {line}".rstrip() for line in more]
    return "\n".join(lines)


def summary_html(title: str, rows: Sequence[tuple[str, str]]) -> str:
    """The same as one HTML table with its title above: all text escaped, nothing loaded from elsewhere.

    Args:
        title: as for `summary_text`.
        rows: as for `summary_text`.
    """
    cells = "".join(
        f'<tr style="background: transparent; border-top: 1px solid rgba(128, 128, 128, 0.35);">'
        f'<th scope="row" style="{_HEADING}">{html.escape(name)}</th>'
        f'<td style="{_VALUE}">{html.escape(value)}</td></tr>'
        for name, value in rows
    )
    caption = (
        '<caption style="caption-side: top; text-align: left; color: inherit; font-weight: bold;">'
        f"{html.escape(title)}</caption>"
    )
    return f'<table style="{_TABLE}">{caption}<tbody>{cells}</tbody></table>'
