"""SIDRA, IBGE's tables: where PAM keeps each crop, and what an answer must be before it is believed.

Tables, codes, limits and symbols: shared/reference/data-sources.md, sections 3.1 to 3.3.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_fetchers.engine.cache import Request, RequestCache
from data_fetchers.engine.source import RetryableError
from yieldcast.errors import ConfigError, MissingDataError, SchemaError

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Crop:
    """Where PAM keeps a crop.

    Args:
        table, classification, code: of SIDRA.
        label: words that the code's label must hold.
        first_year: first harvest year that can be compared with today's.
    """

    table: int
    classification: int
    code: int
    label: str
    first_year: int = 1974


# Codes: section 3.1. Labels of 1612 as recorded [A]; those of 839 and 5457 not seen live [C], so only the
# words that tell a crop from its neighbours are asked for. Coffee was counted with its husk until 2001 and
# oranges in fruits until 2000 (notes of PAM [C]).
CROPS: Mapping[str, Crop] = {
    "soybean": Crop(1612, 81, 2713, "Soja (em grão)"),
    "corn": Crop(1612, 81, 2711, "Milho (em grão)"),
    "rice": Crop(1612, 81, 2692, "Arroz (em casca)"),
    "cotton": Crop(1612, 81, 2689, "Algodão herbáceo (em caroço)"),
    "sugarcane": Crop(1612, 81, 2696, "Cana-de-açúcar"),
    "wheat": Crop(1612, 81, 2716, "Trigo (em grão)"),
    "beans": Crop(1612, 81, 2702, "Feijão (em grão)"),
    "cassava": Crop(1612, 81, 2708, "Mandioca"),
    "sorghum": Crop(1612, 81, 2714, "Sorgo (em grão)"),
    "sunflower": Crop(1612, 81, 109179, "Girassol (em grão)"),
    "tomato": Crop(1612, 81, 2715, "Tomate"),
    "coffee": Crop(5457, 782, 40139, "Café Total", 2002),
    "orange": Crop(5457, 782, 40151, "Laranja", 2001),
    "corn_first": Crop(839, 81, 114253, "Milho 1ª safra", 2003),
    "corn_second": Crop(839, 81, 114254, "Milho 2ª safra", 2003),
}
VARIABLE_MAP: Mapping[int, str] = {
    109: "area_planted_ha",
    8331: "area_planted_ha",  # table 5457: planted, or meant for harvest
    216: "area_harvested_ha",
    214: "production_t",
    112: "yield_kg_ha",
}
UNITS: Mapping[int, str] = {
    109: "Hectares", 8331: "Hectares", 216: "Hectares", 214: "Toneladas", 112: "Quilogramas por Hectare",
}  # fmt: skip
PLANTED: Mapping[int, int] = {1612: 109, 839: 109, 5457: 8331}  # the variable of each table: section 3.1
NULL = "null"  # JSON's null in place of a value: never seen, and no reason to refuse a whole country
SYMBOLS: Mapping[str, str] = {
    "-": "zero", "..": "not applicable", "...": "not available", "X": "withheld", NULL: "not available",
}  # fmt: skip
FETCH_PLACES = "`yieldcast fetch places --store DIR`"
FETCH_YIELDS = "`yieldcast fetch yields --store DIR --years FIRST:LAST`"
_CODE = re.compile(r"D\d+C")


def parse_values(body: bytes) -> pd.DataFrame:
    """The rows of one answer of ``/values``, long.

    Args:
        body: JSON array whose first row is the header. What D1..Dn mean is read from it: they follow the
            order of the keys in the URL.

    Returns:
        columns municipality, harvest_year, variable, product (int64 codes) and value (float64, in SIDRA's
        unit): a "-" is 0, but NaN for the yield, since nothing was harvested; "..", "...", "X" and null are
        NaN.
        ``attrs["symbols"]`` counts each symbol.

    Raises:
        AgainError: anything else than such rows, naming the column or the value.
    """
    rows = load_json(body, "SIDRA")
    if not isinstance(rows, list) or len(rows) < 2 or not isinstance(rows[0], dict):
        raise RetryableError(f"SIDRA: expected a header row and values, received {str(rows)[:80]}")
    data = rows[1:]
    codes = {role: _integers(data, key) for role, key in _roles(rows[0]).items()}
    units = set(zip(codes["variable"].tolist(), _texts(data, "MN").tolist(), strict=True))
    for variable, unit in sorted(units):
        if unit and plain(unit) != plain(UNITS.get(variable, unit)):
            raise RetryableError(f"SIDRA: expected variable {variable} in {UNITS[variable]}, received {unit}")
    texts = _texts(data, "V")
    symbol = np.isin(texts, list(SYMBOLS))
    values = np.full(len(texts), np.nan)
    values[~symbol] = _floats(texts[~symbol])
    values[(texts == "-") & (codes["variable"] != 112)] = 0.0
    frame = pd.DataFrame({**codes, "value": values})
    frame.attrs["symbols"] = dict(sorted(Counter(texts[symbol].tolist()).items()))
    return frame


def known(crops: Collection[str]) -> dict[str, Crop]:
    """The crops by name, sorted; ConfigError for any other, with its English name if we know it."""
    if unknown := sorted(set(crops) - set(CROPS)):
        hints = [*filter(None, map(_english, unknown)), f"Choose from: {', '.join(CROPS)}."]
        raise ConfigError(f"expected crops of PAM, received {unknown}", " ".join(hints))
    return {crop: CROPS[crop] for crop in sorted(set(crops))}


def values_path(request: Mapping[str, Any], place: str = "") -> str:
    """The path that asks for a part's values.

    Args:
        request: of the part.
        place: level and place instead of the part's own.
    """
    inside = "all" if request["national"] else "in%20n3%20" + ",".join(request["territories"])
    variables = ",".join(map(str, request["variables"]))
    codes = ",".join(map(str, request["crops"].values()))
    return (
        f"/values/t/{request['table']}/{place or f'n6/{inside}'}/v/{variables}/p/{request['year']}"
        f"/c{request['classification']}/{codes}/h/y/f/a"
    )


def refuse_labels(labels: Mapping[str, Any], table: int, crops: Mapping[str, Crop]) -> None:
    """Raise SchemaError when a code of a crop or of a variable does not mean what we take it for.

    Args:
        labels: the table's ``metadados``, as `parse_labels` has passed it.
        table: its number.
        crops: those of the table.
    """
    held = {(c["id"], k["id"]): k["nome"] for c in labels["classificacoes"] for k in c["categorias"]}
    units = {v["id"]: v["unidade"] for v in labels["variaveis"]}
    wrong = [
        f"code {c.code} of classification {c.classification} to be {name} ({c.label}), "
        f"received {held.get((c.classification, c.code))!r}"
        for name, c in crops.items()
        if not set(plain(c.label).split()) <= set(plain(held.get((c.classification, c.code), "")).split())
    ]
    wrong += [
        f"variable {v} in {UNITS[v]}, received {units.get(v)!r}"
        for v in variables(table)
        if plain(units.get(v) or "") != plain(UNITS[v])
    ]
    if wrong:
        raise SchemaError(
            f"table {table} of SIDRA: expected {'; '.join(wrong)}",
            "IBGE has changed its codes: yieldcast needs an update. Nothing was fetched.",
        )


def variables(table: int) -> list[int]:
    """Codes of planted and harvested area, production and yield in a table, sorted."""
    return sorted((PLANTED[table], 112, 214, 216))


def parse_labels(answer: Any, part: Request) -> dict[str, Any]:
    """A table's ``metadados``; AgainError when they are not those of the table that was asked for."""
    try:
        labels = [(k["id"], k["nome"]) for c in answer["classificacoes"] for k in c["categorias"]]
        units = [(v["id"], v["unidade"]) for v in answer["variaveis"]]
        sound = int(answer["id"]) == part.request["table"] and labels and units
    except (KeyError, TypeError, ValueError):
        sound = False
    if not sound:
        raise RetryableError(f"{part.name}: expected the labels of the table, received {str(answer)[:80]}")
    return dict(answer)


