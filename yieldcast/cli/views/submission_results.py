"""Results of a submission for a terminal: scores by phase, by class, confusion, and what the Ladder tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from yieldcast import language
from yieldcast.cli.views.scores import scores_table
from yieldcast.cli.views.submissions import curve_lines, score_text
from yieldcast.language import Language, message
from yieldcast.workspace.server.wording import PHASES, STATES, measure_name

_LADDER = message(
    "Scores are told only where they are better than your best one by more than their standard error; "
    "a dash is a score that is not told."
)


def results_view(detail: Mapping[str, Any], lang: str = "en") -> Group:
    """Everything that a contributor may know of a submission.

    Args:
        detail: as the route ``/submissions/ID`` has it.
        lang: language of the reader.
    """
    words, row = language.of(lang), detail["row"]
    parts: list[RenderableType] = [
        Text(f"{row['model']}  {row['id']}", style="bold"), Text(words.gettext(STATES[row["state"]]))
    ]  # fmt: skip
    if row["reason"]:
        parts.append(Text(words.said(row["reason"]), style="yellow"))
    if phases := detail["phases"]:
        parts.append(_measures(phases, words))
        if phases[0]["classes"]:
            parts.append(_classes(phases, words))
        parts += [_confusion(one, words) for one in phases if one["confusion"]]
        parts += [Text(words.gettext(_LADDER), style="dim"), _looks(detail["looks"], words)]
    parts += [Text(line) for line in curve_lines(detail["curve"], words)]
    return Group(*parts)


def _measures(phases: Sequence[Mapping[str, Any]], words: Language) -> Table:
    """A line for each measure: its score and interval in each phase, and the best one that is known."""
    table = scores_table(
        words.gettext("Scores on the holdout"), words.gettext("measure"), *_headings(phases, words)
    )
    table.add_column(words.gettext("your best"), justify="right")
    names = dict.fromkeys(line["measure"] for one in phases for line in one["lines"])
    for name in names:
        lines = [_line(one, name) for one in phases]
        known = [line["published"] for line in lines if line["published"] is not None]
        cells = (_told(line["score"], name, words) for line in lines)
        table.add_row(
            measure_name(name, words), *cells, score_text(known[-1] if known else None, name, words)
        )
    return table


def _classes(phases: Sequence[Mapping[str, Any]], words: Language) -> Table:
    table = scores_table(words.gettext("Recall by class"), words.gettext("class"), *_headings(phases, words))
    for k, one in enumerate(phases[0]["classes"]):
        name = f"{one['name']} ({words.gettext('rare')})" if one["rare"] else one["name"]
        rows = [phase["classes"][k] for phase in phases]
        hidden = words.gettext("too few rows")
        table.add_row(name, *(hidden if row["hidden"] else _told(row["recall"], "", words) for row in rows))
    return table


def _confusion(phase: Mapping[str, Any], words: Language) -> Table:
    """Share of the rows of each class by prediction; classes are numbered to fit 80 columns."""
    where, names = words.gettext(PHASES[phase["phase"]]), [one["name"] for one in phase["classes"]]
    title = words.gettext("Share of the rows of each class by prediction, {phase}", phase=where)
    numbers = [str(k + 1) for k in range(len(names))]
    table = scores_table(title, words.gettext("class"), *numbers)
    for k, (name, row) in enumerate(zip(names, phase["confusion"], strict=True)):
        shares = (score_text(share, "", words) for share in row)
        table.add_row(f"{k + 1} {name}", *shares)
    return table


def _headings(phases: Sequence[Mapping[str, Any]], words: Language) -> Iterator[str]:
    return (words.gettext(PHASES[one["phase"]]) for one in phases)


def _line(phase: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    nothing = {"score": None, "published": None}
    return next((line for line in phase["lines"] if line["measure"] == name), nothing)


def _told(score: Mapping[str, Any] | None, measure: str, words: Language) -> str:
    """A score and its interval; a dash where it is not told."""
    if score is None:
        return "–"
    value, low, high = (score_text(score[key], measure, words) for key in ("value", "low", "high"))
    return f"{value} ({low} – {high})"


def _looks(looks: Mapping[str, Any], words: Language) -> Text:
    said = words.gettext("looks at the holdout: {n}", n=words.number(looks["looks"]))
    if looks["fixed"] is not None:
        points = words.number(100 * looks["fixed"], 1)
        more = words.gettext(
            "with 95 % probability no score is off by more than {points} percentage points", points=points
        )
        said = f"{said}; {more}"
    return Text(said, style="dim")
