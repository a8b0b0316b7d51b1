"""LSPA, IBGE's monthly estimates of crops by state (SIDRA table 6588): requests, checks, table of estimates.

Every month of the table keeps its first value, so that it is an archive of what was published. A month
estimates the whole crop of its calendar year; the prognosis of the next crop (October to December) is not in
the table.
"""

from __future__ import annotations

import datetime as dt
import gzip
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from data_fetchers.engine.cache import Request, RequestCache
from data_fetchers.engine.source import Note, RetryableError
from data_fetchers.ibge import sidra
from data_fetchers.ibge.sidra import STATES
from yieldcast.data.estimates import estimates_table
from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.publication import add_months

TABLE, CLASSIFICATION = 6588, 48
SOURCE = "lspa"
FIRST_YEAR = 2006  # the table begins with September 2006
VARIABLES: Mapping[int, str] = {
    35: "production_t", 36: "yield_kg_ha", 109: "area_planted_ha", 216: "area_harvested_ha",
}  # fmt: skip
# Start of the label of each crop, without its running number, which changes ("1.15 Soja" until 2023, "1.17
# Soja" later), and the code that it had; cotton's is not verified, so that labels decide.
CATEGORIES: Mapping[str, tuple[str, int]] = {
    "soybean": ("soja", 39443),
    "corn_1": ("milho 1a safra", 39441),
    "corn_2": ("milho 2a safra", 39442),
    "rice": ("arroz", 39432),
    "wheat": ("trigo", 39445),
    "sugarcane": ("cana de acucar", 39456),
    "cotton": ("algodao herbaceo", 39429),
}
_CORN = ("corn", "corn_first", "corn_second")  # names of the crops of PAM
# IBGE publishes about the 10th of the following month; the 15th is a careful rule, not a recorded day.
_PUBLIC_DAY = 15
_FETCH = "`yieldcast fetch estimates --store DIR --years FIRST:LAST`"


def categories_of(crops: Iterable[str]) -> tuple[list[str], list[str]]:
    """Names of the categories of some crops of PAM, and the crops that LSPA lacks; corn has two."""
    found, absent = set[str](), []
    for crop in crops:
        if crop in _CORN:
            found |= {"corn_1", "corn_2"}
        elif crop in CATEGORIES:
            found.add(crop)
        else:
            absent.append(crop)
    return sorted(found), sorted(absent)


def codes_of(labels: Mapping[str, Any], names: Iterable[str]) -> dict[str, int]:
    """Code of each category, found by its label.

    Args:
        labels: ``metadados`` of the table, from `sidra.parse_labels`.
        names: keys of `CATEGORIES`.

    Raises:
        SchemaError: no label or several fit a name, or a variable has another unit than expected.
    """
    held = {
        int(category["id"]): _without_number(category["nome"])
        for one in labels["classificacoes"]
        if int(one["id"]) == CLASSIFICATION
        for category in one["categorias"]
    }
    units = {int(variable["id"]): str(variable["unidade"]) for variable in labels["variaveis"]}
    wrong = [
        f"variable {code} in {sidra.UNITS[code]}, received {units.get(code)!r}"
        for code in VARIABLES
        if sidra.plain(units.get(code, "")) != sidra.plain(sidra.UNITS[code])
    ]
    codes: dict[str, int] = {}
    for name in names:
        label, usual = CATEGORIES[name]
        fitting = [code for code, text in held.items() if f"{text} ".startswith(f"{label} ")]
        exact = [code for code in fitting if held[code] == label]
        chosen = [usual] if usual in fitting else exact or fitting
        if len(chosen) == 1:
            codes[name] = chosen[0]
        else:
            wrong.append(f"one category {label!r} for {name}, received {chosen}")
    if wrong:
        raise SchemaError(
            f"table {TABLE} of SIDRA: expected {'; '.join(wrong)}",
            "IBGE has changed its codes: yieldcast needs an update. Nothing was fetched.",
        )
    return codes


