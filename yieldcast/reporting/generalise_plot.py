"""Figures of studies of transfer: RMSE by protocol, and label-efficiency curves."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yieldcast import language
from yieldcast.data.files import atomic_write
from yieldcast.errors import MissingDataError
from yieldcast.language import Language, message
from yieldcast.reporting import labels
from yieldcast.reporting.figures import MODEL_STYLES, new_figure, put_footer, put_title
from yieldcast.transfer.scores import ALL
from yieldcast.transfer.tables import HELD, PROTOCOLS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Document = Mapping[str, Any]  # of TransferResult.to_json
RMSE = message("RMSE (kg/ha)")


def generalise_figure(documents: Sequence[Document], lang: str = "en") -> Figure:
    """One figure of the studies of one crop: bars by protocol, and beside them curves of few local rows.

    Args:
        documents: of `TransferResult.to_json`, of one crop or several; each crop has a row of panels.
        lang: language.

    Raises:
        MissingDataError: nothing to draw.
        ConfigError: matplotlib is not installed, or an unknown language.
    """
    words = language.of(lang)
    panels = [
        (crop, kind, own)
        for crop in dict.fromkeys(one["crop"] for one in documents)
        for kind, own in _kinds([one for one in documents if one["crop"] == crop])
    ]
    if not panels:
        raise MissingDataError("expected scores to draw, received none", "Test more rows.")
    figure = new_figure((8.0, 3.4 * len(panels) + 0.8))
    grid = figure.subplots(len(panels), 1, squeeze=False).ravel()
    for axes, (crop, kind, own) in zip(grid, panels, strict=True):
        (_draw_curves if kind == "curve" else _draw_bars)(axes, own, words)
        axes.set_title(labels.crop(crop, words.tag), fontsize=9, parse_math=False)
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    synthetic = any(one["synthetic"] for one in documents)
    text = message("Transfer (synthetic data)") if synthetic else message("Transfer")
    put_title(figure, words.gettext(text))
    # the first two notes say whether it is a forecast and what is known on its date
    notes = dict.fromkeys(note for one in documents for note in one["notes"][:2])
    put_footer(figure, [words.said(note) for note in notes])
    return figure


def write_figure(path: Path, documents: Sequence[Document], lang: str = "en") -> Path:
    """Draw `generalise_figure` into a file; arguments and errors as there.

    Args:
        path: ends in ``.png`` or ``.svg``.
        documents, lang: see `generalise_figure`.
    """
    return save_figure(path, generalise_figure(documents, lang))


def save_figure(path: Path, figure: Figure) -> Path:
    """Write a figure whole or not at all; the same figure gives the same file.

    Args:
        path: ends in ``.png`` or ``.svg``.
        figure: drawn.

    Raises:
        MissingDataError: the disk refuses.
    """
    from matplotlib import rc_context

    form = path.suffix.removeprefix(".")
    # no date, no software, no random names of parts
    about = {"Date": None} if form == "svg" else {"Software": None}
    with rc_context({"svg.hashsalt": "yieldcast"}):
        atomic_write(path, lambda temporary: figure.savefig(temporary, format=form, metadata=about))
    return path


def _kinds(documents: Sequence[Document]) -> list[tuple[str, list[Document]]]:
    """Panels of a crop: bars of all protocols with gaps, and a panel of curves per few-shot study."""
    bars = [one for one in documents if any(row["domain"] == ALL for row in one["gaps"])]
    curves = [("curve", [one]) for one in documents if any(row["domain"] == ALL for row in one["curve"])]
    return [*([("bars", bars)] if bars else []), *curves]


def _draw_bars(axes: Axes, documents: Sequence[Document], words: Language) -> None:
    """RMSE of all rows: a group per protocol, a bar per model; a tick where it is in domain."""
    models = list(
        dict.fromkeys(row["model"] for one in documents for row in one["gaps"] if row["domain"] == ALL)
    )
    width = 0.8 / len(models)
    for m, model in enumerate(models):
        colour = MODEL_STYLES[m % len(MODEL_STYLES)][0]
        for group, one in enumerate(documents):
            own = [row for row in one["gaps"] if (row["domain"], row["model"]) == (ALL, model)]
            inside = own[0].get("in_domain_rmse_kg_ha") if own else None
            outside = own[0].get("out_of_domain_rmse_kg_ha", inside) if own else None
            if outside is None:
                continue
            at = group - 0.4 + (m + 0.5) * width
            axes.bar(at, outside, width * 0.92, color=colour, label=model if group == 0 else None)
            if inside is not None:
                axes.hlines(inside, at - width / 2, at + width / 2, color="black", linewidth=1.5)
    names = [_name(one, words) for one in documents]
    axes.set_xticks(range(len(documents)), names, fontsize=7)
    axes.set_ylabel(words.gettext(RMSE))
    axes.plot([], [], color="black", linewidth=1.5, label=words.gettext(message("in domain")))


def _name(one: Document, words: Language) -> str:
    name = words.said(HELD[one["hold_out"]] if one["hold_out"] else PROTOCOLS[one["protocol"]])
    return "\n".join([*textwrap.wrap(name, 14), *([one["as_of"]] if one["as_of"] else [])])


def _draw_curves(axes: Axes, documents: Sequence[Document], words: Language) -> None:
    """RMSE over the number of local rows: out of domain plus k (solid), and k alone (dashed)."""
    from matplotlib.ticker import FuncFormatter, LogLocator

    points = [row for one in documents for row in one["curve"] if row["domain"] == ALL]
    for m, model in enumerate(dict.fromkeys(row["model"] for row in points)):
        colour, marker = MODEL_STYLES[m % len(MODEL_STYLES)]
        for alone in (False, True):
            own = [row for row in points if row["model"] == model and (row["training"] == "k_alone") == alone]
            own.sort(key=lambda row: row["k"])
            spread = [row["rmse_sd_kg_ha"] or 0.0 for row in own]
            axes.errorbar(
                [row["k"] for row in own], [row["rmse_kg_ha"] for row in own], spread, color=colour,
                marker=marker, markersize=4, linewidth=1.2, linestyle="--" if alone else "-",
                label=None if alone else model,
            )  # fmt: skip
    ks = sorted({row["k"] for row in points})
    axes.set_xscale("symlog", linthresh=max(min((k for k in ks if k), default=1), 1))
    axes.set_xticks(ks, [str(k) for k in ks])
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: words.number(value)))
    axes.minorticks_off()
    axes.set(xlabel=words.gettext(message("local rows (k)")), ylabel=words.gettext(RMSE))
    axes.plot([], [], color="0.3", linestyle="--", label=words.gettext(message("local rows alone")))
