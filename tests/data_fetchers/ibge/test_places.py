"""The table of places and the boundaries, and what incomplete answers do to them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_fetchers.engine.cache import Request, RequestCache, timestamp
from data_fetchers.engine.downloader import fetch_requests
from data_fetchers.engine.source import Note
from data_fetchers.ibge.malhas import PARENTS, parse_places
from data_fetchers.ibge.places import STATES, municipality_counts, read_mesh, read_places, state_codes
from data_fetchers.ibge.source import Ibge
from yieldcast.errors import ConfigError, FetchError, MissingDataError

NEWEST = 5101837
PLAIN = {"hide": [], "no_polygon": [], "parents": True, "unlisted": []}


@pytest.fixture
def server(ibge_server):
    ibge_server.set(**PLAIN)
    yield ibge_server
    ibge_server.set(**PLAIN)


def fetched(server, folder: Path, quick, states=(41, 51, 52)) -> tuple[RequestCache, Ibge]:
    source = Ibge(server.url)
    requests = [*source.place_requests(), *source.mesh_requests(states)]
    summary = fetch_requests([(source, requests)], folder, retry=quick)[0]
    assert summary.missing == []
    return RequestCache(folder / "ibge"), source


def note_of(notes: list[Note], text: str) -> Note:
    found = [n for n in notes if text in n.text]
    assert len(found) == 1, notes
    return found[0]


def test_the_table_of_places(server, tmp_path, quick):
    cache, source = fetched(server, tmp_path, quick)
    ds, notes = read_places(cache, source, None)
    assert ds.sizes["municipality"] == 25
    first = ds.sel(municipality=5200302)
    assert [str(first[n].values) for n in ("code", "name", "state", "region")] == [
        "5200302", "São João", "GO", "Centro-Oeste",
    ]  # fmt: skip
    assert (float(first["latitude_deg"]), float(first["longitude_deg"])) == (-16.0, -50.0)
    assert ds.attrs["licence"]
    assert note_of(notes, "created since 2009").count == 1
    assert municipality_counts(cache, source) == {41: 8, 51: 9, 52: 8}


def test_states_are_chosen(server, tmp_path, quick):
    cache, source = fetched(server, tmp_path, quick)
    ds, notes = read_places(cache, source, ["go", "PR"])
    assert set(ds["state"].values) == {"GO", "PR"}
    assert notes == []


def test_the_newest_municipality_lies_between_its_parents(server, tmp_path, quick):
    """No centroid, no polygon: the mean of Sorriso (-12.6, -55.9) and Nova Ubiratã (-13.0, -54.9)."""
    cache, source = fetched(server, tmp_path, quick)
    ds, notes = read_places(cache, source, ["MT"])
    place = ds.sel(municipality=NEWEST)
    assert float(place["latitude_deg"]) == pytest.approx(-12.8)
    assert float(place["longitude_deg"]) == pytest.approx(-55.4)
    note = note_of(notes, "no centroid")
    assert "5107925, 5106240" in note.text
    assert not note.missing


def test_a_missing_centroid_comes_from_the_polygon(server, tmp_path, quick):
    server.set(hide=[5200302])
    cache, source = fetched(server, tmp_path, quick)
    ds, notes = read_places(cache, source, ["GO"])
    place = ds.sel(municipality=5200302)  # its square has its centroid in the middle
    assert float(place["latitude_deg"]) == pytest.approx(-16.0)
    assert float(place["longitude_deg"]) == pytest.approx(-50.0)
    assert not note_of(notes, "computed from its polygon").missing


def test_a_place_without_any_position_is_missing(server, tmp_path, quick):
    server.set(parents=False)
    cache, source = fetched(server, tmp_path, quick)
    ds, notes = read_places(cache, source, ["MT"])
    assert NEWEST not in ds["municipality"].values
    assert note_of(notes, "left out").missing


def test_the_map(server, tmp_path, quick):
    cache, source = fetched(server, tmp_path, quick)
    mesh, notes = read_mesh(cache, source, ["MT", "GO"])
    codes = [f["properties"]["code"] for f in mesh["features"]]
    assert codes == sorted(codes)
    assert len(codes) == 16
    assert mesh["type"] == "FeatureCollection"
    assert mesh["features"][-1]["properties"] == {"code": "5200807", "name": "Cruz & Sá", "state": "GO"}
    assert mesh["features"][0]["geometry"]["coordinates"][0][0] == [-57.2, -12.2]
    note = note_of(notes, "new municipalities without a polygon")
    assert (note.count, note.missing) == (1, False)
    assert str(NEWEST) in note.text
    json.dumps(mesh)


def again(cache: RequestCache, source: Ibge, folder: Path, quick, states=()) -> list[str]:
    """Names of the requests that the next run makes."""
    requests = [*source.place_requests(), *source.mesh_requests(states)]
    asked = [request.name for request in requests if cache.verified(request) is None]
    summary = fetch_requests([(source, requests)], folder, retry=quick)[0]
    assert (summary.fetched, summary.missing) == (len(asked), [])
    return asked


def test_half_of_localidades_does_not_become_the_country(server, tmp_path, quick):
    """25 places less 4; the mesh has centroids of 24 of them, and of 2 more that the stand-in never lists."""
    server.set(unlisted=[4100100, 5100100, 5200100, 5200201])
    cache, source = fetched(server, tmp_path, quick)
    lists = r"Localidades lists 21 municipalities, the mesh has centroids of 26; 6 are not in Localidades"
    for read in (lambda: read_places(cache, source, ["PR"]), lambda: municipality_counts(cache, source)):
        with pytest.raises(FetchError, match=lists) as caught:
            read()
        assert "`yieldcast fetch places --store DIR`" in caught.value.hint
        with pytest.raises(MissingDataError, match="localidades has not been fetched"):
            read()
        assert again(cache, source, tmp_path, quick) == ["localidades"]  # half of it again
    server.set(unlisted=[])
    with pytest.raises(FetchError):
        municipality_counts(cache, source)
    assert again(cache, source, tmp_path, quick) == ["localidades"]
    assert read_places(cache, source, None)[0].sizes["municipality"] == 25
    assert municipality_counts(cache, source) == {41: 8, 51: 9, 52: 8}


def test_up_to_five_that_localidades_does_not_list_are_noted(server, tmp_path, quick):
    server.set(unlisted=[5100100, 5200100, 5200201])
    cache, source = fetched(server, tmp_path, quick)
    ds, notes = read_places(cache, source, None)
    assert ds.sizes["municipality"] == 22
    note = note_of(notes, "Localidades does not list")
    assert note.count == 5
    assert "5100100, 5106240, 5107925, 5200100, 5200201" in note.text
    assert note_of(read_places(cache, source, ["GO"])[1], "does not list").count == 2
    assert read_places(cache, source, ["PR"])[1] == []
    assert municipality_counts(cache, source) == {41: 8, 51: 8, 52: 6}


def test_half_of_the_centroids_is_refused(server, tmp_path, quick):
    """Of 25 places the newest has no centroid; 20 more hidden are 21, one above the bound."""
    codes = sorted(p.code for p in listed(server, tmp_path, quick) if p.code != NEWEST)
    server.set(hide=codes[:20])
    cache, source = fetched(server, tmp_path / "half", quick)
    with pytest.raises(FetchError, match=r"lists 25 municipalities, .* centroids of 6; 21 have no centroid"):
        read_places(cache, source, None)
    server.set(hide=codes[:19])
    assert again(cache, source, tmp_path / "half", quick) == ["centroids"]
    ds, notes = read_places(cache, source, None)  # 20: their polygons stand in
    assert ds.sizes["municipality"] == 25
    assert sum("computed from its polygon" in n.text for n in notes) == 19


def listed(server, folder: Path, quick) -> list:
    cache, source = fetched(server, folder, quick)
    request = source.place_requests()[0]
    return parse_places(json.loads(cache.path(request).read_bytes()), request)


def test_a_mesh_without_one_municipality_of_eight_is_refused(server, tmp_path, quick):
    server.set(no_polygon=[5200201])
    cache, source = fetched(server, tmp_path, quick)
    with pytest.raises(FetchError, match="polygons of 7 of 8 municipalities of state 52") as caught:
        read_mesh(cache, source, None)
    assert "mesh-52" in caught.value.hint
    server.set(no_polygon=[])
    assert again(cache, source, tmp_path, quick, (41, 51, 52)) == ["mesh-52"]
    assert len(read_mesh(cache, source, None)[0]["features"]) == 24


@pytest.mark.parametrize("absent", [0, 2, 3])
def test_one_in_twenty_of_a_state_may_lack_its_polygon_and_is_missing(tmp_path, absent):
    """Of 40 municipalities two are 5 %, three are more."""
    source, cache = Ibge("http://x"), RequestCache(tmp_path)
    cache.make()
    unit = {"id": 43, "sigla": "RS", "nome": "Rio Grande do Sul", "regiao": {"nome": "Sul"}}
    codes = [4310000 + i for i in range(40)]
    places = [
        {"id": c, "nome": "x", "regiao-imediata": {"regiao-intermediaria": {"UF": unit}}} for c in codes
    ]
    polygon = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
    features = [{"properties": {"codarea": str(c)}, "geometry": polygon} for c in codes[absent:]]
    answers = {source.place_requests()[0]: places, source.mesh_requests([43])[0]: {"features": features}}
    for request, body in answers.items():
        cache.temporary(request).write_text(json.dumps(body))
        cache.commit(request, {"fetched": timestamp()})
    if absent == 3:
        with pytest.raises(FetchError, match="37 of 40"):
            read_mesh(cache, source, None)
        assert cache.verified(source.mesh_requests([43])[0]) is None
        assert cache.verified(source.place_requests()[0]) is not None
        return
    mesh, notes = read_mesh(cache, source, None)
    assert len(mesh["features"]) == 40 - absent
    assert [(n.count, n.missing) for n in notes] == [(2, True)] * (absent == 2)


def test_a_state_without_its_mesh_is_missing(server, tmp_path, quick):
    cache, source = fetched(server, tmp_path, quick, states=(51,))
    mesh, notes = read_mesh(cache, source, None)
    assert {f["properties"]["state"] for f in mesh["features"]} == {"MT"}
    assert sorted(n.text for n in notes if n.missing) == [
        "polygons of mesh-41 have not been fetched", "polygons of mesh-52 have not been fetched",
    ]  # fmt: skip


def test_polygons_of_no_municipality_are_noted(tmp_path):
    """The mesh of Rio Grande do Sul holds two lagoons."""
    source, cache = Ibge("http://x"), RequestCache(tmp_path)
    cache.make()

    def put(request: Request, answer: object) -> None:
        cache.temporary(request).write_text(json.dumps(answer))
        cache.commit(request, {"fetched": timestamp()})

    unit = {"id": 43, "sigla": "RS", "nome": "Rio Grande do Sul", "regiao": {"nome": "Sul"}}
    place = {"id": 4300034, "nome": "Aceguá", "regiao-imediata": {"regiao-intermediaria": {"UF": unit}}}
    ring = [[0, 0], [1, 0], [1, 1], [0, 0]]
    features = [
        {"properties": {"codarea": str(c)}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
        for c in (4300034, 4300001, 4300002)
    ]
    put(source.place_requests()[0], [place])
    put(source.mesh_requests([43])[0], {"type": "FeatureCollection", "features": features})
    mesh, notes = read_mesh(cache, source, None)
    assert [f["properties"]["code"] for f in mesh["features"]] == ["4300034"]
    assert note_of(notes, "not in Localidades").count == 2
    centroids = [{"id": str(c), "centroide": {"latitude": -31, "longitude": -54}} for c in (4300034, 4300001)]
    put(source.place_requests()[1], centroids)
    assert read_places(cache, source, None)[1] == []  # a lagoon is no municipality that Localidades lacks


def test_nothing_fetched_is_said(tmp_path):
    with pytest.raises(MissingDataError, match="has not been fetched") as caught:
        read_places(RequestCache(tmp_path), Ibge("http://x"), None)
    assert caught.value.hint == "Fetch it: `yieldcast fetch places --store DIR`."


def test_state_codes():
    assert state_codes(["mt", "GO", "MT"]) == [51, 52]
    assert len(state_codes(None)) == 27
    with pytest.raises(ConfigError, match="XX"):
        state_codes(["MT", "XX"])


def test_states_and_parents_are_ibges(samples):
    answer = json.loads((samples / "sidra/ibger_v3__1612__localidades__N3.json").read_text())
    assert sorted(STATES.values()) == sorted(int(row["id"]) for row in answer)
    rows = (samples.parent / "brazil/municipalities.csv").read_text().splitlines()[1:]
    codes = {int(row.split(",")[0]): row.split(",")[2] for row in rows}
    assert {STATES[state] for code, state in codes.items() if code // 100_000 == STATES[state]} == set(
        STATES.values()
    )
    for child, (_year, parents) in PARENTS.items():
        assert set(parents) <= set(codes)
        assert {p // 100_000 for p in parents} == {child // 100_000}
