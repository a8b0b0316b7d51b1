"""Figures of studies of crop types: macro-F1 by model, by domain, or over the number of local labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yieldcast import language
from yieldcast.errors import MissingDataError
from yieldcast.language import Language, message
from yieldcast.reporting.figures import MODEL_STYLES, new_figure, put_footer, put_title
from yieldcast.reporting.generalise_plot import save_figure
from yieldcast.transfer.crop_types.tables import HELD, PROTOCOLS
from yieldcast.transfer.scores import ALL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Document = Mapping[str, Any]  # of CropTypeResult.to_json
MACRO_F1 = message("macro-F1")
_MOST_PANELS = 6  # domains of a label-efficiency figure, beside that of all


def crop_type_figure(document: Document, lang: str = "en") -> Figure:
    """Bars in and out of domain; with few labels the label-efficiency curves, a panel for each domain.

    Args:
        document: of `CropTypeResult.to_json`.
        lang: language.

    Raises:
        MissingDataError: nothing to draw.
        ConfigError: matplotlib is not installed, or an unknown language.
    """
    words = language.of(lang)
    domains = list(dict.fromkeys(row["domain"] for row in document["scores"]))
    if not domains:
        raise MissingDataError("expected scores to draw, received none", "Test more series.")
    curves = document["protocol"] == "few-shot"
    shown = domains[: _MOST_PANELS + 1] if curves else [domains[0]]
    figure = new_figure((8.0, 2.9 * len(shown) + 1.0))
    for axes, domain in zip(figure.subplots(len(shown), 1, squeeze=False).ravel(), shown, strict=True):
        rows = [row for row in document["scores"] if row["domain"] == domain]
        (_draw_curves if curves else _draw_bars)(axes, rows, document["models"], words)
        if domain != ALL:
            axes.set_title(domain, fontsize=9, parse_math=False)
        axes.set_ylabel(words.gettext(MACRO_F1))
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    what = [words.said(PROTOCOLS[document["protocol"]])]
    if document["hold_out"]:
        what.append(words.said(HELD[document["hold_out"]]))
    put_title(figure, words.gettext("Crop types, {protocol}", protocol=", ".join(what)))
    put_footer(figure, [words.said(note) for note in document["notes"][:2]])
    return figure


def write_figure(path: Path, document: Document, lang: str = "en") -> Path:
    """Draw `crop_type_figure` into a file; arguments and errors as there.

    Args:
        path: ends in ``.png`` or ``.svg``.
        document, lang: see `crop_type_figure`.
    """
    return save_figure(path, crop_type_figure(document, lang))


def _draw_bars(axes: Axes, rows: Sequence[Mapping[str, Any]], models: Sequence[str], words: Language) -> None:
    """A bar for each model with its interval; a tick where it is in domain."""
    by = {(row["model"], row["training"]): row for row in rows}
    for m, model in enumerate(models):
        inside = by.get((model, "in_domain"))
        row = by.get((model, "out_of_domain"), inside)
        if row is None:
            continue
        value = row["macro_f1"]
        bounds = (row["low"], row["high"])
        error = None if None in bounds else [[max(value - bounds[0], 0)], [max(bounds[1] - value, 0)]]
        axes.bar(m, value, 0.7, color=MODEL_STYLES[m % len(MODEL_STYLES)][0])
        axes.errorbar(m, value, error, color="0.2", linewidth=1.0, capsize=3)
        if inside is not None and inside is not row:
            axes.hlines(inside["macro_f1"], m - 0.35, m + 0.35, color="black", linewidth=1.8)
    axes.set_xticks(range(len(models)), [name.replace(", ", ",\n") for name in models], fontsize=7)
    axes.set_ylim(0, 1)
    axes.plot([], [], color="black", linewidth=1.8, label=words.gettext(message("in domain")))
    axes.plot([], [], color="0.2", linewidth=1.0, label=words.gettext(message("95 % interval")))


def _draw_curves(
    axes: Axes, rows: Sequence[Mapping[str, Any]], models: Sequence[str], words: Language
) -> None:
    """Macro-F1 over k: labels from elsewhere plus k (solid), k alone (dashed)."""
    points = [row for row in rows if row["k"] is not None]
    for m, model in enumerate(models):
        colour, marker = MODEL_STYLES[m % len(MODEL_STYLES)]
        label: str | None = model
        for alone in (False, True):
            own = [row for row in points if row["model"] == model and (row["training"] == "k_alone") == alone]
            own.sort(key=lambda row: row["k"])
            if own:
                axes.errorbar(
                    [row["k"] for row in own], [row["macro_f1"] for row in own],
                    [row["macro_f1_sd"] or 0.0 for row in own], color=colour, marker=marker, markersize=4,
                    linewidth=1.2, linestyle="--" if alone else "-", label=label,
                )  # fmt: skip
                label = None
    ks = sorted({row["k"] for row in points})
    axes.set_xscale("symlog", linthresh=max(min((k for k in ks if k), default=1), 1))
    axes.set_xticks(ks, [words.number(k) for k in ks])
    axes.minorticks_off()
    axes.set_xlabel(words.gettext(message("local labels (k)")))
    axes.plot([], [], color="0.3", linestyle="--", label=words.gettext(message("local labels alone")))
