"""Small drawings as SVG: bars of shares, intervals, learning curves. No style in them, only classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from yieldcast.language import Language

_WIDE, _HIGH = 720.0, 280.0  # of a learning curve, in units of its view box
_LEFT, _RIGHT, _TOP, _BOTTOM = 58.0, 14.0, 14.0, 38.0
Scale = Callable[[float], float]  # value -> place in the drawing
_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)  # steps between ticks, times a power of ten


def share_bar(share: float, largest: float = 1.0) -> Markup:
    """A bar as long as a share of the largest one; the number stands beside it as text.

    Args:
        share, largest: 0 or more; a bar never gets longer than its cell.
    """
    part = 100 * min(max(share / largest, 0.0), 1.0) if largest > 0 else 0.0
    return Markup(
        '<svg class="bar" viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="all" width="100" height="12"/><rect class="part" width="{:.2f}" height="12"/></svg>'
    ).format(part)


def whisker(value: float, low: float, high: float, axis: tuple[float, float]) -> Markup:
    """A point with its interval on an axis that all rows of a table share; the numbers stand beside it.

    Args:
        value, low, high: a score and its interval.
        axis: lowest and highest value drawn.
    """
    if not all(map(math.isfinite, (value, low, high))):
        return Markup("")
    span = axis[1] - axis[0] or 1.0
    x, left, right = (4 + 124 * min(max((v - axis[0]) / span, 0.0), 1.0) for v in (value, low, high))
    return Markup(
        '<svg class="whisker" viewBox="0 0 132 16" aria-hidden="true">'
        '<line class="track" x1="4" x2="128" y1="8" y2="8"/>'
        '<path class="range" d="M{left:.1f} 3v10M{left:.1f} 8H{right:.1f}M{right:.1f} 3v10"/>'
        '<circle class="point" cx="{x:.1f}" cy="8" r="4"/></svg>'
    ).format(left=left, right=right, x=x)


def spark(values: Sequence[float], axis: tuple[float, float]) -> Markup:
    """The course of a mean over the steps of a season; its numbers stand beside it.

    Args:
        values: by step.
        axis: lowest and highest value drawn.
    """
    span = axis[1] - axis[0] or 1.0
    last = max(len(values) - 1, 1)
    points = " ".join(
        f"{2 + 116 * k / last:.1f},{22 - 20 * (v - axis[0]) / span:.1f}" for k, v in enumerate(values)
    )
    return Markup(
        '<svg class="spark" viewBox="0 0 120 24" aria-hidden="true">'
        '<polyline class="line" points="{}"/></svg>'
    ).format(points)


def axis_of(intervals: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """Lowest and highest end of intervals, for `whisker`; 0 to 1 without any."""
    ends = [end for pair in intervals for end in pair if math.isfinite(end)]
    return (min(ends), max(ends)) if ends else (0.0, 1.0)


@dataclass(frozen=True)
class Line:
    """One line of a learning curve.

    Args:
        name: what it shows, in the reader's language.
        values: by epoch, from the first one; NaN where there is none.
    """

    name: str
    values: Sequence[float]


def learning_curve(lines: Sequence[Line], title: str, words: Language, best: int | None = None) -> Markup:
    """The losses of each epoch as a drawing; a table beside it must say the same in numbers.

    Args:
        lines: one or two.
        title: what a reader who does not see it hears.
        words: of the reader.
        best: epoch, from 1, whose weights were kept.
    """
    epochs = max((len(line.values) for line in lines), default=0)
    known = [value for line in lines for value in line.values if math.isfinite(value)]
    if not known:
        return Markup("")
    bottom, top, step = _limits(min(known), max(known))

    def x(epoch: float) -> float:
        return _LEFT + (_WIDE - _LEFT - _RIGHT) * ((epoch - 1) / (epochs - 1) if epochs > 1 else 0.5)

    def y(value: float) -> float:
        return _TOP + (_HIGH - _TOP - _BOTTOM) * (top - value) / (top - bottom)

    parts = [*_grid(bottom, top, step, y, words), *_epochs(epochs, x, words)]
    if best is not None:
        parts.append(
            Markup('<line class="mark" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>').format(
                x(best), _TOP, _HIGH - _BOTTOM
            )
        )
    for line, look in zip(lines, ("", " second"), strict=False):
        places = [(x(k), y(v)) for k, v in enumerate(line.values, 1) if math.isfinite(v)]
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
        parts.append(Markup('<polyline class="line{}" points="{}"/>').format(look, points))
        if epochs <= 40:
            dot = Markup('<circle class="dot{}" cx="{:.1f}" cy="{:.1f}" r="3.5"/>')
            parts += [dot.format(look, a, b) for a, b in places]
    return Markup(
        '<svg class="curve" viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}">{}</svg>'
    ).format(_WIDE, _HIGH, title, Markup("").join(parts))


def _limits(low: float, high: float) -> tuple[float, float, float]:
    """Limits that are multiples of a round step, and the step: about four ticks."""
    span = high - low or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / 4))
    step = next(nice * power for nice in _NICE if nice * power >= span / 4 * 0.999)
    bottom, top = math.floor(low / step) * step, math.ceil(high / step) * step
    return bottom, top if top > bottom else bottom + step, step


def _grid(bottom: float, top: float, step: float, y: Scale, words: Language) -> list[Markup]:
    digits = max(0, -math.floor(math.log10(step)) + (step / 10 ** math.floor(math.log10(step)) % 1 > 0))
    line = Markup(
        '<line class="grid" x1="{0}" x2="{1}" y1="{2:.1f}" y2="{2:.1f}"/>'
        '<text x="{3}" y="{4:.1f}" text-anchor="end">{5}</text>'
    )
    values = [bottom + step * k for k in range(round((top - bottom) / step) + 1)]
    heights = [y(value) for value in values]
    return [
        line.format(_LEFT, _WIDE - _RIGHT, at, _LEFT - 8, at + 4, words.number(value, digits))
        for value, at in zip(values, heights, strict=True)
    ]


def _epochs(epochs: int, x: Scale, words: Language) -> list[Markup]:
    every = max(1, math.ceil(epochs / 12))
    text = Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>')
    marks = [text.format(x(k), _HIGH - 20, words.number(k)) for k in range(1, epochs + 1, every)]
    return [*marks, text.format((_LEFT + _WIDE - _RIGHT) / 2, _HIGH - 4, words.gettext("epoch"))]