def requests_of(
    codes: Mapping[str, int], years: Iterable[int], months: Iterable[int]
) -> tuple[list[Request], list[Note]]:
    """One request per year, for the published months, all states and all categories.

    Args:
        codes: from `codes_of`.
        years: harvest years, which are the calendar years of the months.
        months: months of the table, as 201401.
    """
    requests, notes, months = [], [], sorted(months)
    for year in sorted(set(years)):
        inside = [month for month in months if month // 100 == year]
        if inside and codes:
            parameters = {
                "kind": "estimates", "table": TABLE, "classification": CLASSIFICATION,
                "crops": dict(sorted(codes.items())), "variables": sorted(VARIABLES), "months": inside,
            }  # fmt: skip
            requests.append(Request("ibge", f"lspa-{year}", parameters, ".json.gz"))
        elif not inside:
            notes.append(Note("estimates", f"LSPA has no month of {year}", 1))
    return requests, notes


def values_path(parameters: Mapping[str, Any], place: str = "") -> str:
    """Path of a request in SIDRA's interface ``values``.

    Args:
        parameters: of the request.
        place: level and place to use instead of all states.
    """
    variables = ",".join(map(str, parameters["variables"]))
    codes = ",".join(map(str, parameters["crops"].values()))
    first, last = parameters["months"][0], parameters["months"][-1]
    return (
        f"/values/t/{TABLE}/{place or 'n3/all'}/v/{variables}/p/{first}-{last}"
        f"/c{CLASSIFICATION}/{codes}/h/y/f/a"
    )


def service_path(parameters: Mapping[str, Any], place: str = "") -> tuple[str, dict[str, str]]:
    """Path and query of a request in the newer interface, whose flat view has the same rows.

    Args:
        parameters: of the request.
        place: level and place to use instead of all states.
    """
    variables = "|".join(map(str, parameters["variables"]))
    codes = ",".join(map(str, parameters["crops"].values()))
    first, last = parameters["months"][0], parameters["months"][-1]
    path = f"/api/v3/agregados/{TABLE}/periodos/{first}-{last}/variaveis/{variables}"
    return path, {
        "localidades": place or "N3[all]", "classificacao": f"{CLASSIFICATION}[{codes}]", "view": "flat",
    }  # fmt: skip


def check_values(body: bytes, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Check that an answer is complete; return rows and symbols for the sidecar.

    Raises:
        RetryableError: a crop, variable, month or state is missing, more than requested, or occurs twice.
    """
    frame = sidra.parse_values(body, monthly=True)
    wanted = {
        "product": parameters["crops"].values(), "variable": parameters["variables"],
        "month": parameters["months"], "state": STATES.values(),
    }  # fmt: skip
    for column, expected in wanted.items():
        held = sorted(set(frame[column].tolist()))
        if held != sorted(expected):
            raise RetryableError(f"SIDRA: expected {column} {sorted(expected)}, received {held}")
    rows = int(np.prod([len(list(values)) for values in wanted.values()]))
    if len(frame) != rows or frame.duplicated(list(wanted)).any():
        raise RetryableError(f"SIDRA: expected {rows} values, each once, received {len(frame)}")
    return {"rows": rows, "symbols": frame.attrs["symbols"]}


def halves(parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Changes of the parameters that split a request: half the crops, else half the months, else none."""
    for name in ("crops", "months"):
        values = list(parameters[name].items() if name == "crops" else parameters[name])
        if len(values) > 1:
            half = len(values) // 2
            parts = (values[:half], values[half:])
            return [{name: dict(part) if name == "crops" else part} for part in parts]
    return []


def public_from(month: dt.date) -> dt.date:
    """First day on which the estimate of a month may be used: the 15th of the following month."""
    return add_months(month, 1).replace(day=_PUBLIC_DAY)


def read_estimates(
    cache: RequestCache, requests: Sequence[Request], states: Collection[str]
) -> tuple[xr.Dataset, list[Note]]:
    """The table of estimates of some requests.

    Args:
        cache: holds the answers.
        requests: from `requests_of`.
        states: abbreviations of the states to keep.

    Returns:
        table as checked by `yieldcast.data.estimates.check_estimates`; ``corn`` is the sum of ``corn_1`` and
        ``corn_2`` with its yield computed. States that grow none of a crop have no entry. Also notes.

    Raises:
        MissingDataError: no answer is cached, or none has a value.
    """
    frames, notes, symbols = [], [], Counter[str]()
    for request in requests:
        if not cache.complete(request):
            notes.append(Note("estimates", f"{request.name} has not been fetched", 1, missing=True))
        for leaf, path, record in cache.leaves(request):
            frame = sidra.parse_values(gzip.decompress(path.read_bytes()), monthly=True)
            symbols.update(frame.attrs["symbols"])
            names = {code: crop for crop, code in leaf.parameters["crops"].items()}
            retrieved = dt.datetime.fromisoformat(record["fetched"]).astimezone(dt.UTC).replace(tzinfo=None)
            frames.append(frame.assign(crop=frame["product"].map(names), retrieved=retrieved))
    wide = _wide(pd.concat(frames, ignore_index=True)) if frames else pd.DataFrame()
    kept = wide[wide["unit"].isin(list(states))] if len(wide) else wide
    if kept.empty:
        raise MissingDataError("no estimates have been fetched from IBGE yet", f"Fetch them: {_FETCH}.")
    notes += [
        Note("estimates", f"values that SIDRA marks {symbol!r} ({sidra.SYMBOLS[symbol]})", count)
        for symbol, count in sorted(symbols.items())
    ]
    return estimates_table(kept), notes


def _wide(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per crop, state and month, with the columns of `estimates_table`."""
    key = ["crop", "state", "month"]
    wide = frame.pivot(index=key, columns="variable", values="value").rename(columns=VARIABLES)
    wide["retrieved"] = frame.groupby(key)["retrieved"].max()
    wide = wide.reset_index().rename_axis(columns=None)
    computed = _yield_kg_ha(wide)
    wide["yield_kg_ha"] = wide["yield_kg_ha"].fillna(computed)
    if {"corn_1", "corn_2"} <= set(wide["crop"]):
        wide = pd.concat([wide, _corn(wide)], ignore_index=True)
    wide = wide[(wide["yield_kg_ha"] > 0) | (wide["production_t"] > 0)]
    month = pd.to_datetime(wide["month"].astype(str), format="%Y%m")
    abbreviations = {code: state for state, code in STATES.items()}
    return wide.assign(
        source=SOURCE, unit=wide["state"].map(abbreviations), harvest_year=wide["month"] // 100,
        reference=month.dt.strftime("%Y-%m"), reference_month=month,
        public_from=[pd.Timestamp(public_from(one.date())) for one in month],
    )  # fmt: skip


def _corn(wide: pd.DataFrame) -> pd.DataFrame:
    """First and second crop of corn summed; unknown in a month in which one of the two is unknown.

    A state that has no value of a crop in the whole year does not grow it.
    """
    sums = ["production_t", "area_planted_ha", "area_harvested_ha"]
    both = wide[wide["crop"].isin(["corn_1", "corn_2"])].copy()
    group = [both["crop"], both["state"], both["month"] // 100]
    grown = both[sums].notna().groupby(group).transform("any")
    both[sums] = both[sums].where(grown, 0.0)
    groups = both.groupby(["state", "month"])
    total = groups[sums].sum().where(groups[sums].count() == 2)
    total["retrieved"] = groups["retrieved"].max()
    total = total.reset_index().assign(crop="corn")
    return total.assign(yield_kg_ha=_yield_kg_ha(total))


def _yield_kg_ha(frame: pd.DataFrame) -> pd.Series:
    """Production over harvested area, in whole kg/ha as IBGE publishes yields; NaN without an area."""
    area = frame["area_harvested_ha"]
    return (1000 * frame["production_t"] / area.where(area > 0)).round()


def _without_number(label: str) -> str:
    words = sidra.plain(label).split()
    while words and words[0].isdigit():
        words = words[1:]
    return " ".join(words)
