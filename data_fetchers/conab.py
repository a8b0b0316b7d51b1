"""CONAB: grain surveys by state, as published month by month and as the series since 1976/77.

States only, no municipalities: for checks, for seasons and for the estimate of the current year.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from data_fetchers.engine import http
from data_fetchers.engine.cache import PendingJob, Record, Request, RequestCache, fetched_on
from data_fetchers.engine.source import Note, RetryableError
from yieldcast.errors import FetchError

ENVIRONMENT = "YIELDCAST_CONAB_URL"
DEFAULT_URL = "https://portaldeinformacoes.conab.gov.br/downloads/arquivos"
SERIES, SURVEYS = "SerieHistoricaGraos.txt", "LevantamentoGraos.txt"
# CONAB's columns -> ours, before units are converted
VARIABLE_MAP = {
    "ano_agricola": "season", "uf": "state", "produto": "crop", "safra": "safra",
    "dsc_safra_previsao": "safra", "id_levantamento": "survey", "area_plantada_mil_ha": "area_planted_ha",
    "producao_mil_t": "production_t", "produtividade_mil_ha_mil_t": "yield_kg_ha",
}  # fmt: skip
_NUMBERS = ("area_planted_ha", "production_t", "yield_kg_ha")
_LAST = ("area_plantada_mil_ha", "producao_mil_t", "produtividade_mil_ha_mil_t")
COLUMNS = {
    SERIES: ("ano_agricola", "dsc_safra_previsao", "uf", "produto", "id_produto", *_LAST),
    SURVEYS: (
        "ano_agricola", "safra", "uf", "produto", "id_produto", "id_levantamento", "dsc_levantamento", *_LAST,
    ),
}  # fmt: skip
# Cotton is seed cotton (em caroco), as in IBGE's PAM; lint (em pluma) and seed (caroco) keep their names.
CROPS = {
    "SOJA": "soybean", "MILHO": "corn", "ALGODAO EM CAROCO": "cotton", "ARROZ": "rice", "FEIJAO": "beans",
    "TRIGO": "wheat", "SORGO": "sorghum", "SORGO GRANIFERO": "sorghum", "AMENDOIM": "peanut",
    "GIRASSOL": "sunflower", "AVEIA": "oats", "CEVADA": "barley", "CENTEIO": "rye", "CANOLA": "canola",
    "TRITICALE": "triticale", "MAMONA": "castor_bean", "MAMONA EM BAGA": "castor_bean",
}  # fmt: skip
STATES = (
    "AC", "AL", "AM", "AP", "BA", "CE", "DF", "ES", "GO", "MA", "MG", "MS", "MT", "PA", "PB", "PE", "PI",
    "PR", "RJ", "RN", "RO", "RR", "RS", "SC", "SE", "SP", "TO",
)  # fmt: skip
KEY = ["source", "season", "state", "crop", "safra", "survey"]
NO_SURVEY = 99  # the id of rows that belong to no numbered survey (seen in the file by others, 2026) [B]
_FEWEST_ROWS = 2000  # the real files hold about 32,000 (to 2017/18) and 53,000
_LIMIT_bytes = 200_000_000
_MOST_WRONG = 0.1  # share of rows that may fail a check before the file is refused
_CHANGED = "CONAB has changed its file: look for a newer yieldcast, or report it with this message."


@dataclass(frozen=True)
class Conab:
    """CONAB's portal of information, the files of grain surveys.

    Args:
        base_url: folder of the files; the environment's YIELDCAST_CONAB_URL, then the real one, if empty.
    """

    base_url: str = ""

    name = "conab"
    licence = "No licence is stated by CONAB; data of a public body, to be quoted with their source"
    attribution = "CONAB - Companhia Nacional de Abastecimento, Portal de Informações Agropecuárias"
    workers = 2
    seconds_between = 0.0

    def __post_init__(self) -> None:
        # now, not in a worker, whose environment may be another one
        url = self.base_url or os.environ.get(ENVIRONMENT, "") or DEFAULT_URL
        object.__setattr__(self, "base_url", url.rstrip("/"))

    def fetch(self, part: Request, target: Path, job: PendingJob) -> Record:
        """Write the file as it came."""
        url = f"{self.base_url}/{part.request['file']}"
        http.download(http.SafeSession(), url, target, limit=_LIMIT_bytes)
        return {}

    def check(self, part: Request, file: Path) -> Record:
        """The expected columns, enough rows, every line whole, numbers that fit each other."""
        frame, _ = _read(part, file)
        return {"rows": len(frame), "seasons": [frame["season"].min(), frame["season"].max()]}

    def split(self, part: Request) -> list[Request]:
        """None: a file is a file."""
        return []

    def stale(self, part: Request, record: Record, today: dt.date) -> bool:
        """On another day than it was fetched: CONAB writes the files anew every morning."""
        return fetched_on(record) < today


def survey_parts() -> list[Request]:
    """The two files: the series since 1976/77, and every monthly survey since 2017/18."""
    return [
        Request(Conab.name, Path(name).stem.lower(), {"file": name}, ".txt") for name in (SERIES, SURVEYS)
    ]


def read_surveys(
    shelf: RequestCache, conab: Conab, parts: Sequence[Request]
) -> tuple[pd.DataFrame, list[Note]]:
    """Both files as one tidy table.

    Args:
        shelf: holds the parts.
        conab: the source, for licence and attribution.
        parts: as `survey_parts` made them.

    Returns:
        rows, one per `KEY`: source (file), season ("2017/18", or "2018" for winter crops), harvest_year (int,
        2018 for both), state, crop, safra (1ª, 2ª, 3ª, UNICA), survey (Int64; none in the series),
        area_planted_ha, production_t, yield_kg_ha (as published; NaN where nothing was planted); and notes.
    """
    frames, notes = [], []
    for part in parts:
        leaf = next(iter(shelf.leaves(part)), None)
        if leaf is None:
            notes.append(Note("surveys", f"CONAB: {part.request['file']} is not on disk", 1, True))
            continue
        frame, said = _read(part, leaf[1])
        frames.append(frame)
        notes += said
    empty = pd.DataFrame(columns=[*KEY[:2], "harvest_year", *KEY[2:], *_NUMBERS])
    whole = pd.concat(frames, ignore_index=True) if frames else empty
    whole.attrs = {"source": conab.base_url, "licence": conab.licence, "attribution": conab.attribution}
    return whole, notes


def total_by_state(frame: pd.DataFrame) -> pd.DataFrame:
    """The safras of each state summed: area, production, and the yield of the whole area.

    Args:
        frame: as `read_surveys` returns it, or rows of it.

    Returns:
        one row per source, season, state, crop and survey; yield_kg_ha = 1000 production / area, NaN where
        nothing was planted; area and production NaN where one of the safras has none.
    """
    key = [k for k in [*KEY[:2], "harvest_year", *KEY[2:]] if k != "safra"]
    groups = frame.groupby(key, dropna=False)[list(_NUMBERS[:2])]
    total = groups.sum().where(groups.count().eq(groups.size(), axis=0)).reset_index()
    area = total["area_planted_ha"]
    total["yield_kg_ha"] = 1000 * total["production_t"] / area.where(area > 0)
    return total


def parse_numbers(texts: pd.Series) -> pd.Series:
    """Numbers written with comma or point: the last separator is the decimal one; NaN for anything else.

    A separator that occurs again cannot be the decimal one: 1.234.567 is a whole number.
    """
    found = texts.str.strip().str.extract(r"^(\d[\d.,]*?)(?:([.,])(\d*))?$")
    again = pd.Series(
        [mark in head for head, mark in zip(found[0].fillna(""), found[1].fillna("?"), strict=True)]
    )
    mark = found[1].where(~again.to_numpy(), "").replace(",", ".").fillna("")
    joined = found[0].str.replace(r"[.,]", "", regex=True) + mark + found[2].fillna("")
    return pd.to_numeric(joined, errors="coerce").astype(float)


def _read(part: Request, file: Path) -> tuple[pd.DataFrame, list[Note]]:
    """One file as tidy rows, and what was dropped or odd in it."""
    name = part.request["file"]
    raw = _rows(name, file)
    texts = pd.DataFrame({VARIABLE_MAP[c]: raw[c].str.strip() for c in raw if c in VARIABLE_MAP})
    numbers = texts[list(_NUMBERS)].apply(parse_numbers)
    years = texts["season"].str.extract(r"^(\d{4})(?:/(\d{2}))?$").astype(float)
    season_known = years[0].notna() & (years[1].isna() | ((years[0] + 1) % 100 == years[1]))
    known = season_known & texts["state"].isin(STATES)
    agrees = _agrees(numbers, texts)
    for what, wrong in (
        ("season and state", ~known),
        ("numbers", numbers.isna().any(axis=1)),
        ("yields", ~agrees),
    ):
        if wrong.mean() > _MOST_WRONG:
            line = ";".join(raw[wrong].iloc[0].str.strip())
            text = f"CONAB's {name}: {what} make no sense in {wrong.sum()} of {len(raw)} rows, first {line!r}"
            raise FetchError(text, _CHANGED)
    survey = pd.to_numeric(texts["survey"], errors="coerce") if "survey" in texts else np.nan
    frame = pd.DataFrame({
        "source": name, "season": texts["season"], "harvest_year": years[0] + years[1].notna(),
        "state": texts["state"], "crop": texts["crop"].map(_crop), "safra": texts["safra"].map(_safra),
        "survey": pd.Series(survey, raw.index, dtype="Int64").replace(NO_SURVEY, pd.NA),
    }).join(1000 * numbers)  # fmt: skip
    nothing = (frame["area_planted_ha"] == 0) & (frame["yield_kg_ha"] == 0)
    frame["yield_kg_ha"] = frame["yield_kg_ha"].mask(nothing)
    unnumbered = int(frame["survey"].isna().sum()) if name == SURVEYS else 0
    frame, copies, others = _once(frame[known], agrees[known], texts[known])
    counts = (
        ("rows of an unknown season or state, left out", int((~known).sum()), True),
        ("cells that hold no number", int(numbers[known].isna().sum().sum()), True),
        ("rows whose production / area is not the yield", int((~agrees & known).sum()), False),
        ("rows that belong to no numbered survey", unnumbered, False),
        ("rows that say again what another says, left out", copies, False),
        ("rows that differ from another of the same key (many by rounding), left out", others, False),
    )
    return frame, [Note("surveys", f"CONAB's {name}: {t}", n, m) for t, n, m in counts if n]


def _rows(name: str, file: Path) -> pd.DataFrame:
    """The file's cells as text, after its layout was found to be the expected one."""
    content = file.read_bytes()
    if http.looks_like_html(content[:200]):
        raise RetryableError(f"CONAB sent a web page instead of {name}")
    try:  # today it is cp1252, whose ª is never valid UTF-8
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    lines = [line for line in text.splitlines() if line.strip()]
    header = [cell.strip().lower() for cell in lines[0].split(";")] if lines else []
    expected = list(COLUMNS[name])
    if header != expected:
        raise FetchError(
            f"CONAB's {name}: the layout has changed: expected {';'.join(expected)}, "
            f"received {len(header)} column(s): {';'.join(header)[:300]!r}",
            _CHANGED,
        )
    cells = [line.split(";") for line in lines[1:]]
    for number, row in enumerate(cells, 2):
        if len(row) != len(expected):
            raise RetryableError(
                f"CONAB's {name}: expected {len(expected)} fields, received {len(row)} in row {number}"
            )
    if len(cells) < _FEWEST_ROWS:
        raise RetryableError(f"CONAB's {name}: expected at least {_FEWEST_ROWS} rows, received {len(cells)}")
    return pd.DataFrame(cells, columns=expected)


