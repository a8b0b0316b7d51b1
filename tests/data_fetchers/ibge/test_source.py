"""IBGE as a source: requests, refusals, splits, and what is fetched again."""

from __future__ import annotations

import datetime as dt
import io
import json
import pickle
import shutil
import ssl
import subprocess
import threading
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest
import urllib3
import xarray as xr
from requests import Response, Session
from requests.adapters import HTTPAdapter
from requests.exceptions import SSLError

from data_fetchers.engine.cache import PendingJob, Request, RequestCache
from data_fetchers.engine.downloader import SourceSummary, fetch_requests
from data_fetchers.engine.http import RefusedError
from data_fetchers.ibge import listed
from data_fetchers.ibge.pam import read_yields
from data_fetchers.ibge.places import municipality_counts, read_places
from data_fetchers.ibge.sidra import parse_periods
from data_fetchers.ibge.source import SERVICE, SIDRA, Ibge, LegacyAdapter
from yieldcast.errors import ConfigError, FetchError, MissingDataError, SchemaError

PLAIN = {
    "limit": 50_000, "years": list(range(2005, 2021)), "modified": {}, "revised": {}, "newest": True,
    "hide": [], "no_polygon": [], "parents": True, "unlisted": [], "absent": [],
    "withheld": [], "whole": False, "refuse_values": False,
}  # fmt: skip


@pytest.fixture
def server(ibge_server):
    ibge_server.set(**PLAIN)
    yield ibge_server
    ibge_server.set(**PLAIN)


class Desk:
    """A source with its places and tables fetched, and short ways to ask for more."""

    def __init__(self, server, folder: Path, retry, crops=("soybean", "corn")) -> None:
        self.server, self.folder, self.retry, self.crops = server, folder, retry, crops
        self.source, self.cache = Ibge(server.url), RequestCache(folder / "ibge")
        summary = self.get([*self.source.place_requests(), *self.source.metadata_requests(crops)])
        assert summary.missing == []
        self.counts = municipality_counts(self.cache, self.source)

    def get(self, requests: list[Request], today: dt.date | None = None) -> SourceSummary:
        return fetch_requests([(self.source, requests)], self.folder, retry=self.retry, today=today)[0]

    def requests(self, years=(2019, 2020), states=None) -> list[Request]:
        return self.source.yield_requests(self.crops, years, states, self.counts, self.cache)[0]

    def table(self, requests: list[Request]) -> xr.Dataset:
        municipalities = read_places(self.cache, self.source, None)[0]["municipality"].values
        return read_yields(self.cache, self.source, requests, municipalities)[0]

    def asked(self) -> list[str]:
        return [line["path"] for line in self.server.log() if line["path"].startswith("/values")]


def _json(url: str):
    with Session() as session:
        return session.get(url, timeout=10).json()


@pytest.fixture
def desk(server, tmp_path, quick) -> Desk:
    return Desk(server, tmp_path, quick)


def test_the_address_comes_from_the_argument_then_the_environment(monkeypatch):
    monkeypatch.delenv("YIELDCAST_IBGE_URL", raising=False)
    assert Ibge().periods_url(1612) == f"{SERVICE}/api/v3/agregados/1612/periodos"
    monkeypatch.setenv("YIELDCAST_IBGE_URL", "http://one/")
    source = pickle.loads(pickle.dumps(Ibge()))
    monkeypatch.delenv("YIELDCAST_IBGE_URL")
    assert source.periods_url(839) == "http://one/api/v3/agregados/839/periodos"
    monkeypatch.setenv("YIELDCAST_IBGE_URL", "http://one")
    assert Ibge("http://two").base_url == "http://two"


def test_what_is_asked_of_sidra(desk):
    desk.get(desk.requests([2020], [51]))
    desk.get(desk.requests([2020]))
    assert desk.asked() == [
        "/values/t/1612/n6/in n3 51/v/109,112,214,216/p/2020/c81/2711,2713/h/y/f/a",
        "/values/t/1612/n6/all/v/109,112,214,216/p/2020/c81/2711,2713/h/y/f/a",
    ]


def test_by_state_and_for_brazil_it_is_the_same_table(desk):
    national, states = desk.requests(), desk.requests(states=[41, 51, 52])
    assert (len(national), len(states)) == (2, 6)
    assert desk.get(national + states).missing == []
    xr.testing.assert_identical(desk.table(national), desk.table(states))


