"""Training, maps and the study of tiles for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from yieldcast import language
from yieldcast.cli.views.scores import scores_table
from yieldcast.language import message
from yieldcast.tiles.generalise import Result, mean_scores
from yieldcast.tiles.run import TileRun


def training_view(run: TileRun, lang: str = "en") -> Group:
    """Scores of patches that had no part in the training, how it ended, and the origin of the weights."""
    words, scores, parts = language.of(lang), run.scores, run.record["patches"]
    title = words.gettext("F1 of {n} patches", n=words.number(parts["test"]))
    table = scores_table(title, *(words.gettext(one) for one in (message("class"), message("pixels"), "F1")))
    for k, name in enumerate(run.classes):
        found = words.number(scores.f1[name], 3) if name in scores.f1 else "–"
        table.add_row(name, words.number(sum(scores.confusion[k])), found)
    rows = (
        (message("macro-F1"), scores.macro_f1), (message("overall accuracy"), scores.accuracy),
        (message("accuracy of the most frequent class alone"), scores.majority),
    )  # fmt: skip
    for text, value in rows:
        table.add_row(words.gettext(text), "", words.number(value, 3))
    training = run.record["training"]
    lines: list[RenderableType] = [table]
    text = message("{train} patches to train, {stop} to stop; best epoch {best} of {all}")
    numbers = {"train": parts["train"], "stop": parts["stop"], "best": training["best_epoch"],
               "all": training["epoch"]}  # fmt: skip
    lines.append(Text(words.gettext(text, **{n: words.number(v) for n, v in numbers.items()}), style="dim"))
    if run.absent:
        bands = ", ".join(run.absent)
        lines.append(
            Text(words.gettext("bands that the encoder does not see: {names}", names=bands), style="yellow")
        )
    if origin := run.record["weights"]:
        licence = f"{origin['file']}, licence {origin['licence']}, from {origin['source']}"
        lines.append(Text(words.gettext("weights: {licence}", licence=licence)))
    return Group(*lines)


def map_view(pixels: Mapping[str, int], hectares: Mapping[str, float], lang: str = "en") -> Table:
    """Pixels and hectares of each class."""
    words = language.of(lang)
    headings = (message("class"), message("pixels"), message("hectares"))
    table = scores_table(words.gettext("Mapped classes"), *map(words.gettext, headings))
    for name, count in pixels.items():
        table.add_row(name, words.number(count), words.number(hectares[name], 1))
    return table


def generalise_view(results: Sequence[Result], lang: str = "en") -> Group:
    """Overall accuracy and macro-F1 of each country and setting, as table 3 of the paper."""
    words, means = language.of(lang), mean_scores(results)
    settings = list(dict.fromkeys(one.setting for one in results))
    tables: list[RenderableType] = []
    titles = (message("Overall accuracy (%)"), message("Macro-F1 (%)"))
    for position, title in enumerate(titles):
        table = scores_table(words.gettext(title), words.gettext("country"), *settings)
        for country in dict.fromkeys(one.country for one in results):
            found = [means.get((country, setting)) for setting in settings]
            table.add_row(country, *(words.number(100 * one[position], 2) if one else "–" for one in found))
        tables.append(table)
    meaning = message("OOD: trained on the other countries; k ID: on k patches of the country.")
    return Group(*tables, Text(words.gettext(meaning), style="dim"))
