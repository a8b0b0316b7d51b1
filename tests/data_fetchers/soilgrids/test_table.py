"""Rows of an answer, and the soil table made from them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray as xr
from soilgrids_world import (
    MT,
    expected,
    request_of,
    static,
)

from data_fetchers.engine.cache import RequestCache
from data_fetchers.engine.downloader import fetch_requests
from data_fetchers.engine.source import Note, Retry, RetryableError
from data_fetchers.soilgrids.source import SoilGrids
from data_fetchers.soilgrids.table import LAYERS, Row, read_rows, read_soil, write_rows
from yieldcast import variables
from yieldcast.data import schema


@pytest.mark.parametrize("generation", ["2017", "2.0"])
def test_every_property_in_our_units(base, tmp_path, generation):
    source = SoilGrids(base, generation=generation)
    layers = list(LAYERS[generation])
    wanted = [p for p in source.soil_requests(static()) if p.parameters["layer"] in (layers[0], layers[-1])]
    (summary,) = fetch_requests([(source, wanted)], tmp_path, retry=Retry(tries=1))
    assert (summary.fetched, summary.missing) == (18, [])
    ds, notes = read_soil(
        RequestCache(tmp_path / source.name), source, wanted, static()["municipality"].values
    )
    only_20, only_2017 = {"nitrogen_g_kg"}, {"ph_kcl"}
    assert set(ds) == set(variables.SOIL) - (only_20 if generation == "2017" else only_2017)
    assert ds["soil_layer"].values.tolist() == [layers[0], layers[-1]]
    for name in ds:
        assert ds[name].dtype == np.float32
        assert ds[name].attrs["units"] == variables.QUANTITIES[name].units
        for code in (5100100, 5100504, 5100605):
            for layer, k in ((layers[0], 1), (layers[-1], len(layers))):
                value = float(ds[name].sel(municipality=code, soil_layer=layer))
                # 2.0 stores whole hundredths of the bulk density: 1216 kg/m3 -> 122
                room = 0.0051 if (generation, name) == ("2.0", "bulk_density_kg_dm3") else 1e-4
                assert value == pytest.approx(expected(name, k, *MT[code]), abs=room), (name, code, layer)
    assert {n.text for n in notes if "sand" in n.text} == set()
    assert ds.attrs == {
        "source": source.name, "licence": source.licence, "attribution": source.attribution
    }  # fmt: skip
    texts = static().assign(
        {name: ("municipality", np.array(["x"] * len(MT))) for name in ("code", "name", "region")}
    )
    schema.check_static(schema.set_units(xr.merge([texts, ds], join="exact", combine_attrs="drop")))


GOOD = [Row(1, 30.0, 1, 1, 0.0, "centroid"), Row(2, math.nan, 0, 9, math.nan, "centroid")]


def test_rows_survive_the_file(tmp_path):
    write_rows(tmp_path / "x.csv", GOOD)
    back = read_rows(tmp_path / "x.csv")
    assert back[0] == GOOD[0]
    assert str(back[1]) == str(GOOD[1])  # NaN is not equal to itself


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (GOOD[:1], "expected 2 places"),
        ([GOOD[0], GOOD[0]], "expected 2 places"),
        ([GOOD[0], GOOD[1]._replace(municipality=3)], "other ones"),
        ([GOOD[0]._replace(value=255.0), GOOD[1]], "expected 0 to 100 %, received 255"),
        ([GOOD[0]._replace(value=-1.0), GOOD[1]], "received -1"),
        ([GOOD[0]._replace(n_valid=0), GOOD[1]], "inconsistent"),
        ([GOOD[0], GOOD[1]._replace(n_valid=1)], "inconsistent"),
        ([GOOD[1]._replace(municipality=1), GOOD[1]], "none of 2 places"),
    ],
)
def test_check_refuses(tmp_path, rows, says):
    source = SoilGrids()
    request = request_of(source, "0cm", "CLYPPT", {1: (-12.0, -57.0), 2: (-13.0, -57.0)})
    write_rows(tmp_path / "x.csv", GOOD)
    assert source.check(request, tmp_path / "x.csv") == {"places": 2, "without_value": 1, "filled": 0}
    write_rows(tmp_path / "x.csv", rows)
    with pytest.raises(RetryableError, match=says):
        source.check(request, tmp_path / "x.csv")


@pytest.mark.parametrize("text", ["", "<html>", "municipality,value\n1,2\n", "x" * 100])
def test_check_refuses_what_is_no_table(tmp_path, text):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(RetryableError, match=r"x\.csv: expected rows of municipality"):
        SoilGrids().check(request_of(SoilGrids(), "0cm", "CLYPPT"), tmp_path / "x.csv")


def put(cache, request, values):
    rows = [Row(code, value, 1, 1, 0.0, "centroid") for code, value in values.items()]
    write_rows(cache.temporary(request), rows)
    cache.commit(request, {"fetched": "2026-01-01T00:00:00+00:00"})


def test_absent_answers_and_implausible_textures_are_noted(tmp_path):
    source, cache = SoilGrids(), RequestCache(tmp_path)
    cache.make()
    places = {1: (-12.0, -57.0), 2: (-13.0, -57.0)}
    requests = [request_of(source, "5cm", code, places) for code in ("CLYPPT", "SLTPPT", "SNDPPT", "CECSOL")]
    # 30 + 30 + 43 = 103 is odd, 30 + 30 + 42 = 102 is not
    for request, values in zip(requests, ({1: 30, 2: 30}, {1: 30, 2: 30}, {1: 43, 2: 42}), strict=False):
        put(cache, request, values)
    ds, notes = read_soil(cache, source, requests, np.array([1, 2, 3], np.int32))
    assert ds["clay_pct"].values.ravel().tolist()[:2] == [30, 30]
    assert np.isnan(ds["cec_cmolc_kg"]).all()
    assert notes == [
        Note("soil", "values not fetched, of 1 requests: cecsol-5cm-mt", 2, True),
        Note("soil", "values of municipalities that are in no request", 4, True),
        Note("soil", "sand + silt + clay not within 98 to 102 %", 1, False),
    ]


def test_layers_are_sorted_by_depth(tmp_path):
    source = SoilGrids()
    requests = [request_of(source, layer, "CLYPPT") for layer in ("100cm", "5cm", "0cm", "30cm")]
    ds, _ = read_soil(RequestCache(tmp_path), source, requests, static()["municipality"].values)
    assert ds["soil_layer"].values.tolist() == ["0cm", "5cm", "30cm", "100cm"]
