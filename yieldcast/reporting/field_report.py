"""One page about the risk of fields: facts, scores, reliability, and a map of P(low). Nothing is loaded."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Sheet = tuple[Sequence[str], Sequence[Sequence[str]]]
_SIDE = 260  # pixels of a figure
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2933;
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.2rem; margin-top: 2.5rem; text-transform: capitalize }
table { border-collapse: collapse; margin: 0.75rem 0; font-variant-numeric: tabular-nums }
th, td { border-bottom: 1px solid #d5dae0; padding: 0.25rem 0.75rem 0.25rem 0; text-align: right }
th:first-child, td:first-child { text-align: left }
.mark { border: 2px solid #9b2c2c; color: #9b2c2c; font-weight: 600; padding: 0.5rem 0.75rem }
figure { display: inline-block; margin: 0 2rem 1rem 0; vertical-align: top }
figcaption { font-size: 0.85rem; max-width: 260px }
"""


@dataclass(frozen=True)
class Section:
    """What the page says of one crop.

    Args:
        crop: name, the heading.
        facts: sentences.
        scores, confusion: header and rows.
        reliability: mean P(low), share that was low, and number of fields, of each bin.
        longitude_deg, latitude_deg, p_low: (field,).
    """

    crop: str
    facts: Sequence[str]
    scores: Sheet
    confusion: Sheet
    reliability: Sequence[tuple[float, float, int]]
    longitude_deg: Floats
    latitude_deg: Floats
    p_low: Floats


def field_page(sections: Sequence[Section], synthetic: bool) -> str:
    """The page as HTML.

    Args:
        sections: of the crops.
        synthetic: say first that nothing on the page is observed.
    """
    title = "Risk of a low yield, field by field"
    mark = '<p class="mark">SYNTHETIC DATA: fields, weather, vegetation and yields are made up.</p>'
    body = "".join(map(_section, sections))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}'
        f"{' (synthetic)' if synthetic else ''}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{title}</h1>{mark if synthetic else ''}{body}</body></html>\n"
    )


def _section(section: Section) -> str:
    facts = "".join(f"<li>{html.escape(fact)}</li>" for fact in section.facts)
    return (
        f"<h2>{html.escape(section.crop)}</h2><ul>{facts}</ul>{_table(*section.scores)}"
        f"{_table(*section.confusion)}{_reliability(section)}{_map(section)}"
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _reliability(section: Section) -> str:
    most = max((n for _, _, n in section.reliability), default=1)
    points = "".join(
        f'<circle cx="{p * _SIDE:.1f}" cy="{(1 - o) * _SIDE:.1f}" r="{2 + 8 * (n / most) ** 0.5:.1f}" '
        f'fill="#2b6cb0" fill-opacity="0.7"><title>P(low) {p:.2f}, low {o:.2f}, {n} fields</title></circle>'
        for p, o, n in section.reliability
    )
    frame = f'<line x1="0" y1="{_SIDE}" x2="{_SIDE}" y2="0" stroke="#9aa5b1"/>'
    text = "Reliability: forecast P(low) across, share of fields that were low upwards, both 0 to 1."
    return _figure(f"{frame}{points}", text)


def _map(section: Section) -> str:
    x, y = (_unit(values) for values in (section.longitude_deg, section.latitude_deg))
    dots = "".join(
        f'<circle cx="{a * _SIDE:.1f}" cy="{(1 - b) * _SIDE:.1f}" r="2" fill="{_colour(p)}"/>'
        for a, b, p in zip(x, y, section.p_low, strict=True)
    )
    return _figure(dots, "Fields by P(low): blue 0, pale 0.5, red 1. North is above.")


def _figure(inside: str, caption: str) -> str:
    return (
        f'<figure><svg width="{_SIDE}" height="{_SIDE}" viewBox="-6 -6 {_SIDE + 12} {_SIDE + 12}" role="img" '
        f'aria-label="{html.escape(caption)}"><rect width="{_SIDE}" height="{_SIDE}" fill="none" '
        f'stroke="#d5dae0"/>{inside}</svg><figcaption>{html.escape(caption)}</figcaption></figure>'
    )


def _unit(values: Floats) -> Floats:
    low, span = values.min(), np.ptp(values)
    scaled: Floats = (values - low) / span if span else np.full(len(values), 0.5)
    return scaled


def _colour(share: float) -> str:
    """Blue over pale to red; grey where unknown."""
    if not np.isfinite(share):
        return "#9aa5b1"
    end = (43, 108, 176) if share < 0.5 else (197, 48, 48)
    weight = abs(share - 0.5) * 2
    red, green, blue = (round(235 + (one - 235) * weight) for one in end)
    return f"#{red:02x}{green:02x}{blue:02x}"
