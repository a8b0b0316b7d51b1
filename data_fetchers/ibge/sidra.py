"""SIDRA, IBGE's service for tables: codes of the PAM survey's crops, addresses, and the check of answers."""

from __future__ import annotations

import datetime as dt
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_fetchers.engine.cache import Request, RequestCache
from data_fetchers.engine.source import RetryableError
from data_fetchers.ibge.listed import absent_by_state
from yieldcast.errors import ConfigError, MissingDataError, SchemaError


@dataclass(frozen=True)
class Crop:
    """Codes of a crop in PAM.

    Args:
        table, classification, code: numbers in SIDRA.
        label: words that the label of the code must contain.
        first_year: first harvest year counted in the same way as today.
    """

    table: int
    classification: int
    code: int
    label: str
    first_year: int = 1974


# Labels of table 1612 as recorded from SIDRA; those of 839 and 5457 are not verified, so only the words that
# distinguish a crop from similar ones are required. Coffee was counted with its husk until 2001 and oranges
# as number of fruits until 2000 (notes of PAM).
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
_YIELDS = (112, 36)  # variables whose "-" is no value, because nothing was harvested
UNITS: Mapping[int, str] = {
    109: "Hectares", 8331: "Hectares", 216: "Hectares", 214: "Toneladas", 112: "Quilogramas por Hectare",
    35: "Toneladas", 36: "Quilogramas por Hectare",
}  # fmt: skip
PLANTED: Mapping[int, int] = {1612: 109, 839: 109, 5457: 8331}  # variable of the planted area by table
# IBGE's codes of the federal units; the first digit is the region.
STATES: Mapping[str, int] = {
    "RO": 11, "AC": 12, "AM": 13, "RR": 14, "PA": 15, "AP": 16, "TO": 17,
    "MA": 21, "PI": 22, "CE": 23, "RN": 24, "PB": 25, "PE": 26, "AL": 27, "SE": 28, "BA": 29,
    "MG": 31, "ES": 32, "RJ": 33, "SP": 35, "PR": 41, "SC": 42, "RS": 43,
    "MS": 50, "MT": 51, "GO": 52, "DF": 53,
}  # fmt: skip
NULL = "null"  # JSON's null in place of a value: not seen so far, treated as not available
SYMBOLS: Mapping[str, str] = {
    "-": "zero", "..": "not applicable", "...": "not available", "X": "withheld", NULL: "not available",
}  # fmt: skip
FETCH_PLACES = "`yieldcast fetch places --store DIR`"
FETCH_YIELDS = "`yieldcast fetch yields --store DIR --years FIRST:LAST`"
_CODE = re.compile(r"D\d+C")  # name of a column with codes


def known(crops: Collection[str]) -> dict[str, Crop]:
    """The crops by name, sorted; ConfigError for unknown ones, with the English name of Portuguese ones."""
    if unknown := sorted(set(crops) - set(CROPS)):
        hints = [*filter(None, map(_english, unknown)), f"Choose from: {', '.join(CROPS)}."]
        raise ConfigError(f"expected crops of PAM, received {unknown}", " ".join(hints))
    return {crop: CROPS[crop] for crop in sorted(set(crops))}


def variables(table: int) -> list[int]:
    """Codes of planted area, harvested area, production and yield in a table, sorted."""
    return sorted((PLANTED[table], 112, 214, 216))


def values_path(parameters: Mapping[str, Any], place: str = "") -> str:
    """Path of a request for values.

    Args:
        parameters: of the request.
        place: level and place to use instead of the request's territories.
    """
    inside = "all" if parameters["national"] else "in%20n3%20" + ",".join(parameters["territories"])
    variables = ",".join(map(str, parameters["variables"]))
    codes = ",".join(map(str, parameters["crops"].values()))
    return (
        f"/values/t/{parameters['table']}/{place or f'n6/{inside}'}/v/{variables}/p/{parameters['year']}"
        f"/c{parameters['classification']}/{codes}/h/y/f/a"
    )


