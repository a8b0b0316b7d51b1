"""CONAB as a source: grain surveys by state, the monthly ones and the series since 1976/77.

The data have states, no municipalities. They serve for comparison and for the estimate of the current year.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from data_fetchers.engine import http
from data_fetchers.engine.cache import PendingJob, Record, Request, RequestCache, fetched_on
from data_fetchers.engine.source import Note, RetryableError
from yieldcast.data.estimates import estimates_table
from yieldcast.errors import FetchError
from yieldcast.publication import add_months

ENVIRONMENT = "YIELDCAST_CONAB_URL"
DEFAULT_URL = "https://portaldeinformacoes.conab.gov.br/downloads/arquivos"
SERIES, SURVEYS = "SerieHistoricaGraos.txt", "LevantamentoGraos.txt"
# CONAB's columns -> our columns, before units are converted
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
# Cotton is seed cotton (em caroco), as in IBGE's PAM; lint (em pluma) and seed (caroco) keep CONAB's names.
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
NO_SURVEY = 99  # id of rows that belong to no numbered survey (reported by users of the file, 2026)
FIRST_SURVEYED = 2018  # harvest year of the first season of the file of surveys, 2017/18
_LAST_VINTAGE = 11  # later surveys are overwritten with the revised final figure
_RELEASES = {
    2018: (
        "2017-10-10", "2017-11-09", "2017-12-12", "2018-01-11", "2018-02-08", "2018-03-08", "2018-04-10",
        "2018-05-10", "2018-06-12", "2018-07-10", "2018-08-09",
    ),
}  # fmt: skip
_FEWEST_ROWS = 2000  # the real files have about 32,000 (to 2017/18) and 53,000
_LIMIT_bytes = 200_000_000
_MOST_WRONG = 0.1  # largest share of rows that may fail a check
_CHANGED = "CONAB has changed its file: look for a newer yieldcast, or report it with this message."


@dataclass(frozen=True)
class Conab:
    """Files of grain surveys on CONAB's information portal.

    Args:
        base_url: address of the folder; if empty YIELDCAST_CONAB_URL, else the real one.
    """

    base_url: str = ""

    name = "conab"
    licence = "No licence is stated by CONAB; data of a public body, to be quoted with their source"
    attribution = "CONAB - Companhia Nacional de Abastecimento, Portal de Informações Agropecuárias"
    workers = 2
    seconds_between = 0.0

    def __post_init__(self) -> None:
        # Read here, because a worker may have another environment.
        url = self.base_url or os.environ.get(ENVIRONMENT, "") or DEFAULT_URL
        object.__setattr__(self, "base_url", url.rstrip("/"))

    def fetch(self, request: Request, target: Path, job: PendingJob) -> Record:
        """Write the file unchanged."""
        url = f"{self.base_url}/{request.parameters['file']}"
        http.download(http.SafeSession(), url, target, limit=_LIMIT_bytes)
        return {}

    def check(self, request: Request, file: Path) -> Record:
        """Check columns, number of rows, lines and numbers; return entries for the sidecar."""
        frame, _ = _read(request, file)
        return {"rows": len(frame), "seasons": [frame["season"].min(), frame["season"].max()]}

    def split(self, request: Request) -> list[Request]:
        """Always empty: a file cannot be split."""
        return []

    def stale(self, request: Request, record: Record, today: dt.date) -> bool:
        """True from the day after the fetch: CONAB rewrites the files every morning."""
        return fetched_on(record) < today


def survey_requests() -> list[Request]:
    """Requests for the two files: the series since 1976/77, and all monthly surveys since 2017/18."""
    return [
        Request(Conab.name, Path(name).stem.lower(), {"file": name}, ".txt") for name in (SERIES, SURVEYS)
    ]


def read_surveys(
    cache: RequestCache, conab: Conab, requests: Sequence[Request]
) -> tuple[pd.DataFrame, list[Note]]:
    """Both files as one tidy table.

    Args:
        cache: holds the answers.
        conab: the source, for licence and attribution.
        requests: from `survey_requests`.

    Returns:
        rows, one per `KEY`: source (file), season ("2017/18", or "2018" for winter crops), harvest_year (int,
        2018 for both), state, crop, safra (1ª, 2ª, 3ª, UNICA), survey (Int64; missing in the series),
        area_planted_ha, production_t, yield_kg_ha (as published; NaN where nothing was planted); and notes.
    """
    frames, notes = [], []
    for request in requests:
        leaf = next(iter(cache.leaves(request)), None)
        if leaf is None:
            notes.append(Note("surveys", f"CONAB: {request.parameters['file']} is not in the cache", 1, True))
            continue
        frame, remarks = _read(request, leaf[1])
        frames.append(frame)
        notes += remarks
    empty = pd.DataFrame(columns=[*KEY[:2], "harvest_year", *KEY[2:], *_NUMBERS])
    whole = pd.concat(frames, ignore_index=True) if frames else empty
    whole.attrs = {"source": conab.base_url, "licence": conab.licence, "attribution": conab.attribution}
    return whole, notes


def read_estimates(
    cache: RequestCache,
    conab: Conab,
    requests: Sequence[Request],
    crops: Collection[str],
    years: Collection[int],
    states: Collection[str],
) -> tuple[xr.Dataset | None, list[Note]]:
    """The table of estimates of the surveys 1 to 11.

    Survey 12 is left out, because CONAB overwrites it with the revised final figure, and so are crops of the
    winter (a season of one year), the months of whose surveys the file does not tell.

    Args:
        cache: holds the answers.
        conab: the source.
        requests: of the file of surveys, from `survey_requests`.
        crops: names of crops.
        years: harvest years.
        states: abbreviations of the states to keep.

    Returns:
        table as checked by `yieldcast.data.estimates.check_estimates`, None without any estimate; corn_1 to
        corn_3 are the safras of corn, other crops are summed over theirs. Also notes.
    """
    frame, notes = read_surveys(cache, conab, requests)
    notes = [replace(note, table="estimates") for note in notes]
    frame = frame[frame["crop"].isin(list(crops)) & frame["harvest_year"].isin(list(years))]
    frame = frame[frame["state"].isin(list(states)) & frame["survey"].notna()]
    late, winter = frame["survey"] > _LAST_VINTAGE, ~frame["season"].str.contains("/")
    for mask, text in (
        (late & ~winter, f"rows of surveys after the {_LAST_VINTAGE}th, which CONAB overwrites, left out"),
        (winter, "rows of winter crops, left out"),
    ):
        if mask.any():
            notes.append(Note("estimates", f"CONAB's {SURVEYS}: {text}", int(mask.sum())))
    frame = frame[~late & ~winter]
    if frame.empty:
        return None, [*notes, Note("estimates", "CONAB has no survey of these crops, years and states", 1)]
    safra = frame["safra"].str.extract(r"^([123])")[0]
    corn = frame[(frame["crop"] == "corn") & safra.notna()]
    parts = corn.assign(crop="corn_" + safra[corn.index])
    key = ["crop", "state", "harvest_year", "survey"]
    table = pd.concat([frame, parts]).groupby(key)[list(_NUMBERS[:2])].sum(min_count=1).reset_index()
    area = table["area_planted_ha"]
    # the published yield is rounded to 0.1 t/ha
    table["yield_kg_ha"] = 1000 * table["production_t"] / area.where(area > 0)
    table = table[table["yield_kg_ha"] > 0]
    if table.empty:
        return None, [*notes, Note("estimates", "CONAB has no survey of these crops, years and states", 1)]
    surveys = zip(table["harvest_year"], table["survey"].astype(int), strict=True)
    public = pd.Series(pd.to_datetime([release_day(*pair) for pair in surveys]), table.index)
    record = next(record for request in requests for _, _, record in cache.leaves(request))
    retrieved = dt.datetime.fromisoformat(record["fetched"]).astimezone(dt.UTC).replace(tzinfo=None)
    table = table.assign(
        source=conab.name, unit=table["state"], reference="survey " + table["survey"].astype(str),
        public_from=public, reference_month=public.dt.to_period("M").dt.to_timestamp(),
        retrieved=pd.Timestamp(retrieved),
    )  # fmt: skip
    return estimates_table(table), notes


def release_day(harvest_year: int, survey: int) -> dt.date:
    """First day on which a survey may be used.

    The days of 2017/18 are CONAB's; for other seasons the 15th of the month is a careful rule: the first
    survey comes in October of the year before, the others month by month, about the 10th to the 15th.
    """
    known = _RELEASES.get(harvest_year, ())
    if survey <= len(known):
        return dt.date.fromisoformat(known[survey - 1])
    return add_months(dt.date(harvest_year - 1, 10, 1), survey - 1).replace(day=15)


def parse_numbers(texts: pd.Series) -> pd.Series:
    """Numbers written with comma or point; NaN for any other text.

    The last separator is the decimal one, unless it occurs twice: 1.234.567 is a whole number.
    """
    found = texts.str.strip().str.extract(r"^(\d[\d.,]*?)(?:([.,])(\d*))?$")
    again = pd.Series(
        [mark in head for head, mark in zip(found[0].fillna(""), found[1].fillna("?"), strict=True)]
    )
    mark = found[1].where(~again.to_numpy(), "").replace(",", ".").fillna("")
    joined = found[0].str.replace(r"[.,]", "", regex=True) + mark + found[2].fillna("")
    return pd.to_numeric(joined, errors="coerce").astype(float)


def _read(request: Request, file: Path) -> tuple[pd.DataFrame, list[Note]]:
    """One file as tidy rows, and notes on dropped and inconsistent rows."""
    name = request.parameters["file"]
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
            text = (
                f"CONAB's {name}: {what} are implausible in {wrong.sum()} of {len(raw)} rows, first {line!r}"
            )
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
        ("cells without a number", int(numbers[known].isna().sum().sum()), True),
        ("rows whose yield is not production / area", int((~agrees & known).sum()), False),
        ("rows that belong to no numbered survey", unnumbered, False),
        ("duplicate rows, left out", copies, False),
        ("rows that differ from another row of the same key (many by rounding), left out", others, False),
    )
    return frame, [Note("surveys", f"CONAB's {name}: {t}", n, m) for t, n, m in counts if n]


def _rows(name: str, file: Path) -> pd.DataFrame:
    """The file's cells as text, after a check of the layout."""
    content = file.read_bytes()
    if http.looks_like_html(content[:200]):
        raise RetryableError(f"CONAB sent a web page instead of {name}")
    try:  # CONAB writes cp1252, whose ª is never valid UTF-8
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
    """(row) True where production / area equals the yield within rounding, or the area is 0 or missing."""
    area, production, rate = (numbers[name] for name in _NUMBERS)
    half = [0.5 * 10.0 ** -_decimals(texts[name]).max() + 1e-9 for name in _NUMBERS]
    low = (production - half[1]) / (area + half[0]) - half[2]
    high = (production + half[1]) / (area - half[0]).where(area > half[0]) + half[2]
    return (area == 0) | numbers.isna().any(axis=1) | ((rate >= low) & ~(rate > high))


def _decimals(texts: pd.Series) -> pd.Series:
    return texts.str.extract(r"[.,](\d*)$")[0].str.len().fillna(0)


def _once(frame: pd.DataFrame, agrees: pd.Series, texts: pd.DataFrame) -> tuple[pd.DataFrame, int, int]:
    """One row per key, with the counts of dropped rows: duplicates, and rows with other values.

    Most of the real series occurs twice, once in whole thousands. Kept is the row whose yield is consistent,
    then the one with most decimals, then the first.
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
