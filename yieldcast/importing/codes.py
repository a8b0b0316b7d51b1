"""Codes of places as people write them: 1100015.0, ="1100015", or 110001 without its check digit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yieldcast.errors import SchemaError
from yieldcast.importing.columns import ImportLog, pick

# Names of columns and properties with codes, in lower case. The first name wins where a file has several.
CODES = (
    "municipality_code", "municipality", "code", "codigo_ibge", "geocode", "code_muni", "cd_mun", "codarea",
    "geocodigo", "cd_geocmu", "cd_geocodm", "cod_ibge", "cod_mun", "codigo", "cod_municipio", "id_municipio",
    "codigo_municipio", "codigo_do_municipio", "municipio_codigo", "cod", "ibge", "geocod", "cd_geocodi",
    "codigo_ibge_do_municipio", "ibge_code", "geoid", "fips", "localidade_cod",
)  # fmt: skip
# Names of columns with the codes of fields, in tables of fields.
FIELD_CODES = (
    "field_id", "field", "field_code", "id_field", "talhao", "id_talhao", "talhao_id", "cod_talhao",
    "codigo_talhao", "codigo_do_talhao", "talhao_codigo", "plot_id", "plot", "parcel_id", "parcel", "gleba",
    "id_gleba", "cell_id", "grid_id", "parcela", "id_parcela", "place_id", "place",
)  # fmt: skip
# A code only where no column has one of the names above: it is often the number of a row.
WEAK = ("id",)
_INT32_MAX = np.iinfo(np.int32).max
# Spreadsheets write a text as ="1100015" or '1100015, and a number as 1100015.0 or 1.100015E+06.
_AS_FORMULA = re.compile(r"""=?\s*"(.*)\"""")
_WITH_ZEROS = re.compile(r"(\d+)\.0*")
_SCIENTIFIC = re.compile(r"([1-9])\.(\d+)[eE]\+?0*(\d+)")
# Share of the places whose codes must end in a check digit before a code without it is completed.
_CHECKED_SHARE = 0.9


def code_text(value: object) -> str:
    """One code as text, without what spreadsheets add.

    Args:
        value: text or number: ``1100015.0``, ``="1100015"``, ``'1100015`` and ``1.100015E+06`` are all
            ``1100015``. A number in scientific notation that has lost digits stays as it is.
    """
    text = str(value).strip()
    quoted = _AS_FORMULA.fullmatch(text)
    text = (quoted[1] if quoted else text.removeprefix("'")).strip()
    if found := _WITH_ZEROS.fullmatch(text):
        return found[1]
    found = _SCIENTIFIC.fullmatch(text)
    return found[1] + found[2] if found and len(found[2]) == int(found[3]) else text


def code_texts(values: Iterable[object]) -> NDArray[np.object_]:
    """`code_text` of every value; values that differ as they are written may become the same code."""
    return np.array([code_text(value) for value in values], dtype=object)


def code_column(columns: Iterable[str], source: str, needed: bool = True, fields: bool = False) -> str | None:
    """The column of codes.

    Args:
        columns: names in the file.
        source: name of the file, for the error.
        needed: raise where there is none.
        fields: the places are fields: one of `FIELD_CODES`, and ``id``, come before all other names.

    Raises:
        SchemaError: no such column although it is `needed`, or several.
    """
    names = list(columns)
    if fields and (found := _of_fields(names, source)) is not None:
        return found
    return pick(names, CODES, source, needed=False) or pick(
        names, (*CODES, *WEAK) if needed else WEAK, source, needed
    )


def _of_fields(names: list[str], source: str) -> str | None:
    return pick(names, FIELD_CODES, source, needed=False) or pick(names, WEAK, source, needed=False)


def codes_of(frame: pd.DataFrame, source: str, fields: bool = False) -> tuple[str, NDArray[np.object_]]:
    """Name and codes of the column of codes, see `code_column`; SchemaError when a cell is empty."""
    name = str(code_column(frame.columns, source, fields=fields))
    texts = code_texts(frame[name])
    empty = frame.index[texts == ""]
    if len(empty):
        raise SchemaError(
            f"{source}: line {empty[0]}, column {name!r} is empty ({len(empty)} such lines)",
            "Every row needs its code.",
        )
    return name, texts