def test_crops_of_three_tables(server, tmp_path, quick):
    desk = Desk(server, tmp_path, quick, ("corn", "coffee", "corn_second", "orange"))
    requests = desk.requests([2020])
    assert [(p.parameters["table"], p.parameters["variables"]) for p in requests] == [
        (839, [109, 112, 214, 216]), (1612, [109, 112, 214, 216]), (5457, [112, 214, 216, 8331]),
    ]  # fmt: skip
    assert desk.get(requests).missing == []
    assert list(desk.table(requests)["crop"].values) == ["coffee", "corn", "corn_second", "orange"]


def test_what_is_not_published_is_missing(server, tmp_path, quick):
    server.set(years=[1999, 2000, 2001, 2002, 2020])
    desk = Desk(server, tmp_path, quick, ("soybean", "coffee", "orange"))
    years = [2000, 2001, 2026]
    requests, notes = desk.source.yield_requests(desk.crops, years, None, desk.counts, desk.cache)
    assert [(p.parameters["year"], list(p.parameters["crops"])) for p in requests] == [
        (2000, ["soybean"]), (2001, ["soybean"]), (2001, ["orange"]),
    ]  # fmt: skip
    # only what is still to come is worth another run
    assert {n.text for n in notes if n.missing} == {n.text for n in notes if "2026" in n.text}
    texts = [n.text for n in notes]
    assert "PAM of 2026 is not published (soybean)" in texts
    assert "PAM of 2026 is not published (coffee, orange)" in texts
    assert [t for t in texts if "differently" in t and "coffee, orange of 2000" in t]
    assert [t for t in texts if "differently" in t and "coffee of 2001" in t]


def test_unknown_crops_and_states(desk):
    with pytest.raises(ConfigError, match="banana") as caught:
        desk.source.metadata_requests(["soybean", "banana"])
    assert caught.value.hint.startswith("Choose from: soybean, corn")
    with pytest.raises(ConfigError, match="11"):
        desk.requests([2020], [11])


def test_tables_come_first(tmp_path):
    with pytest.raises(MissingDataError, match="labels-1612") as caught:
        Ibge("http://x").yield_requests(["soybean"], [2020], None, {51: 9}, RequestCache(tmp_path))
    assert "`yieldcast fetch yields --store DIR" in caught.value.hint


def test_a_code_that_means_something_else_is_refused(server, tmp_path, quick):
    server.faults({"match": "metadados", "kind": "label", "times": 9})
    server.faults({"match": "agregados/1612/metadados", "kind": "label", "times": 9})
    desk = Desk(server, tmp_path, quick)
    with pytest.raises(SchemaError, match=r"2713 .* soybean .*Milho"):
        desk.requests()
    assert desk.asked() == []


def test_the_real_periods(samples, server):
    real = json.loads((samples / "sidra/ibger_v3__1612__periodos.json").read_text())
    request = Ibge("http://x").metadata_requests(["soybean"])[1]
    periods = parse_periods(real, request)
    assert (periods[1974], periods[2024]) == ("01/01/0001", "03/10/2025")
    assert sorted(periods) == list(range(1974, 2025))
    ours = _json(Ibge(server.url).periods_url(1612))
    assert set(ours[0]) == set(real[0])


def test_the_stand_in_answers_in_the_shapes_that_were_recorded(samples, server):
    url = f"{server.url}/api/v3/agregados/1612/metadados"
    ours = _json(url)
    real = json.loads((samples / "sidra/ibger_v3__1612__metadados.json").read_text())
    assert set(ours) == set(real)
    for key in ("variaveis", "classificacoes"):
        assert set(ours[key][0]) == set(real[key][0])
    assert set(ours["classificacoes"][0]["categorias"][0]) == set(real["classificacoes"][0]["categorias"][1])
    rows = _json(f"{server.url}/values/t/1612/n6/in%20n3%2051/v/214/p/2020/c81/2713")
    head = (samples / "agrobr/pam_soja_sample/response.csv").read_text().splitlines()[0]
    assert set(rows[0]) == set(rows[1]) == set(head.split(","))


