"""Tables of a study of crop types for a terminal of 80 columns, and what they say."""

from __future__ import annotations

from rich.console import Group
from rich.text import Text

from yieldcast import language
from yieldcast.cli.views.accuracy import table_parts
from yieldcast.language import message
from yieldcast.transfer.crop_types.results import CropTypeResult
from yieldcast.transfer.crop_types.tables import crop_type_tables

GAP = message("gap: macro-F1 in domain (random folds) less macro-F1 out of domain, on the same series.")
OOD = message(
    "ID: in domain, random folds; OOD: trained out of domain only; + k: and on k local labels; alone: on "
    "k local labels only."
)
_COLUMNS = 4  # "0.812 (+0.031)" is wide
TREES = message("trees: boosted trees on the raw series; in brackets the difference from them.")


def crop_type_view(result: CropTypeResult, lang: str = "en") -> Group:
    """The tables of a result, what to map with, and what a reader must know.

    Args:
        result: of a study.
        lang: language; names of models are those of the files.
    """
    words = language.of(lang)
    explained = {"random": [TREES], "few-shot": [OOD]}.get(result.study.protocol, [GAP, TREES])
    parts = [
        part for one in crop_type_tables(result, words) for part in table_parts(one, False, words, _COLUMNS)
    ]
    return Group(
        *parts,
        *(Text(words.gettext(line), style="dim") for line in explained),
        *(Text(words.said(note)) for note in result.notes),
        *(Text(words.said(line), style="bold") for line in result.advice(words)),
    )