def parse_periods(answer: Any, part: Request) -> dict[int, str]:
    """Years of a table and the date (dd/mm/yyyy) of each one's last revision; AgainError otherwise."""
    try:
        periods = {int(period["id"]): str(period["modificacao"]) for period in answer}
        for text in periods.values():
            date(text)
    except (KeyError, TypeError, ValueError) as error:
        raise RetryableError(f"{part.name}: expected years with modificacao, received {error!r}") from error
    if not periods:
        raise RetryableError(f"{part.name}: expected years, received none")
    return periods


def date(text: str) -> dt.date:
    """A date as IBGE writes it, dd/mm/yyyy; years that were never revised say 01/01/0001."""
    day, month, year = map(int, text.split("/"))
    return dt.date(year, month, day)


def read_part(shelf: RequestCache, part: Request) -> Any:
    """The JSON of a part on the shelf; MissingDataError, naming the command to run, when it is not there."""
    for _part, path, _record in shelf.leaves(part):
        return load_json(path.read_bytes(), path.name)
    command = FETCH_PLACES if part.request["kind"] in ("places", "centroids", "mesh") else FETCH_YIELDS
    raise MissingDataError(f"{part.name} has not been fetched from IBGE yet", f"Fetch it: {command}.")


def load_json(body: bytes, file: str) -> Any:
    """A JSON answer; AgainError when it is anything else, as SVG or the half of one."""
    try:
        return json.loads(body)
    except ValueError as error:
        raise RetryableError(f"{file}: expected JSON, received {body[:40]!r}, {len(body)} bytes") from error


