"""Submissions to a workspace as a contributor follows them: a list, where one stands, its losses as text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from yieldcast import language
from yieldcast.cli.views.scores import scores_table
from yieldcast.language import Language, message
from yieldcast.workspace.server.wording import PHASES, STATES, is_yield, three_digits

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 60
SHORT_ID = 8


class Curve:
    """Losses of a training, gathered from what the server says now and then."""

    def __init__(self) -> None:
        self._points: dict[tuple[int, int], Mapping[str, Any]] = {}

    def add(self, now: Mapping[str, Any]) -> None:
        """Take what the server says of a submission."""
        point = now["progress"]
        if "epoch" in point:
            self._points[(int(point.get("phase", 0)), int(point["epoch"]))] = point

    def lines(self, words: Language) -> list[str]:
        """A line for each loss: bars, the highest one the largest loss, and the newest number."""
        return curve_lines([self._points[key] for key in sorted(self._points)], words)


def curve_lines(points: Sequence[Mapping[str, Any]], words: Language) -> list[str]:
    """Losses by epoch as lines of bars.

    Args:
        points: epochs in their order, with ``loss`` and ``validation_loss`` where they are known.
        words: of the reader.
    """
    lines = []
    for key, name in (("loss", message("loss")), ("validation_loss", message("validation loss"))):
        values = [float(point[key]) for point in points if isinstance(point.get(key), int | float)]
        if values:
            lines.append(f"{words.gettext(name):<18} {bars(values)} {three_digits(values[-1], words)}")
    return lines


def bars(values: Sequence[float], width: int = _WIDTH) -> str:
    """Numbers as bars of eight heights, from the lowest to the highest; of many the means of neighbours."""
    size = math.ceil(len(values) / width)
    means = [sum(values[k : k + size]) / len(values[k : k + size]) for k in range(0, len(values), size)]
    low, high = min(means), max(means)
    span = (high - low) or 1.0
    return "".join(_BARS[min(7, int(8 * (value - low) / span))] for value in means)


def list_view(rows: Sequence[Mapping[str, Any]], lang: str = "en") -> RenderableType:
    """Submissions, newest first: name, state and the headline score in both phases."""
    words = language.of(lang)
    if not rows:
        return Text(words.gettext("no submissions yet"))
    columns = (message("model"), message("state"), message("as submitted"), message("after fine-tuning"))
    table = scores_table("", "ID", *(words.gettext(one) for one in columns))
    for row in rows:
        state = words.gettext(STATES[row["state"]])
        scores = (headline(row[phase], words) for phase in ("baseline", "tuned"))
        table.add_row(row["id"][:SHORT_ID], row["model"], state, *scores)
    return table


def headline(score: Mapping[str, Any] | None, words: Language) -> str:
    """A headline score: a share in percent, any number above 1 in kg/ha; a dash for None."""
    if score is None:
        return "–"
    return score_text(score["value"], "" if score["value"] <= 1 else "_kg_ha", words)


def score_text(value: float | None, measure: str, words: Language) -> str:
    """A rounded score: a share in percent, yields in kg/ha; a dash for None."""
    if value is None:
        return "–"
    digits = len(f"{value:.6f}".rstrip("0").partition(".")[2])
    if is_yield(measure):
        return f"{words.number(value, digits)} kg/ha"
    return words.percent(value, max(1, digits - 2))


def progress_line(now: Mapping[str, Any], lang: str = "en") -> str:
    """Where a submission stands, in a line: state, place in the queue, phase, epoch, validation loss."""
    words, progress = language.of(lang), now["progress"]
    parts = [words.gettext(STATES[now["state"]])]
    if now["place"] is not None:
        parts.append(words.gettext("place {n}", n=words.number(now["place"])))
    if now["state"] == "running" and progress.get("phase") in PHASES:
        parts.append(words.gettext(PHASES[progress["phase"]]))
    if now["state"] == "running" and "epoch" in progress and "epochs" in progress:
        epoch, epochs = (words.number(progress[key]) for key in ("epoch", "epochs"))
        parts.append(words.gettext("epoch {epoch} of {epochs}", epoch=epoch, epochs=epochs))
    if now["state"] == "running" and "validation_loss" in progress:
        loss = three_digits(float(progress["validation_loss"]), words)
        parts.append(words.gettext("validation loss {loss}", loss=loss))
    return " · ".join(parts)


def progress_view(now: Mapping[str, Any], lang: str = "en", curve: Curve | None = None) -> Group:
    """Where a submission stands, with its losses and the compute that is used.

    Args:
        now: what the server says.
        lang: language of the reader.
        curve: losses so far; None shows none.
    """
    words = language.of(lang)
    lines: list[RenderableType] = [
        Text(f"{now['model']}  {now['id']}", style="bold"), Text(progress_line(now, lang))
    ]  # fmt: skip
    if now["reason"]:
        lines.append(Text(words.said(now["reason"]), style="yellow"))
    lines += [Text(line) for line in (curve.lines(words) if curve else [])]
    used, budget = (three_digits(float(now[key]), words) for key in ("used_pflop", "budget_pflop"))
    lines.append(
        Text(words.gettext("compute used: {used} of {budget} PFLOP", used=used, budget=budget), style="dim")
    )
    return Group(*lines)
