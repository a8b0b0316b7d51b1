"""Studies on a small country: the law of dates, what is kept, the same rows on both sides of a gap."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import f1_score
from typer.testing import CliRunner

from calendars.country import skeleton
from yieldcast.cli.app import app
from yieldcast.data import synthetic
from yieldcast.data.store import Store
from yieldcast.errors import ConfigError, MissingDataError, SchemaError
from yieldcast.evaluation.score_rows import read_rows
from yieldcast.transfer import fits
from yieldcast.transfer.generalise import OWN_RECORD, Study, predictions
from yieldcast.transfer.learners import Climatology, RidgeRegression
from yieldcast.transfer.results import run_study, write_result
from yieldcast.transfer.rows import transfer_rows, years_to_test
from yieldcast.transfer.scores import ALL, curve, gaps
from yieldcast.transfer.settings import TRANSFER_SETTINGS, settings_of


def rows_of(store, **options):
    return transfer_rows(store, "soybean", TRANSFER_SETTINGS.for_country(store.country), **options)


def study_of(rows, protocol, hold_out="state", **options):
    years = options.pop("test_years", tuple(rows.years))
    return Study(rows, protocol, hold_out, (RidgeRegression(), Climatology()), years, **options)


@pytest.fixture(scope="module")
def rows(forecast_store):
    return rows_of(forecast_store, hold_out="region")


def test_a_forecast_of_forward_years_does_not_see_later_values(forecast_store, tmp_path):
    """The law of dates: all that is published after the date is changed, no prediction moves."""
    static, weather, yields = forecast_store.tables
    day = np.datetime64("2014-03-15")
    changed_weather, changed_yields = weather.copy(deep=True), yields.copy(deep=True)
    late = changed_weather["time"].values >= np.datetime64("2014-03-01")  # public from 5 April on
    for name in ("tmax_degC", "precipitation_mm"):
        values = changed_weather[name].values
        values[:, late] = values[:, late] + 3
    # PAM of 2013 is public on 10 October 2014
    unknown = changed_yields["harvest_year"].values >= 2013
    table = changed_yields["yield_kg_ha"].transpose("harvest_year", ...)
    table.values[unknown] = table.values[unknown] * 1.7
    changed_yields["yield_kg_ha"] = table.transpose(*yields["yield_kg_ha"].dims)
    other = Store.write(
        tmp_path / "other", type(forecast_store.tables)(static, changed_weather, changed_yields), {}
    )
    found = []
    for number, store in enumerate((forecast_store, other)):
        rows = rows_of(store, as_of=(3, 15))
        assert (rows.as_of[rows.samples.harvest_year == 2014] == day).all()
        study = study_of(rows, "temporal", test_years=(2014,))
        every = predictions(study, tmp_path / f"kept{number}")
        found.append({one.model: one.values for one in every if one.training == "out_of_domain"})
    assert set(found[0]) == {"ridge", "climatology", OWN_RECORD}
    for model, values in found[0].items():
        assert np.array_equal(values, found[1][model]), model


def test_the_same_rows_inside_and_outside(rows, tmp_path):
    study = study_of(rows, "geographic", "region")
    result, splits_of = run_study(study, tmp_path), {one.domain: one for one in study.splits()}
    for one in gaps(result.scores):
        if one.inside and one.outside:
            assert one.inside.n == one.outside.n
            assert one.gap_kg_ha == pytest.approx(one.outside.rmse_kg_ha - one.inside.rmse_kg_ha)
    pooled = {(one.model, one.training): one for one in result.scores if one.domain == ALL}
    assert pooled["ridge", "out_of_domain"].n == len(rows.samples)
    assert pooled["climatology", "out_of_domain"].skill == pytest.approx(0.0)
    ridge, climatology = (pooled[name, "out_of_domain"].rmse_kg_ha for name in ("ridge", "climatology"))
    assert pooled["ridge", "out_of_domain"].skill == pytest.approx(1 - (ridge / climatology) ** 2)
    assert "Not a forecast" in result.notes[0]
    # macro-F1 by hand: thirds of the yields trained on, domain by domain
    target, truth, predicted = rows.samples.target_kg_ha.astype(float), [], []
    for one in result.found:
        if (one.model, one.training) == ("ridge", "out_of_domain"):
            trained = splits_of[one.domain].train
            borders = np.quantile(target[trained], [1 / 3, 2 / 3])
            truth += np.digitize(target[one.rows], borders).tolist()
            predicted += np.digitize(one.values, borders).tolist()
    wanted = f1_score(truth, predicted, average="macro")
    assert pooled["ridge", "out_of_domain"].macro_f1 == pytest.approx(wanted)


def test_few_local_rows_make_a_curve(rows, tmp_path):
    study = study_of(rows, "few-shot", "region", ks=(0, 5, 10), draws=3)
    result = run_study(study, tmp_path)
    points = {
        (one.training, one.k): one
        for one in curve(result.scores)
        if one.domain == ALL and one.model == "ridge"
    }
    assert set(points) == {
        ("out_of_domain", 0), ("out_plus_k", 5), ("out_plus_k", 10), ("k_alone", 5), ("k_alone", 10)
    }  # fmt: skip
    assert points["out_plus_k", 5].draws == 3
    assert points["out_of_domain", 0].rmse_sd_kg_ha is None
    own = [
        one.rmse_kg_ha
        for one in result.scores
        if (one.domain, one.training, one.k, one.model) == (ALL, "out_plus_k", 5, "ridge")
    ]
    assert points["out_plus_k", 5].rmse_kg_ha == pytest.approx(np.mean(own))
    assert points["out_plus_k", 5].rmse_sd_kg_ha == pytest.approx(np.std(own, ddof=1))
    trained = {one.k: one.train_rows for one in result.scores if one.training == "k_alone"}
    assert trained == {5: 5, 10: 10}


def test_a_second_call_fits_nothing(rows, tmp_path, monkeypatch):
    study = study_of(rows, "temporal")
    first = run_study(study, tmp_path)
    kept = sorted((tmp_path / "fits").iterdir())
    kept[0].unlink()
    fitted = []
    fit = RidgeRegression.fit
    monkeypatch.setattr(RidgeRegression, "fit", lambda *a: fitted.append("ridge") or fit(*a))
    base = Climatology.fit
    monkeypatch.setattr(Climatology, "fit", lambda *a: fitted.append("climatology") or base(*a))
    again = run_study(study, tmp_path)
    assert len(fitted) == 1
    assert again.scores == first.scores
    # other rows are other files
    changed = replace(rows.samples, target_kg_ha=rows.samples.target_kg_ha + 1)
    other = fits.KeptFits(tmp_path / "fits", changed)
    fit_of = fits.Fit(RidgeRegression(), study.folds()[0])
    assert other.file(fit_of) != fits.KeptFits(tmp_path / "fits", rows.samples).file(fit_of)


def test_what_a_study_cannot_use_is_refused(forecast_store, rows, tmp_path):
    with pytest.raises(SchemaError, match="2031"):
        years_to_test(rows, [2031])
    with pytest.raises(ConfigError, match="0 among"):
        study_of(rows, "few-shot", ks=(10,))
    (tmp_path / "own.toml").write_text("[data]\nyield_history = true\n")
    with pytest.raises(ConfigError, match=r"data\.yield_history = True"):
        settings_of(tmp_path / "own.toml", forecast_store.country)
    tables = synthetic.country(seed=1, municipalities=20, harvest_years=1)
    one = rows_of(Store.write(tmp_path / "one", tables, {}))
    with pytest.raises(SchemaError, match="earlier public harvest year") as caught:
        study_of(one, "temporal").splits()
    assert caught.value.exit_code == 5
    dry = tables._replace(weather=tables.weather.isel(time=slice(0, 3)))
    with pytest.raises(MissingDataError, match="yields and weather"):
        rows_of(Store.write(tmp_path / "dry", dry, {}))


def test_files_hold_scores_and_rows(rows, tmp_path):
    result = run_study(study_of(rows, "geographic", "region", test_years=(2014, 2015)), tmp_path)
    paths = {path.name: path for path in write_result(result, tmp_path, tmp_path / "own.json")}
    name = "synthetic-soybean-geographic-region"
    assert set(paths) == {
        "own.json", f"{name}.json", f"{name}.csv", f"{name}-rows-in-domain.csv.gz",
        f"{name}-rows-out-of-domain.csv.gz",
    }  # fmt: skip
    document = json.loads(paths["own.json"].read_text())
    assert document["forecast"] is False
    assert document["synthetic"] is True
    table = read_rows(paths[f"{name}-rows-out-of-domain.csv.gz"])
    ridge = table[table["model"] == "ridge"]
    assert set(ridge["harvest_year"]) == {2014, 2015}
    error = ridge["forecast_kg_ha"] - ridge["yield_kg_ha"]
    pooled = [
        one
        for one in document["scores"]
        if (one["domain"], one["model"], one["training"]) == (ALL, "ridge", "out_of_domain")
    ]
    assert float(np.sqrt((error**2).mean())) == pytest.approx(pooled[0]["rmse_kg_ha"], abs=0.01)


def test_another_country_end_to_end(tmp_path):
    """Counties of a northern country, whose states and calendar are none of Brazil's."""
    store, out = tmp_path / "store", tmp_path / "out"
    Store.write(store, synthetic.northern(municipalities=30, harvest_years=6), {}, country=skeleton())
    given = ["generalise", "--store", store, "--crop", "corn", "--protocol", "geographic", "--out", out]
    given += ["--models", "baselines", "--lang", "pt-BR", "--json", tmp_path / "scores.json"]
    done = CliRunner().invoke(app, list(map(str, given)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "um estado por vez" in done.output
    assert "Não é previsão" in done.output
    document = json.loads((tmp_path / "scores.json").read_text())
    assert {one["domain"] for one in document["gaps"]} == {"NO", "SO", ALL}
    kinds = {path.suffix for path in out.iterdir() if path.is_file()}
    assert kinds == {".json", ".csv", ".gz", ".png", ".svg"}