def service_path(parameters: Mapping[str, Any], place: str = "") -> tuple[str, dict[str, str]]:
    """Path and query of a request in the newer interface, whose flat view has the same rows.

    Args:
        parameters: of the request.
        place: level and place to use instead of the request's territories.
    """
    inside = "all" if parameters["national"] else f"N3[{','.join(parameters['territories'])}]"
    codes = ",".join(map(str, parameters["crops"].values()))
    variables = "|".join(map(str, parameters["variables"]))
    path = f"/api/v3/agregados/{parameters['table']}/periodos/{parameters['year']}/variaveis/{variables}"
    return path, {
        "localidades": place or f"N6[{inside}]",
        "classificacao": f"{parameters['classification']}[{codes}]", "view": "flat",
    }  # fmt: skip


def parse_values(body: bytes, monthly: bool = False) -> pd.DataFrame:
    """The rows of one answer of ``/values`` as a long table.

    Args:
        body: JSON array whose first row is the header. It gives the meaning of the columns D1..Dn, which
            follows the order of the keys in the URL.
        monthly: True for a table of months by state.

    Returns:
        columns municipality and harvest_year, or state and month (201401) if monthly; variable, product (all
        int64 codes) and value (float64, in SIDRA's unit): "-" is 0, but NaN for a yield, because nothing was
        harvested; "..", "...", "X" and null are NaN. ``attrs["symbols"]`` counts each symbol.

    Raises:
        RetryableError: any other contents; the message names the column or the value.
    """
    rows = load_json(body, "SIDRA")
    if not isinstance(rows, list) or len(rows) < 2 or not isinstance(rows[0], dict):
        raise RetryableError(f"SIDRA: expected a header row and values, received {str(rows)[:80]}")
    data = rows[1:]
    codes = {role: _integers(data, key) for role, key in _roles(rows[0], monthly).items()}
    units = set(zip(codes["variable"].tolist(), _texts(data, "MN").tolist(), strict=True))
    for variable, unit in sorted(units):
        if unit and plain(unit) != plain(UNITS.get(variable, unit)):
            raise RetryableError(f"SIDRA: expected variable {variable} in {UNITS[variable]}, received {unit}")
    texts = _texts(data, "V")
    symbol = np.isin(texts, list(SYMBOLS))
    values = np.full(len(texts), np.nan)
    values[~symbol] = _floats(texts[~symbol])
    values[(texts == "-") & ~np.isin(codes["variable"], _YIELDS)] = 0.0
    frame = pd.DataFrame({**codes, "value": values})
    frame.attrs["symbols"] = dict(sorted(Counter(texts[symbol].tolist()).items()))
    return frame