def test_a_revised_year_is_fetched_again_and_the_earlier_one_kept(now, desk):
    desk.source = desk.source.with_periods(desk.cache)
    requests = desk.requests()
    assert desk.get(requests).fetched == 2
    assert desk.get(requests).kept == 2
    before = desk.table(requests)
    desk.server.set(modified={"2020": "14/11/2025", "2019": "31/12/2023"}, revised={"2020": 1.1})
    later = now.date() + dt.timedelta(days=1)
    assert desk.get(desk.source.metadata_requests(desk.crops), later).fetched == 1  # periods, no labels
    desk.source = desk.source.with_periods(desk.cache)
    again = pickle.loads(pickle.dumps(desk.source))
    assert again == desk.source
    assert desk.requests() == requests  # the request is the same: the file keeps its place
    summary = desk.get(requests, later)
    assert (summary.fetched, summary.kept) == (1, 1)  # an older date (2019) is no revision
    assert summary.revised == ["pam-1612-2020-br-corn-and-1"]
    assert len(list((desk.folder / "ibge/vintages").glob("*.json.gz"))) == 1
    after = desk.table(requests)
    assert (after["production_t"].sum() > before["production_t"].sum()).item()
    xr.testing.assert_equal(after.sel(harvest_year=2019), before.sel(harvest_year=2019))
    assert desk.get(requests, later).kept == 2


def test_what_grows_stale_when(now, desk):
    source, cache = desk.source, desk.cache
    labels, periods, localities = source.metadata_requests(["soybean"])

    def stale(request: Request, hours: float) -> bool:
        record = dict(cache.verified(request) or {})
        record["fetched"] = (now - dt.timedelta(hours=hours)).isoformat()
        return source.stale(request, record, now.date())

    assert [stale(periods, h) for h in (0, 19, 21)] == [False, False, True]
    for request in (labels, localities, *source.place_requests()):
        assert [stale(request, 24 * d) for d in (0, 29, 31)] == [False, False, True]


@pytest.mark.parametrize("limit", [150, 60, 25, 9])
def test_above_the_limit_a_request_is_split_and_the_table_is_the_same(desk, limit):
    """25 places x 4 x 2 = 200 values; the least is 9, one of each for the places of Mato Grosso."""
    whole = desk.requests([2020])
    desk.get(whole)
    expected = desk.table(whole)
    desk.server.set(limit=limit)
    other = Desk(desk.server, desk.folder / "other", desk.retry)
    summary = other.get(whole)
    assert summary.missing == []
    assert summary.total > 1
    xr.testing.assert_identical(other.table(whole), expected)
    asked = len(other.asked())
    assert other.get(whole).kept == summary.total
    assert len(other.asked()) == asked


def test_what_cannot_be_split_further_is_missing(desk):
    desk.server.set(limit=8)
    request = desk.requests([2020], [51])[0]
    summary = desk.get([request])
    assert len(summary.missing) == 8  # crops, then variables, and Mato Grosso has 9 places
    assert "cannot be split further" in str(summary.missing[0][1])
    assert list(desk.cache.leaves(request)) == []


def test_500_twice_while_a_small_question_is_answered_means_too_big(desk):
    desk.server.faults({"match": "n6/all/v/109,112,214,216/p/2020/c81/2711,2713", "kind": "status",
                        "status": 500, "times": 2})  # fmt: skip
    requests = desk.requests([2020])
    summary = desk.get(requests)
    assert (summary.total, summary.missing) == (2, [])
    assert [line["status"] for line in desk.server.log() if "/values" in line["path"]] == [
        500,
        500,
        200,
        200,
        200,
    ]
    assert desk.table(requests)["crop"].size == 2


def test_500_from_a_service_that_is_down_splits_nothing(desk):
    desk.server.faults({"match": "/values", "kind": "status", "status": 500, "times": 99})
    requests = desk.requests([2020])
    summary = desk.get(requests)
    assert (summary.total, len(summary.missing)) == (1, 1)
    assert "500" in str(summary.missing[0][1])
    desk.server.faults()
    assert desk.get(requests).missing == []


def test_500_on_what_cannot_be_split_is_tried_again(desk):
    request = desk.requests([2020], [51])[0]
    for _ in range(3):  # crops, variables, variables
        request = desk.source.split(request)[0]
    assert desk.source.split(request) == []
    desk.server.faults({"match": "/values", "kind": "status", "status": 500, "times": 3})
    assert desk.get([request]).missing == []