class Codes:
    """Codes of places as texts, and the int32 number `municipality` of each, sorted by that number.

    If all codes are whole numbers that fit into int32, they are the numbers; otherwise (letters, leading
    zeros, too large) the numbers are 1..N in the sorted order of the codes.

    Args:
        codes: code of every place, each once.
    """

    def __init__(self, codes: Iterable[str]) -> None:
        texts = list(codes)
        if all(t.isascii() and t.isdigit() and str(int(t)) == t and int(t) <= _INT32_MAX for t in texts):
            texts.sort(key=int)
            self.municipality = np.array([int(t) for t in texts], dtype=np.int32)
        else:
            texts.sort()
            self.municipality = np.arange(1, len(texts) + 1, dtype=np.int32)
        self.index = pd.Index(texts, dtype=object)
        self._longer = _without_check_digit(texts)

    def find(self, codes: Sequence[str] | NDArray[Any]) -> NDArray[np.intp]:
        """Position of each code in `municipality`, -1 where it is none of the places.

        A code that lacks only the check digit of one place, or has one more than it, is that place.

        Args:
            codes: texts as in a file.
        """
        texts = code_texts(codes)
        rows: NDArray[np.intp] = self.index.get_indexer(pd.Index(texts, dtype=object))
        for position in np.flatnonzero(rows < 0):
            rows[position] = self._by_check_digit(texts[position])
        return rows

    def rows(
        self,
        codes: Sequence[str] | NDArray[Any],
        source: str,
        report: ImportLog | None = None,
        table: str = "",
    ) -> NDArray[np.intp]:
        """Position of each code in `municipality`, see `find`.

        Args:
            codes: texts as in a file.
            source: name of the file, for the error.
            report, table: gets the number of codes joined without their check digit, under this name.

        Raises:
            SchemaError: a code is not that of a place.
        """
        texts, rows = code_texts(codes), self.find(codes)
        unknown = pd.unique(texts[rows < 0])
        if len(unknown):
            raise SchemaError(
                f"{source}: expected codes of the places table, received {len(unknown)} others: "
                f"{', '.join(map(repr, unknown[:5]))}{', ...' if len(unknown) > 5 else ''}",
                self._hint(str(unknown[0])),
            )
        joined = pd.unique(texts[self.index.to_numpy()[rows] != texts])
        if report is not None and len(joined):
            known = self.index[self.find(joined[:1])[0]]
            text = f"codes joined without their check digit, first {joined[0]} as {known}"
            report.warnings.append((table, text, len(joined)))
        return rows

    def _by_check_digit(self, text: str) -> int:
        if text in self._longer and f"0{text}" not in self.index:
            return self._longer[text]
        if text[:-1] in self.index and ends_in_check_digit(text):
            return int(self.index.get_loc(text[:-1]))
        return -1

    def _hint(self, unknown: str) -> str:
        known = str(self.index[0])
        if _SCIENTIFIC.fullmatch(unknown):
            return f"{unknown} has lost digits: set the column to text in the spreadsheet and save it again."
        if len(unknown) != len(known):
            return (
                f"{unknown!r} has {len(unknown)} characters; places have codes of {len(known)}, like "
                f"{known!r}: is a check digit or a leading zero lost? Add them to the places or remove them."
            )
        return f"Add them to the places or remove them. Places have codes like {known!r}."


def ends_in_check_digit(code: str) -> bool:
    """Whether the last digit of a code is the check digit of the others.

    The rule is Luhn's (ISO/IEC 7812-1, annex B): from the right every second digit counts twice, as the sum
    of the digits of its double, and the total ends in 0. IBGE's codes of municipalities follow it.
    """
    if len(code) < 4 or not (code.isascii() and code.isdigit()):
        return False
    total = sum(sum(divmod(int(digit) * (1 + k % 2), 10)) for k, digit in enumerate(reversed(code)))
    return total % 10 == 0


def _without_check_digit(codes: Sequence[str]) -> dict[str, int]:
    """Position by the code without its last digit, where that digit is a check digit and the rest unique."""
    checked = np.array([ends_in_check_digit(code) for code in codes], dtype=bool)
    if len({len(code) for code in codes}) != 1 or checked.mean() < _CHECKED_SHARE:
        return {}
    shorter = pd.Series([code[:-1] for code in codes])
    return {str(text): int(k) for k, text in shorter[~shorter.duplicated(keep=False)].items()}