def check_values(body: bytes, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Check that an answer is complete.

    Args:
        body: as in `parse_values`.
        parameters: of the request: crops, variables, year, territories (number of municipalities by state
            that the table lists for the year).

    Returns:
        number of rows, count of each symbol, number of absent municipalities by state.

    Raises:
        RetryableError: a requested crop, variable or year is missing or occurs twice; rows are missing, or a
            whole state, or more than 2 % of one.
    """
    frame = parse_values(body)
    wanted = {
        "product": sorted(parameters["crops"].values()), "variable": sorted(parameters["variables"]),
        "harvest_year": [parameters["year"]],
    }  # fmt: skip
    for column, expected in wanted.items():
        held = sorted(set(frame[column].tolist()))
        if held != expected:
            raise RetryableError(f"SIDRA: expected {column} {expected}, received {held}")
    cells = len(parameters["crops"]) * len(parameters["variables"])
    codes = np.unique(frame["municipality"].to_numpy())
    if frame.duplicated(["municipality", "variable", "product"]).any() or len(frame) != len(codes) * cells:
        raise RetryableError(
            f"SIDRA: expected {cells} values for each of {len(codes)} municipalities, each once, "
            f"received {len(frame)}"
        )
    absent = absent_by_state(codes.tolist(), parameters["territories"])
    return {"rows": len(frame), "symbols": frame.attrs["symbols"], "absent": absent}


def parse_labels(answer: Any, request: Request) -> dict[str, Any]:
    """The ``metadados`` of a table; RetryableError when they are not those of the requested table."""
    try:
        labels = [(k["id"], k["nome"]) for c in answer["classificacoes"] for k in c["categorias"]]
        units = [(v["id"], v["unidade"]) for v in answer["variaveis"]]
        sound = int(answer["id"]) == request.parameters["table"] and labels and units
    except (KeyError, TypeError, ValueError):
        sound = False
    if not sound:
        raise RetryableError(f"{request.name}: expected the labels of the table, received {str(answer)[:80]}")
    return dict(answer)


def refuse_labels(labels: Mapping[str, Any], table: int, crops: Mapping[str, Crop]) -> None:
    """Check the meaning of the codes of crops and variables.

    Args:
        labels: the table's ``metadados``, from `parse_labels`.
        table: number of the table.
        crops: crops of this table.

    Raises:
        SchemaError: a code has another label or unit than expected.
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


def parse_periods(answer: Any, request: Request) -> dict[int, str]:
    """Date (dd/mm/yyyy) of the last revision by year of a table; RetryableError for any other answer."""
    try:
        periods = {int(period["id"]): str(period["modificacao"]) for period in answer}
        for text in periods.values():
            date(text)
    except (KeyError, TypeError, ValueError) as error:
        raise RetryableError(
            f"{request.name}: expected years with modificacao, received {error!r}"
        ) from error
    if not periods:
        raise RetryableError(f"{request.name}: expected years, received none")
    return periods


def date(text: str) -> dt.date:
    """The date of a text dd/mm/yyyy; IBGE writes 01/01/0001 for years without a revision."""
    day, month, year = map(int, text.split("/"))
    return dt.date(year, month, day)


def read_answer(cache: RequestCache, request: Request) -> Any:
    """Cached JSON answer to a request; MissingDataError, with the command to run, without one."""
    for _request, path, _record in cache.leaves(request):
        return load_json(path.read_bytes(), path.name)
    command = FETCH_PLACES if request.parameters["kind"] in ("places", "centroids", "mesh") else FETCH_YIELDS
    raise MissingDataError(f"{request.name} has not been fetched from IBGE yet", f"Fetch it: {command}.")


def load_json(body: bytes, file: str) -> Any:
    """Contents of a JSON answer; RetryableError for anything else, such as SVG or incomplete JSON."""
    try:
        return json.loads(body)
    except ValueError as error:
        raise RetryableError(f"{file}: expected JSON, received {body[:40]!r}, {len(body)} bytes") from error


def plain(text: str) -> str:
    """A label in lower case without accents and punctuation."""
    bare = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return " ".join(re.findall(r"[a-z0-9]+", bare))


def _english(crop: str) -> str:
    """Sentence with the English name of a crop given in Portuguese (soja); empty if none matches."""
    text = plain(crop)
    names = [name for name, known in CROPS.items() if len(text) > 2 and plain(known.label).startswith(text)]
    return f"{crop} is called {' or '.join(names)} here." if names else ""


def _roles(header: Mapping[str, str], monthly: bool) -> dict[str, str]:
    """Column of the codes of municipality, harvest_year, variable and product; or of state and month."""
    known = {"municipio": "municipality", "unidade": "municipality", "ano": "harvest_year"}
    if monthly:
        known = {"unidade": "state", "mes": "month"}
    known |= {"variavel": "variable", "produto": "product"}
    roles: dict[str, str] = {}
    for key in filter(_CODE.fullmatch, header):
        role = known.get(plain(str(header[key])).split(" ")[0])
        if role is None or role in roles:
            raise RetryableError(f"SIDRA: expected known columns, received {key} ({header[key]})")
        roles[role] = key
    if missing := sorted(set(known.values()) - set(roles)):
        raise RetryableError(f"SIDRA: expected columns for {missing}, received {list(header.values())}")
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
        raise RetryableError(f"SIDRA: expected a number or a known symbol: {error}") from error
    if not np.isfinite(numbers).all():
        raise RetryableError("SIDRA: expected finite values")
    return numbers
