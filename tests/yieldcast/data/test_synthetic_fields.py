"""Synthetic fields: their size, their known effects, and that nothing else tells the yield."""

from __future__ import annotations

import numpy as np
import pytest

from yieldcast.data.store import Store, is_synthetic
from yieldcast.data.synthetic_fields import CROPS, field_data, field_tables
from yieldcast.errors import ConfigError


@pytest.fixture(scope="module")
def made():
    return field_data(seed=3, fields=150, seasons=4)


def test_the_same_arguments_give_the_same_numbers(made):
    again = field_data(seed=3, fields=150, seasons=4)
    for name in ("fields", "yields", "days", "vegetation", "truth"):
        assert getattr(made, name).equals(getattr(again, name))
    assert len(made.yields) == 600
    with pytest.raises(ConfigError):
        field_data(fields=0)


@pytest.mark.parametrize("name", sorted(CROPS))
def test_yields_follow_the_planted_response(made, name):
    """Without level, vigour and noise, whose means are 0, a dry day takes exactly what is stated."""
    rows = (made.yields["crop"] == name).to_numpy()
    truth, crop = made.truth[rows], CROPS[name]
    trend = 1 + 0.008 * (made.yields["harvest_year"][rows] - made.yields["harvest_year"].min())
    rest = np.log(truth["expected_kg_ha"] / (crop.potential_kg_ha * trend))
    stress = crop.dry_loss * truth["dry_days"] + crop.heat_loss * truth["hot_days"]
    # what remains is level (sd 0.06) and vigour (sd 0.10)
    assert float((rest + stress).mean()) == pytest.approx(0, abs=0.04)
    assert float((rest + stress).std()) == pytest.approx(0.117, abs=0.02)


def test_dry_days_are_those_of_the_weather(made):
    row = made.fields.iloc[7]
    crop = CROPS[row["crop"]]
    days = made.days[made.days["weather_unit"] == row["weather_unit"]].set_index("date")
    first, last = (row["sowing_date"] + np.timedelta64(k, "D") for k in crop.flowering)
    window = days.loc[first:last]
    assert int((window["precipitation_mm"] < 1).sum()) == made.truth["dry_days"].iloc[7]
    assert int((window["tmax_degC"] > crop.hot_degC).sum()) == made.truth["hot_days"].iloc[7]


def test_the_harvest_date_tells_the_yield_only_as_planted():
    def told(leak):
        data = field_data(seed=5, fields=150, seasons=4, harvest_leak_days=leak)
        length = (data.fields["harvest_date"] - data.fields["sowing_date"]).dt.days
        of_crop = length - length.groupby(data.fields["crop"]).transform("mean")
        true = np.log(data.truth["true_kg_ha"])
        of_crop_yield = true - true.groupby(data.fields["crop"]).transform("mean")
        return float(np.corrcoef(of_crop, of_crop_yield)[0, 1])

    assert abs(told(0.0)) < 0.1
    assert told(5.0) > 0.5


def test_vegetation_shows_the_condition_and_clouds_hide_it(made):
    clear = made.vegetation[made.vegetation["quality"] == "clear"]
    cloud = made.vegetation[made.vegetation["quality"] == "cloud"]
    assert clear["ndvi"].mean() > cloud["ndvi"].mean() + 0.2
    seasons = made.fields.assign(true=made.truth["expected_kg_ha"])
    wheat = seasons[seasons["crop"] == "wheat"]
    joined = clear.merge(wheat[["field_id", "sowing_date", "harvest_date", "true"]], on="field_id")
    inside = joined[(joined["date"] >= joined["sowing_date"]) & (joined["date"] <= joined["harvest_date"])]
    top = inside.groupby(["field_id", "sowing_date"]).agg(ndvi=("ndvi", "max"), true=("true", "first"))
    assert float(top.corr().iloc[0, 1]) > 0.3


def test_tables_are_those_of_a_store_and_marked(made, tmp_path):
    tables, optional = field_tables(made)
    store = Store.write(tmp_path / "store", tables, {}, optional=optional)
    assert is_synthetic(store.tables)
    assert store.daily.attrs["synthetic"] == 1
    assert store.field_seasons.sizes["season"] == 600
    assert store.static["part_of"].values[0].startswith("419")