def plain(text: str) -> str:
    """A label without accents, case and punctuation."""
    bare = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return " ".join(re.findall(r"[a-z0-9]+", bare))


def _english(crop: str) -> str:
    """What a crop with a Portuguese name (soja) is called here; empty unless a label begins with it."""
    text = plain(crop)
    names = [name for name, known in CROPS.items() if len(text) > 2 and plain(known.label).startswith(text)]
    return f"{crop} is called {' or '.join(names)} here." if names else ""


def _roles(header: Mapping[str, str]) -> dict[str, str]:
    """Which column holds the code of what."""
    known = {"municipio": "municipality", "unidade": "municipality", "ano": "harvest_year"}
    known |= {"variavel": "variable", "produto": "product"}
    roles: dict[str, str] = {}
    for key in filter(_CODE.fullmatch, header):
        role = known.get(plain(str(header[key])).split(" ")[0])
        if role is None or role in roles:
            raise RetryableError(f"SIDRA: the column {key} ({header[key]}) is not one that we know")
        roles[role] = key
    if missing := sorted(set(known.values()) - set(roles)):
        raise RetryableError(f"SIDRA: no column for {missing} among {list(header.values())}")
    return roles


def _texts(rows: list[dict[str, str]], key: str) -> NDArray[np.str_]:
    try:
        return np.array([NULL if row[key] is None else row[key] for row in rows], dtype=np.str_)
    except (KeyError, TypeError) as error:
        raise RetryableError(
            f"SIDRA: expected a column {key} in every row, received {list(rows[0])}"
        ) from error


def _integers(rows: list[dict[str, str]], key: str) -> NDArray[np.int64]:
    texts = _texts(rows, key)
    if not np.char.isdecimal(texts).all():
        raise RetryableError(f"SIDRA: expected codes in column {key}, received {texts[0]!r}")
    return texts.astype(np.int64)


def _floats(texts: NDArray[np.str_]) -> NDArray[np.float64]:
    try:
        numbers = texts.astype(np.float64)
    except ValueError as error:
        raise RetryableError(f"SIDRA: a value is no number and no known symbol: {error}") from error
    if not np.isfinite(numbers).all():
        raise RetryableError("SIDRA: a value is not finite")
    return numbers


_ABSENT = 5  # municipalities that a part may lack: PAM and Localidades need not agree on every one


def check_values(body: bytes, request: Mapping[str, Any], recent: Collection[int]) -> dict[str, Any]:
    """Facts of an answer that is whole: rows, symbols, and how many municipalities of each state are absent.

    Args:
        body: as `parse_values`.
        request: of the part: crops, variables, year, territories (municipalities per state that were
            counted before).
        recent: codes of municipalities that may not be in PAM yet.

    Raises:
        AgainError: an asked crop, variable or year is not there, or is there twice; rows are missing, or a
            whole state, or more than five municipalities besides the recent ones.
    """
    frame = parse_values(body)
    wanted = {
        "product": sorted(request["crops"].values()), "variable": sorted(request["variables"]),
        "harvest_year": [request["year"]],
    }  # fmt: skip
    for column, expected in wanted.items():
        held = sorted(set(frame[column].tolist()))
        if held != expected:
            raise RetryableError(f"SIDRA: expected {column} {expected}, received {held}")
    cells = len(request["crops"]) * len(request["variables"])
    codes = np.unique(frame["municipality"].to_numpy())
    if frame.duplicated(["municipality", "variable", "product"]).any() or len(frame) != len(codes) * cells:
        raise RetryableError(
            f"SIDRA: expected {cells} values for each of {len(codes)} municipalities, each once, "
            f"received {len(frame)}"
        )
    absent = _absent_by_state(codes, request["territories"], recent)
    return {"rows": len(frame), "symbols": frame.attrs["symbols"], "absent": absent}


def _absent_by_state(
    codes: NDArray[np.int64], territories: Mapping[str, int], recent: Collection[int]
) -> dict[str, int]:
    per_state = Counter((codes // 100_000).tolist())
    if strange := sorted(set(per_state) - set(map(int, territories))):
        raise RetryableError(f"SIDRA: expected states {list(territories)}, received {strange} too")
    new = Counter(code // 100_000 for code in set(recent) - set(codes.tolist()))
    absent = {uf: count - new[int(uf)] - per_state[int(uf)] for uf, count in territories.items()}
    absent = {uf: count for uf, count in absent.items() if count > 0}
    # A state without any is no matter of single municipalities, however small it is.
    worst = max(absent, key=lambda uf: (not per_state[int(uf)], absent[uf]), default="")
    if sum(absent.values()) > _ABSENT or (worst and not per_state[int(worst)]):
        raise RetryableError(
            f"SIDRA: expected {territories[worst]} municipalities of state {worst}, received "
            f"{per_state[int(worst)]}; {sum(absent.values())} absent in all"
        )
    return absent