FAULTS = [
    {"kind": "changed_column"}, {"kind": "short"}, {"kind": "wrong_year"}, {"kind": "html"},
    {"kind": "empty"}, {"kind": "cut"}, {"kind": "lost"}, {"kind": "body", "body": '[{"V": "Valor"}, {'},
    {"kind": "body", "body": "[]"}, {"kind": "body", "body": "Nenhum valor"},
    {"kind": "status", "status": 503, "headers": {"Retry-After": "0"}}, {"kind": "status", "status": 429},
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f["kind"])
def test_after_a_fault_the_table_is_right(desk, fault):
    desk.server.faults({"match": "/values", "times": 2, **fault})
    requests = desk.requests([2020])
    summary = desk.get(requests)
    assert summary.missing == []
    record = desk.cache.verified(requests[0])
    assert record is not None
    assert (record["tries"], record["rows"]) == (3, 200)


@pytest.mark.parametrize(
    ("fault", "names"),
    [
        ({"kind": "changed_column"}, "column V"),
        ({"kind": "short"}, "received 197"),
        ({"kind": "wrong_year"}, r"expected harvest_year \[2020\], received \[2021\]"),
        ({"kind": "html"}, "web page"),
        ({"kind": "body", "body": "<svg/>"}, "expected JSON"),
        ({"kind": "huge"}, "refused"),
        ({"kind": "status", "status": 404, "body": "nada"}, "404"),
    ],
    ids=lambda v: v["kind"] if isinstance(v, dict) else "",
)
def test_a_lasting_fault_is_reported_and_leaves_nothing(desk, fault, names):
    desk.server.faults({"match": "/values", "times": 99, **fault})
    requests = desk.requests([2020])
    summary = desk.get(requests)
    assert len(summary.missing) == 1
    with pytest.raises(FetchError, match=names):
        raise summary.missing[0][1]
    assert desk.cache.verified(requests[0]) is None
    assert not desk.cache.path(requests[0]).exists()
    assert not desk.cache.temporary(requests[0]).exists()
    assert desk.cache.folder.exists()
    desk.server.faults()
    assert desk.get(requests).missing == []


def test_what_pam_lists_and_does_not_send_is_refused(desk):
    desk.server.set(withheld=[5200100])
    summary = desk.get(desk.requests([2020]))
    assert "expected 8 municipalities of state 52, received 7; 1 absent" in str(summary.missing[0][1])


def test_places_that_pam_does_not_list_are_accepted_and_named(server, tmp_path, quick):
    """Three states of 8: one or two of each are missing in the table's own list."""
    codes = [4100100, 5100201, 5200100, 5200201]
    server.set(absent=codes)
    desk = Desk(server, tmp_path, quick)
    requests = desk.requests([2020])
    assert requests[0].parameters["territories"] == {"41": 7, "51": 7, "52": 6}
    assert desk.get(requests).missing == []
    municipalities = read_places(desk.cache, desk.source, None)[0]["municipality"].values
    names = {4100100: "Sorriso"}
    table, notes = read_yields(desk.cache, desk.source, requests, municipalities, names)
    named = "4100100 Sorriso, 5100201, 5200100, 5200201"
    assert [(n.text, n.count) for n in notes if "does not list" in n.text] == [
        (f"municipalities that PAM does not list in every year: {named}", 4)
    ]
    assert table.attrs["not_listed"] == named
    for name in table.data_vars:
        assert table[name].sel(municipality=codes).isnull().all()


@pytest.mark.parametrize(
    ("absent", "text"),
    [
        ([4100100, 4100201, 4100302], "expected about 8 municipalities of state 41, received 5"),
        ([4100100 + 101 * i for i in range(8)], "of state 41, received 0"),
    ],
)
def test_a_list_of_pam_without_a_state_or_much_of_one_is_discarded(server, tmp_path, quick, absent, text):
    server.set(absent=absent)
    desk = Desk(server, tmp_path, quick)
    with pytest.raises(FetchError, match=text):
        desk.requests([2020])
    server.set(absent=[])
    assert desk.get(desk.source.metadata_requests(desk.crops)).fetched == 1
    assert desk.get(desk.requests([2020])).missing == []


def test_municipalities_are_not_expected_before_they_exist(server, tmp_path, quick):
    codes = listed.expected_counts([5100102, 5101837, 5006275], 2012)
    assert codes == {51: 1}
    assert listed.expected_counts([5100102, 5101837, 5006275], 2025) == {50: 1, 51: 2}


