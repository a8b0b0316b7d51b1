"""Tables of a study of transfer for a terminal of 80 columns."""

from __future__ import annotations

from rich.console import Group
from rich.text import Text

from yieldcast import language
from yieldcast.cli.views.accuracy import table_parts
from yieldcast.cli.views.scores import crop_name
from yieldcast.language import message
from yieldcast.transfer.results import TransferResult
from yieldcast.transfer.tables import transfer_tables

SKILL = message("skill: 1 - MSE / MSE of climatology, which is trained on the same rows.")
F1 = message("F1: macro-F1 of low, medium and high yields, the thirds of the yields of the rows trained on.")
GAP = message("gap: RMSE out of domain less RMSE in domain (random folds), on the same rows.")
OOD = message("OOD: trained out of domain only; + k: and on k local rows; alone: on k local rows only.")


def generalise_view(result: TransferResult, lang: str = "en") -> Group:
    """The tables of a result, and what a reader must know.

    Args:
        result: of a study.
        lang: language; names of models are those of the files.
    """
    words = language.of(lang)
    made = transfer_tables(result, words, lambda crop: crop_name(crop, words))
    explained = {"random": [SKILL, F1], "few-shot": [OOD]}.get(result.study.protocol, [SKILL, F1, GAP])
    below = (Text(words.gettext(line), style="dim") for line in explained)
    notes = (Text(words.said(note)) for note in result.notes)
    synthetic = result.study.rows.synthetic
    return Group(*(part for one in made for part in table_parts(one, synthetic, words)), *below, *notes)
