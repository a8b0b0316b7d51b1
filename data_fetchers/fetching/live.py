"""One small real request to each service, to compare the answer with what yieldcast expects of it.

The fetchers follow the services' documentation and were tested against local servers only; the first person
with a connection can confirm every source here in a minute. No request needs a key.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from requests import Response

from data_fetchers import conab
from data_fetchers.cds.session import address
from data_fetchers.conab import Conab
from data_fetchers.engine import http
from data_fetchers.era5.source import PRODUCTS, Product
from data_fetchers.fetching.doctor import Finding
from data_fetchers.ibge import listed, sidra
from data_fetchers.ibge.source import MESHES, SERVICE, SIDRA, Ibge
from data_fetchers.nasa_power.source import NasaPower
from data_fetchers.seas5 import source as seas5
from data_fetchers.seas5.answers import SYSTEMS, VARIABLE_MAP
from data_fetchers.soilgrids.source import SoilGrids
from data_fetchers.stac import source as stac
from data_fetchers.stac.collections import baseline
from yieldcast.errors import YieldcastError

_TIMEOUT_s = (5.0, 30.0)
_HEAD_bytes = 4_000_000  # largest answer that is read; the list of PAM's municipalities has about 0.6 MB
_NEWEST = 5101837  # Boa Esperança do Norte (MT), created in 2025
# Soybean of Brazil in 2023 (t), table 5457 of SIDRA as answered in 2026; IBGE may revise it a little.
_SOYBEAN_2023_t, _REVISION = 152_144_238, 0.02
_DAY = {
    "parameters": "T2M_MAX", "community": "AG", "latitude": "-12.5", "longitude": "-55.625", "format": "JSON",
    "start": "20200101", "end": "20200101", "time-standard": "LST",
}  # fmt: skip
_IMAGE = (
    "collections=sentinel-2-l2a&bbox=-55.6,-12.1,-55.5,-12&limit=1"
    "&datetime=2023-01-01T00:00:00Z/2023-12-31T00:00:00Z"
)
_BY_HAND = "Compare the answer of the request with the text beside it; report a difference with both."


class LiveRequest(NamedTuple):
    """One request, and what its answer is compared with.

    Args:
        what: name of the service.
        url: address.
        expected: what the answer must have, for a reader who compares by hand.
        differs: what a body lacks; empty if it is as expected. Any error means another layout.
        inputs: JSON body of a POST; None for a GET.
        most_bytes: largest part of the answer to request.
    """

    what: str
    url: str
    expected: str
    differs: Callable[[bytes], str]
    inputs: dict[str, Any] | None = None
    most_bytes: int = 0

    @property
    def command(self) -> str:
        """The same request as a command line of curl."""
        words = ["curl", "-gsS", "-m", f"{_TIMEOUT_s[1]:.0f}"]  # -g: brackets in an address are brackets
        if self.inputs is not None:
            words += ["-H", "Content-Type: application/json", "-d", json.dumps({"inputs": self.inputs})]
        if self.most_bytes:
            words += ["-r", f"0-{self.most_bytes - 1}"]
        return shlex.join([*words, self.url])


def live_requests() -> list[LiveRequest]:
    """A request for each service, at the configured addresses."""
    ibge = Ibge().base_url
    service, values = ibge or SERVICE, ibge or SIDRA
    crop = {
        "table": 5457,
        "classification": 782,
        "crops": {"soybean": 40124},
        "variables": [214],
        "year": 2023,
    }
    total = f"Brazil's soybean of 2023: within 2 % of {_SOYBEAN_2023_t:,} t"
    path, query = sidra.service_path({**crop, "national": True}, "N1[all]")
    newer = f"{path}?localidades={query['localidades']}&classificacao={query['classificacao']}&view=flat"
    mesh = "formato=application/vnd.geo%2Bjson&qualidade=minima"
    list_of_pam = listed.localities_request("ibge", 1612).parameters["path"]
    power = "&".join(f"{name}={value}" for name, value in _DAY.items())
    return [
        LiveRequest(
            "IBGE Localidades", f"{service}/api/v1/localidades/municipios/{_NEWEST}",
            f"id {_NEWEST} and its state in regiao-imediata", _localidade,
        ),
        LiveRequest(
            "IBGE Malhas", f"{service}{MESHES}/municipios/{_NEWEST}?{mesh}",
            f"one polygon with codarea {_NEWEST}", _polygon,
        ),
        LiveRequest(
            "PAM's municipalities", f"{service}{list_of_pam}", "5,500 to 5,571 ids of 7 digits",
            _municipalities,
        ),
        LiveRequest(
            "SIDRA", values + sidra.values_path({**crop, "national": True}, "n1/1"), total, _soybean
        ),
        LiveRequest("SIDRA, newer interface", service + newer, total, _soybean),
        LiveRequest(
            "SoilGrids", SoilGrids().probe_url(), "a TIFF: first bytes II*", _tiff, most_bytes=4
        ),
        LiveRequest(
            "NASA POWER", f"{NasaPower().base_url}/api/temporal/daily/point?{power}",
            "T2M_MAX of 20200101 between 20 and 42 C", _one_day,
        ),
        LiveRequest(
            "CONAB", f"{Conab().base_url}/{conab.SURVEYS}", "a header of 10 columns, ano_agricola to "
            "produtividade_mil_ha_mil_t, with id_levantamento", _surveys, most_bytes=2048,
        ),
        *(
            LiveRequest(
                what, f"{url}/search?{_IMAGE}", "one image of Sentinel-2 with its processing baseline and "
                "the assets red or B04, scl or SCL", _image,
            )
            for what, url in stac.addresses().items() if "lpcloud" not in what
        ),
        *(_cost_of(name, era5.monthly, _monthly()) for name, era5 in PRODUCTS.items()),
        *(_cost_of(f"{name} days", era5.daily, _daily(era5)) for name, era5 in PRODUCTS.items()),
        _cost_of("SEAS5", seas5.DATASET, _seasonal()),
    ]  # fmt: skip


def confirm(request: LiveRequest) -> Finding:
    """Send a request and compare its answer: ok, warning (answers otherwise) or failed (no answer)."""
    headers = {"Range": f"bytes=0-{request.most_bytes - 1}"} if request.most_bytes else {}
    method, body = ("GET", None) if request.inputs is None else ("POST", {"inputs": request.inputs})
    try:
        with http.SafeSession() as session, session.request(
            method, request.url, json=body, headers=headers, stream=True, timeout=_TIMEOUT_s
        ) as answer:  # fmt: skip
            http.raise_for_status(answer)
            content = _head(answer, request.most_bytes or _HEAD_bytes)
    except YieldcastError as error:
        return Finding(request.what, "failed", str(error), error.hint)
    except Exception as error:  # any other error means: not reachable
        text = f"{http.shown(request.url)} cannot be reached ({type(error).__name__})"
        return Finding(request.what, "failed", text, "Check your connection; behind a proxy set HTTPS_PROXY.")
    try:
        other = request.differs(content)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        other = f"another layout ({type(error).__name__}): {content[:80]!r}"
    if other:
        return Finding(request.what, "warning", f"expected {request.expected}; received {other}", _BY_HAND)
    return Finding(request.what, "ok", request.expected)


def _head(answer: Response, most: int) -> bytes:
    """The beginning of a body, also of one that comes in pieces."""
    body = bytearray()
    for chunk in answer.iter_content(1 << 16):
        body += chunk
        if len(body) >= most:
            break
    return bytes(body[:most])


def confirm_all() -> Iterator[tuple[LiveRequest, Finding]]:
    """Every request with its finding, one after the other."""
    for request in live_requests():
        yield request, confirm(request)


def _cost_of(what: str, dataset: str, inputs: dict[str, Any]) -> LiveRequest:
    """Ask the CDS what a request would cost, which needs no key and checks the name of the dataset."""
    url = f"{address()}/retrieve/v1/processes/{dataset}/costing"
    return LiveRequest(f"CDS {what}", url, f"a cost and a limit above it for {dataset}", _affordable, inputs)


def _monthly() -> dict[str, Any]:
    return {
        "product_type": ["monthly_averaged_reanalysis"], "variable": ["total_precipitation"],
        "year": ["2020"], "month": ["01"], "time": ["00:00"], "area": [-12, -57, -13, -55],
        "data_format": "netcdf",
    }  # fmt: skip


def _daily(product: Product) -> dict[str, Any]:
    return {
        "variable": ["2m_temperature"], "year": ["2020"], "month": ["01"], "day": ["01"],
        "daily_statistic": "daily_maximum", "time_zone": "utc-03:00", "frequency": "1_hourly",
        "area": [-12, -57, -13, -55], **product.daily_extra,
    }  # fmt: skip


def _seasonal() -> dict[str, Any]:
    return {
        "originating_centre": ["ecmwf"], "system": [str(SYSTEMS[-1][1])], "product_type": ["monthly_mean"],
        "variable": [variable.variable for variable in VARIABLE_MAP.values()], "year": ["2024"],
        "month": ["11"], "leadtime_month": ["1"], "area": [-12, -57, -13, -55], "data_format": "netcdf",
    }  # fmt: skip


def _localidade(body: bytes) -> str:
    place = json.loads(body)
    state = place["regiao-imediata"]["regiao-intermediaria"]["UF"]["sigla"]
    return "" if (place["id"], state) == (_NEWEST, "MT") else f"id {place['id']} in {state}"


def _polygon(body: bytes) -> str:
    codes = [feature["properties"]["codarea"] for feature in json.loads(body)["features"]]
    return "" if codes == [str(_NEWEST)] else f"codarea {codes[:3]}"


def _municipalities(body: bytes) -> str:
    codes = listed.parse_localities(json.loads(body), listed.localities_request("ibge", 1612))
    return "" if 5500 <= len(codes) <= 5571 else f"{len(codes)} ids"


def _soybean(body: bytes) -> str:
    tonnes = float(json.loads(body)[1]["V"])
    return "" if abs(tonnes / _SOYBEAN_2023_t - 1) <= _REVISION else f"{tonnes:,.0f}"


def _tiff(body: bytes) -> str:
    return "" if body[:4] in (b"II*\0", b"MM\0*") else repr(body[:4])


def _one_day(body: bytes) -> str:
    value = float(json.loads(body)["properties"]["parameter"]["T2M_MAX"]["20200101"])
    return "" if 20 <= value <= 42 else f"{value:g}"


def _surveys(body: bytes) -> str:
    header = [name.strip() for name in body.split(b"\n")[0].decode("latin-1").split(";")]
    sound = len(header) == 10 and header[0] == "ano_agricola" and "id_levantamento" in header
    return "" if sound and header[-1] == "produtividade_mil_ha_mil_t" else f"{'; '.join(header)[:200]}"


def _image(body: bytes) -> str:
    (feature,) = json.loads(body)["features"]
    held = set(feature["assets"])
    if not held & {"red", "B04"} or not held & {"scl", "SCL"}:
        return f"the assets {', '.join(sorted(held))}"
    known = baseline(feature["properties"], str(feature.get("id", "")))
    return "no processing baseline" if known is None else ""


def _affordable(body: bytes) -> str:
    answer = json.loads(body)
    cost, limit = float(answer["cost"]), float(answer["limit"])
    return "" if 0 < cost <= limit else f"cost {cost:g}, limit {limit:g}"