def test_of_5571_municipalities_pam_lists_5563_and_a_year_is_complete(server, tmp_path, quick):
    """5,563 x 4 variables = 22,252 values per crop: two crops in one request; one state takes all five."""
    server.set(whole=True)
    desk = Desk(server, tmp_path, quick, ("soybean", "corn", "rice", "cotton", "sugarcane"))
    assert sum(desk.counts.values()) == 5571
    requests = desk.requests([2020])
    assert [list(p.parameters["crops"]) for p in requests] == [
        ["corn", "cotton"], ["rice", "soybean"], ["sugarcane"],
    ]  # fmt: skip
    assert len(desk.requests([2020], [51])) == 1
    assert [sum(p.parameters["territories"].values()) for p in requests] == [5563] * 3
    assert desk.get(requests[2:]).missing == []
    municipalities = read_places(desk.cache, desk.source, None)[0]["municipality"].values
    notes = read_yields(desk.cache, desk.source, requests[2:], municipalities)[1]
    assert [n.count for n in notes if "does not list" in n.text] == [8]


@pytest.mark.parametrize("states", [None, [51, 52]])
def test_where_the_older_interface_refuses_the_newer_one_gives_the_same(server, tmp_path, quick, states):
    desk = Desk(server, tmp_path / "one", quick)
    requests = desk.requests([2020], states)
    assert desk.get(requests).missing == []
    server.set(refuse_values=True)
    other = Desk(server, tmp_path / "two", quick)
    server.faults({"match": "/variaveis/", "kind": "status", "status": 500, "times": 2})  # too large
    assert other.get(requests).missing == []
    xr.testing.assert_identical(other.table(requests), desk.table(requests))


ASKED = "/values/t/1612/n6/all"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, "Tabela 1612: variável 109 inexistente"),
        (400, {"statusCode": 400, "message": "parametro invalido"}),
        (403, "excedeu o limite de acessos"),  # of accesses, not of values
        (401, ""), (403, ""), (403, "Acesso negado"),
    ],
)  # fmt: skip
def test_what_is_refused_for_good_is_asked_once_and_not_split(desk, status, body):
    fault = {"kind": "status", "status": status, "times": 99, "type": "text/plain", "body": body}
    # 403 leads to the newer interface, which refuses too
    desk.server.faults({**fault, "match": "/values"}, {**fault, "match": "/variaveis/"})
    summary = desk.get(desk.requests([2020]))
    assert (summary.total, len(summary.missing), len(desk.asked())) == (1, 1, 1)
    error = summary.missing[0][1]
    assert type(error) is RefusedError
    assert f"answered {status}" in str(error)
    words = body["message"] if isinstance(body, dict) else body
    assert words in str(error)


def test_a_429_with_the_word_exceeded_is_retried_not_split(desk):
    fault = {"match": ASKED, "kind": "status", "status": 429, "body": "excedeu o limite de acessos"}
    desk.server.faults(fault)
    summary = desk.get(desk.requests([2020]))
    assert (summary.total, summary.fetched, summary.missing) == (1, 1, [])


def test_a_400_without_a_word_is_too_big_only_while_a_small_question_is_answered(desk):
    desk.server.faults({"match": ASKED, "kind": "status", "status": 400})
    requests = desk.requests([2020])
    summary = desk.get(requests)
    assert (summary.total, summary.fetched, summary.missing) == (2, 2, [])  # one crop each
    assert desk.table(requests)["crop"].size == 2
    desk.server.reset()
    desk.server.faults({"match": "/values", "kind": "status", "status": 400, "times": 99})
    summary = desk.get(desk.requests([2019]))
    assert (summary.total, len(summary.missing), len(desk.asked())) == (1, 1, 2)
    assert type(summary.missing[0][1]) is RefusedError


@pytest.mark.parametrize("status", [401, 403])
def test_places_that_are_refused_are_asked_once(server, tmp_path, quick, status):
    server.faults({"match": "localidades", "kind": "status", "status": status, "times": 99})
    source = Ibge(server.url)
    summary = fetch_requests([(source, source.place_requests())], tmp_path, retry=quick)[0]
    assert [(name, type(error)) for name, error in summary.missing] == [("localidades", RefusedError)]
    assert sum("localidades" in line["path"] for line in server.log()) == 1


