"""Small real requests of `doctor --live`: command lines, verdicts, and what is shown."""

from __future__ import annotations

import io
import json
import shlex

import pytest
from rich.console import Console

from data_fetchers.fetching.doctor import Finding
from data_fetchers.fetching.live import LiveRequest, confirm_all, live_requests
from yieldcast.cli.views.fetch import show_findings, show_live

# Answers as the services send them, cut to what is compared.
PLACE = {"id": 5101837, "regiao-imediata": {"regiao-intermediaria": {"UF": {"sigla": "MT"}}}}
GOOD = {
    "IBGE Localidades": PLACE,
    "IBGE Malhas": {"features": [{"properties": {"codarea": "5101837"}, "geometry": None}]},
    "PAM's municipalities": [{"id": str(1_100_000 + i)} for i in range(5563)],
    "SIDRA": [{"V": "Valor"}, {"V": "152144238"}],
    "NASA POWER": {"properties": {"parameter": {"T2M_MAX": {"20200101": 31.2}}}},
    "CDS SEAS5": {"id": "size", "cost": 3, "limit": 9000},
}
OTHER = {
    "IBGE Localidades": {**PLACE, "id": 5107925},
    "IBGE Malhas": {"features": []},
    "PAM's municipalities": [{"id": "1100015"}],
    "SIDRA": [{"V": "Valor"}, {"V": "..."}],
    "NASA POWER": {"properties": {"parameter": {"T2M_MAX": {"20200101": -999.0}}}},
    "CDS SEAS5": {"detail": "dataset not found"},
}


@pytest.fixture
def requests() -> dict[str, LiveRequest]:
    return {request.what: request for request in live_requests()}


@pytest.mark.parametrize("what", GOOD)
def test_answers_are_compared(requests, what):
    request = requests[what]
    assert request.differs(json.dumps(GOOD[what]).encode()) == ""
    try:
        other = request.differs(json.dumps(OTHER[what]).encode())
    except (ValueError, KeyError):
        other = "another layout"
    assert other


def test_headers_and_first_bytes_are_compared(requests):
    header = (
        b"ano_agricola;safra;uf;produto;id_produto;id_levantamento;dsc_levantamento;area_plantada_mil_ha;"
    )
    header += b"producao_mil_t;produtividade_mil_ha_mil_t\r\n2024/25;UNICA"
    assert requests["CONAB"].differs(header) == ""
    assert requests["CONAB"].differs(b"ano_agricola\tuf\r\n")
    assert requests["SoilGrids"].differs(b"II*\0") == ""
    assert requests["SoilGrids"].differs(b"<htm")


def test_every_request_is_a_command_line(requests):
    assert len(requests) == 15
    for request in requests.values():
        words = shlex.split(request.command)
        assert words[0] == "curl"
        assert words[-1] == request.url
    posted = shlex.split(requests["CDS era5 days"].command)
    assert json.loads(posted[posted.index("-d") + 1])["inputs"]["daily_statistic"] == "daily_maximum"


def test_each_service_gets_a_verdict(plain_server, power_server, conab_server, cds_server, monkeypatch):
    monkeypatch.setenv("YIELDCAST_POWER_URL", power_server.url)
    monkeypatch.setenv("YIELDCAST_CONAB_URL", conab_server.url)
    monkeypatch.setenv("CDSAPI_URL", f"{cds_server.url}/api")
    monkeypatch.setenv("YIELDCAST_IBGE_URL", plain_server.url)
    monkeypatch.setenv("YIELDCAST_SOILGRIDS_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("YIELDCAST_STAC_URL", "http://127.0.0.1:9")
    shown = io.StringIO()
    findings = {f.what: f for f in show_live(confirm_all(), Console(file=shown, width=60))}
    states = {what: finding.state for what, finding in findings.items()}
    assert {what for what, state in states.items() if state == "ok"} >= {"NASA POWER", "CDS SEAS5", "CONAB"}
    assert states["SoilGrids"] == "failed"
    assert states["SIDRA"] in ("warning", "failed")
    text = shown.getvalue()
    for request in live_requests():
        assert request.command in text  # on one line, to be copied
    assert "compare: T2M_MAX of 20200101 between 20 and 42 C" in text


def test_long_findings_are_folded_and_equal_hints_are_shown_once():
    url = "https://service.example/" + "long/" * 30
    findings = [
        Finding("one", "failed", f"{url} cannot be reached", "Check your connection."),
        Finding("two", "failed", "closed", "Check your connection."),
        Finding("three", "ok", "answers"),
    ]
    shown = io.StringIO()
    show_findings(findings, Console(file=shown, width=70))
    text = shown.getvalue()
    assert max(map(len, text.splitlines())) <= 70
    assert text.replace("\n", "").replace("│", "").replace(" ", "").count("long/") == 30
    assert text.count("Check your connection.") == 1
    assert "one, two: Check your connection." in text
