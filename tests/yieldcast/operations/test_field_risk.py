"""The risk of fields: what comes after the date changes nothing; the files say what they are."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pandas as pd
import pytest

from yieldcast.config import DataSettings, Settings
from yieldcast.data.store import Store
from yieldcast.data.synthetic_fields import field_data, field_tables
from yieldcast.evaluation.score_rows import read_rows
from yieldcast.operations.field_risk import classify_fields, write_field_risk
from yieldcast.risk.classifiers import SearchSettings
from yieldcast.risk.decisions import Costs

pytestmark = pytest.mark.slow

AS_OF = dt.date(2025, 1, 20)
SETTINGS = Settings(data=DataSettings(weather_delay_months=0, weather_delay_days=5, yields_delay_months=0))
SEARCH = SearchSettings(draws=1, folds=2, features=5, rows=200)


def classified(folder, tables, optional):
    store = Store.write(folder, tables, {}, optional=optional)
    return classify_fields(store, "soybean", 2025, AS_OF, SETTINGS, SEARCH, Costs(3.0, 1.0), 250), store


def changed_after(tables, optional):
    """The same tables with other values of everything that was not public on the date."""
    today = np.datetime64(AS_OF, "ns")
    late = tables.yields["harvest_year"] >= 2025
    yields = tables.yields.assign(
        yield_kg_ha=tables.yields["yield_kg_ha"].where(~late, 77.0).assign_attrs(units="kg/ha")
    )
    seasons, seen, daily = (optional[name] for name in ("field_seasons", "vegetation", "daily"))
    harvest = seasons["harvest_date"].values
    moved = np.where(harvest > today, harvest + np.timedelta64(9, "D"), harvest)
    optional = {
        "field_seasons": seasons.assign(harvest_date=("season", moved)),
        "vegetation": seen.assign(
            {
                n: seen[n].where(seen["date"] < today, np.float32(0.1)).assign_attrs(units="1")
                for n in ("ndvi", "evi")
            }
        ),
        "daily": daily.assign(
            {
                n: daily[n].where(daily["time"] <= today, daily[n] * 0 + 9).assign_attrs(daily[n].attrs)
                for n in ("tmax_degC", "precipitation_mm")
            }
        ).assign(
            tmin_degC=daily["tmin_degC"]
            .where(daily["time"] <= today, 1)
            .assign_attrs(daily["tmin_degC"].attrs)
        ),
    }
    return tables._replace(yields=yields), optional


def test_nothing_after_the_date_counts_and_the_files_say_what_they_are(tmp_path):
    tables, optional = field_tables(field_data(seed=4, fields=120, seasons=4))
    found, store = classified(tmp_path / "one", tables, optional)
    other, _ = classified(tmp_path / "two", *changed_after(tables, optional))
    for name in found.classified.classifiers:
        np.testing.assert_array_equal(found.probabilities[name], other.probabilities[name])
    assert found.rule.train_years == (2022, 2023, 2024)
    assert "harvest" not in " ".join(found.rows.names)
    scores = found.scores()
    assert scores[found.best]["low"]["brier"] < scores["dummy"]["low"]["brier"]
    written = write_field_risk(tmp_path / "out", [found], store, synthetic=True)
    assert all(path.name.startswith("synthetic-") for path in written)
    table = pd.read_csv(tmp_path / "out" / "synthetic-risk-soybean-2025.csv")
    assert table[["p_low", "p_medium", "p_high"]].sum(axis=1).to_numpy() == pytest.approx(1, abs=2e-4)
    assert (table["flag"] == (found.p_low >= 0.25)).all()
    assert json.loads((tmp_path / "out" / "synthetic-scores.json").read_text())["synthetic"] is True
    rows = read_rows(tmp_path / "out" / "synthetic-score-rows.csv.gz")
    assert set(rows["model"]) == set(found.classified.classifiers)
    assert "SYNTHETIC DATA" in (tmp_path / "out" / "synthetic-report.html").read_text(encoding="utf-8")