def test_retry_after_is_obeyed_once(desk):
    """The service asks for 1 s; our own pauses are at most 0.05 s."""
    busy = {"match": ASKED, "kind": "status", "status": 503}
    desk.server.faults({**busy, "headers": {"Retry-After": "1"}}, busy)
    assert desk.get(desk.requests([2020])).missing == []
    times = [line["time"] for line in desk.server.log() if line["path"].startswith(ASKED)]
    assert len(times) == 3
    assert 1.0 <= times[1] - times[0] < 3.0
    assert times[2] - times[1] < 1.0


def test_a_null_for_a_value_is_not_available_and_counted(desk):
    desk.server.faults({"match": ASKED, "kind": "null"})
    requests = desk.requests([2020])
    assert desk.get(requests).missing == []
    assert (desk.cache.verified(requests[0]) or {})["symbols"]["null"] == 1
    municipalities = read_places(desk.cache, desk.source, None)[0]["municipality"].values
    notes = read_yields(desk.cache, desk.source, requests, municipalities)[1]
    assert [n.count for n in notes if "'null' (not available)" in n.text] == [1]


def test_the_newest_municipality_may_be_missing_in_pam(desk):
    desk.server.set(newest=False)
    requests = desk.requests([2020])
    assert desk.get(requests).missing == []
    assert desk.table(requests).sel(municipality=5101837)["yield_kg_ha"].isnull().all()


@pytest.mark.parametrize("fault", [{"kind": "body", "body": "<svg/>"}, {"kind": "cut"}, {"kind": "html"}])
def test_places_and_polygons_survive_faults(server, tmp_path, quick, fault):
    source = Ibge(server.url)
    requests = [*source.place_requests(), *source.mesh_requests([51])]
    server.faults({"match": "/api/", "times": 3, **fault})
    assert fetch_requests([(source, requests)], tmp_path, retry=quick)[0].missing == []
    summary = fetch_requests([(source, source.mesh_requests([11]))], tmp_path, retry=quick)[0]
    assert "404" in str(summary.missing[0][1])


def test_old_tls_is_spoken_only_when_it_must_be(monkeypatch, tmp_path):
    """The real hosts' refusal cannot be reproduced here, so the transport is replaced."""
    used: list[str] = []

    def send(self, request, **kwargs):
        used.append(type(self).__name__)
        if not isinstance(self, LegacyAdapter):
            raise SSLError("[SSL: UNSAFE_LEGACY_RENEGOTIATION_DISABLED] unsafe legacy ...")
        answer = Response()
        answer.status_code, answer.url = 200, request.url
        answer.raw = urllib3.HTTPResponse(io.BytesIO(b"[1]"), preload_content=False)
        return answer

    monkeypatch.setattr(HTTPAdapter, "send", send)
    monkeypatch.delenv("YIELDCAST_IBGE_URL", raising=False)
    source, target = Ibge(), tmp_path / "x"
    source.fetch(source.place_requests()[0], target, PendingJob(tmp_path / "job"))
    assert used == ["HTTPAdapter", "LegacyAdapter"]
    assert target.read_bytes() == b"[1]"
    # another host is never spoken to in that way
    elsewhere = Ibge("https://example.org")
    with pytest.raises(FetchError, match="no trusted connection"):
        elsewhere.fetch(elsewhere.place_requests()[0], target, PendingJob(tmp_path / "job"))


@pytest.fixture
def tls_server(tmp_path):
    """Port and certificate of a TLS server that nobody vouches for."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1], certificate
    server.shutdown()
    server.server_close()
    thread.join()


def test_old_tls_refuses_a_certificate_that_nobody_vouches_for(tls_server):
    port, certificate = tls_server
    with Session() as session:
        session.mount("https://", LegacyAdapter())
        with pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
            session.head(f"https://localhost:{port}/", timeout=10)
        assert session.head(f"https://localhost:{port}/", timeout=10, verify=str(certificate)).ok
        with pytest.raises(SSLError):  # vouched for, under another name
            session.head(f"https://127.0.0.1:{port}/", timeout=10, verify=str(certificate))


def test_old_tls_still_checks_certificates():
    context = LegacyAdapter().poolmanager.connection_pool_kw["ssl_context"]
    assert context.options & 0x4
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert SERVICE.endswith(".ibge.gov.br")
    assert SIDRA.endswith(".ibge.gov.br")
