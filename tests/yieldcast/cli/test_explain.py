import datetime as dt
import json
import shutil

import pytest

from tests.factories import refused, synthetic_forecast
from yieldcast.forecasting.forecast import ForecastPlan
from yieldcast.operations.bulletins import write_bulletin


@pytest.fixture(scope="module")
def folder(tmp_path_factory, forecast_run, forecast_store):
    """A folder as after train and forecast: RUN, STORE, BULLETINS."""
    place = tmp_path_factory.mktemp("explain")
    shutil.copytree(forecast_store.path, place / "STORE")
    shutil.copytree(forecast_run.path, place / forecast_run.path.name)
    plan = ForecastPlan(forecast_run, forecast_store, 2016, dt.date(2016, 2, 20))
    write_bulletin(place / "BULLETINS", plan.forecast())
    return place


@pytest.mark.slow
def test_a_bulletin_is_explained_with_what_lies_beside_it(call, folder, forecast_store):
    bulletin = folder / "BULLETINS" / "soybean-2016" / "2016-02-20"
    code = str(forecast_store.static["municipality"].values[5])
    exit_code, out, err = call("explain", bulletin, "--place", code, "--json", folder / "why.json")
    assert exit_code == 0, err
    assert "kg/ha against usual weather" in " ".join(out.split())
    assert max(map(len, out.splitlines()[:20])) <= 80
    found = json.loads((folder / "why.json").read_text(encoding="utf-8"))
    total = sum(one["kg_ha"] for one in found["contributions"])
    assert total == pytest.approx(found["difference_kg_ha"], abs=1.0)
    assert set(found["text"]) == {"en", "pt-BR"}
    assert "chuva" in call("explain", bulletin, "--place", code, "--lang", "pt-BR")[1]
    refused(call("explain", bulletin, "--place", "77"), 3, "expected a municipality of the bulletin")
    refused(call("explain", bulletin, "--place", code, "--store", folder), 3, "no data store")


def test_what_is_missing_is_said(call, tmp_path):
    refused(call("explain", tmp_path / "none", "--place", "1"), 3, "no bulletin")
    path = write_bulletin(tmp_path / "B", synthetic_forecast()).path
    refused(call("explain", path, "--place", "77"), 3, "received '77'", "forecast.csv")
    refused(call("explain", path, "--place", "4190001"), 3, "no run RUN")
