"""What a terminal shows of `fetch pixels`: images and sizes before, and what each step has after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from yieldcast import language
from yieldcast.language import message

if TYPE_CHECKING:
    from rich.console import Console

    from data_fetchers.fetching.pixel_files import Seen
    from data_fetchers.fetching.pixels import PixelPlan
    from yieldcast.language import Language


def show_plan(plan: PixelPlan, screen: Console, lang: str = "en") -> None:
    """Print the images of each collection, and about how much would be fetched.

    Args:
        plan: see `data_fetchers.fetching.pixels.plan_pixels`.
        screen: where to print.
        lang: language.
    """
    words = language.of(lang)
    heads = (
        words.gettext("collection"), words.gettext("images"), words.gettext("too cloudy"),
        words.gettext("replaced"), words.gettext("public later"),
    )  # fmt: skip
    table = Table(*heads, title=words.gettext("check: no pixels are fetched"))
    for column in table.columns[1:]:
        column.justify = "right"
    for source in plan.order.sources:
        found = plan.chosen[source.collection]
        counts = (len(found.items), found.cloudy, found.replaced, found.later)
        table.add_row(source.collection, *map(words.number, counts))
    screen.print(table)
    for line in _about(plan, words):
        screen.print(Text(line))
    _show_empty(plan, screen, words)
    _show_licences(plan, screen, words)


def show_result(plan: PixelPlan, seen: Seen, screen: Console, lang: str = "en") -> None:
    """Print images, clear ground and pixels with a value, step by step, and the licences.

    Args:
        plan: that was fetched.
        seen: what the images showed.
        screen: where to print.
        lang: language.
    """
    words = language.of(lang)
    heads = (
        words.gettext("step"), words.gettext("images"), words.gettext("clear %"), words.gettext("filled %"),
    )  # fmt: skip
    table = Table(*heads, title=words.gettext("pixels"))
    for column in table.columns[1:]:
        column.justify = "right"
    for day, images, clear, filled in zip(plan.order.days, seen.images, seen.clear, seen.filled, strict=True):
        share = "-" if clear != clear else words.number(100 * clear, 1)
        table.add_row(words.date(day), words.number(images), share, words.number(100 * filled, 1))
    screen.print(table)
    if seen.never > 0:
        text = message("{share} % of the pixels have no value of {band} in any step")
        said = words.gettext(text, share=words.number(100 * seen.never, 1), band=plan.order.bands[0])
        screen.print(Text(said, style="yellow"))
    _show_empty(plan, screen, words)
    _show_licences(plan, screen, words)


def _about(plan: PixelPlan, words: Language) -> list[str]:
    grid, lines = plan.grid, []
    if grid is not None:
        text = message("grid: {height} x {width} pixels of {pixel} m")
        sides = {"height": words.number(grid.height), "width": words.number(grid.width)}
        lines.append(words.gettext(text, **sides, pixel=words.number(grid.pixel, 1)))
    elif plan.order.points is not None:
        lines.append(words.gettext("points: {n}", n=words.number(len(plan.order.points))))
    text = message("{steps} steps; bands: {bands}")
    steps = words.number(len(plan.order.days))
    lines.append(words.gettext(text, steps=steps, bands=", ".join(plan.order.bands)))
    text = message("to fetch: {n} windows, at most about {download} MB; result: about {result} MB")
    sizes = {"download": words.number(plan.download_mb, 1), "result": words.number(plan.result_mb, 1)}
    lines.append(words.gettext(text, n=words.number(len(plan.missing)), **sizes))
    return lines


def _show_empty(plan: PixelPlan, screen: Console, words: Language) -> None:
    if plan.empty:
        days = ", ".join(words.date(day) for day in plan.empty)
        screen.print(Text(words.gettext("steps without images: {days}", days=days), style="yellow"))


def _show_licences(plan: PixelPlan, screen: Console, words: Language) -> None:
    for source in plan.order.sources:
        text = message("{collection}: licence: {licence}; show: {attribution}")
        kept = {"collection": source.collection, "licence": source.licence, "attribution": source.attribution}
        screen.print(Text(words.gettext(text, **kept)))