def _agrees(numbers: pd.DataFrame, texts: pd.DataFrame) -> pd.Series:
    """Whether production / area can be the yield, all three rounded as they are written; yes without area."""
    area, production, rate = (numbers[name] for name in _NUMBERS)
    half = [0.5 * 10.0 ** -_decimals(texts[name]).max() + 1e-9 for name in _NUMBERS]
    low = (production - half[1]) / (area + half[0]) - half[2]
    high = (production + half[1]) / (area - half[0]).where(area > half[0]) + half[2]
    return (area == 0) | numbers.isna().any(axis=1) | ((rate >= low) & ~(rate > high))


def _decimals(texts: pd.Series) -> pd.Series:
    return texts.str.extract(r"[.,](\d*)$")[0].str.len().fillna(0)


def _once(frame: pd.DataFrame, agrees: pd.Series, texts: pd.DataFrame) -> tuple[pd.DataFrame, int, int]:
    """Each key once, with the counts of rows left out: those that say the same, and those that do not.

    Most of the real series is there twice, once in whole thousands. Of several rows the one stays whose
    numbers fit each other, then the one written with most decimals, then the first.
    """
    fine = sum(_decimals(texts[name]) * (texts[name].str.strip("0,.") != "") for name in _NUMBERS[:2])
    order = frame.assign(_agrees=~agrees, _fine=-fine).sort_values([*KEY, "_agrees", "_fine"], kind="stable")
    kept = order.drop_duplicates(KEY)[frame.columns]
    distinct = len(frame.drop_duplicates([*KEY, *_NUMBERS]))
    kept = kept.astype({"harvest_year": int}).reset_index(drop=True)
    return kept, len(frame) - distinct, distinct - len(kept)


def _crop(product: str) -> str:
    plain = unicodedata.normalize("NFKD", product.upper()).encode("ascii", "ignore").decode()
    return CROPS.get(plain, product.lower())


def _safra(text: str) -> str:
    number = re.match(r"([123])\s*[ªaAº]", text)
    return f"{number[1]}ª" if number else "UNICA" if text.upper() in ("UNICA", "ÚNICA") else text
