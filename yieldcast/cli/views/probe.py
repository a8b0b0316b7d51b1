"""A probe's report for a terminal of 80 columns."""

from __future__ import annotations

import datetime as dt
import math

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from yieldcast import language
from yieldcast.cli.views.scores import crop_name, scores_table
from yieldcast.data.summary import number_spans
from yieldcast.language import Language, message
from yieldcast.probing.importance import share_by_variable
from yieldcast.probing.lines import VERDICTS, Line
from yieldcast.probing.probe import ProbeReport

MOST_IMPORTANT = 10  # rows of the table of importance
GROUPS = {
    "all": message("all features"), "weather": message("without weather"),
    "vegetation": message("without vegetation"), "soil": message("without soil"),
    "place": message("without place"), "history": message("without yield history"),
}  # fmt: skip


def probe_view(report: ProbeReport, lang: str = "en") -> Group:
    """One line for each probe, what was done in each, skill without groups, importance, warnings.

    Args:
        report: of `yieldcast.probing.probe.probe`.
        lang: language; names of features and models are those of the files.
    """
    words = language.of(lang)
    parts: list[RenderableType] = [_probes(report, words)]
    parts += [
        Text(f"{words.gettext(line.name)}: {words.said(line.detail)}", style="dim") for line in report.lines
    ]
    parts += [Text(""), _skills(report, words), Text(""), _importance(report, words)]
    parts += [
        Text(words.gettext("warning: {text}", text=words.said(text)), style="bold yellow")
        for text in report.warnings
    ]
    if report.failed:
        names = ", ".join(words.gettext(name) for name in report.failed)
        parts.append(Text(words.gettext("failed: {names}", names=names), style="bold red"))
    else:
        parts.append(Text(words.gettext("no probe failed"), style="bold green"))
    return Group(*parts)


def _probes(report: ProbeReport, words: Language) -> Table:
    about = report.about
    text = message("{crop} {tested} as of {date}, taught by {trained}")
    if about["synthetic"]:
        text = message("{crop} {tested} as of {date}, taught by {trained} (synthetic data)")
    title = words.gettext(
        text, crop=crop_name(about["crop"], words), tested=number_spans(about["test_years"]),
        date=dt.date.fromisoformat(about["as_of"]), trained=number_spans(about["train_years"]),
    )  # fmt: skip
    heads = (words.gettext(one) for one in (
        message("probe"), message("score"), message("honest"), message("verdict")
    ))  # fmt: skip
    table = scores_table(title, *heads)
    for line in report.lines:
        bad = "bold red" if line.verdict == "failed" else ""
        table.add_row(
            words.gettext(line.name), number(line.score, line, words), honest(line, words),
            Text(words.gettext(VERDICTS[line.verdict]), style=bad),
        )  # fmt: skip
    return table


def number(value: float, line: Line, words: Language) -> str:
    """A score or limit with its unit; an en dash where it is not known."""
    if math.isinf(value):
        return "∞"
    digits = 0 if line.unit == "kg/ha" and (value == 0 or abs(value) >= 10) else 2
    written = words.number(value, digits)
    return f"{written} kg/ha" if line.unit == "kg/ha" and not math.isnan(value) else written


def honest(line: Line, words: Language) -> str:
    """The score that an honest pipeline must show."""
    if math.isnan(line.limit):
        return "–"
    return f"{'≤' if line.side == 'at most' else '≥'} {number(line.limit, line, words)}"


def _skills(report: ProbeReport, words: Language) -> Table:
    table = scores_table(words.gettext("skill on the test years"), words.gettext("inputs or model"),
                         words.gettext("skill"), words.gettext("change"))  # fmt: skip
    for name, value in report.skills.items():
        table.add_row(name, words.number(value, 3), "")
    table.add_section()
    for row in report.ablation:
        change = words.number(row.change, 3, signed=True) if row.group != "all" else ""
        table.add_row(words.gettext(GROUPS[row.group]), words.number(row.skill, 3), change)
    return table


def _importance(report: ProbeReport, words: Language) -> Table:
    shares = share_by_variable(report.importance)
    total = sum(max(one.loss, 0.0) for one in report.importance) or 1.0
    table = scores_table(
        words.gettext("permutation importance"), words.gettext("variable"), words.gettext("window"),
        words.gettext("share"), words.gettext("of the variable"),
    )  # fmt: skip
    # the names of features are long; a window may take two lines
    variable, window, _, of_variable = table.columns
    variable.min_width, of_variable.min_width, window.justify = 30, 8, "left"
    window.no_wrap = of_variable.no_wrap = False
    for one in report.importance[:MOST_IMPORTANT]:
        days = words.said(one.window) if one.window else "–"
        table.add_row(
            one.variable, days, words.percent(max(one.loss, 0.0) / total),
            words.percent(shares[one.variable]),
        )  # fmt: skip
    return table
