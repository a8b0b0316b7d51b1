"""Two forecasts of a season compared, on numbers that can be worked out by hand."""

import json

import numpy as np
import pytest
from factories import synthetic_forecast

from yieldcast.errors import ConfigError
from yieldcast.forecasting.table import check_forecast
from yieldcast.operations.changes import compare
from yieldcast.operations.changes_text import summary

CODES = np.array([4_100_103, 4_100_202, 5_100_102, 5_100_201])
NAMES = ["São José", "Vila <b>", "Água Boa", 'Dom "Pedro"']
STATES = ["PR", "PR", "MT", "MT"]


def made(medians, half_width=400.0, states=STATES, codes=CODES, names=NAMES, **attrs):
    """A forecast with given medians (kg/ha) and 90% intervals of twice `half_width`; areas 100, 200, ..."""
    as_of = attrs.pop("as_of", "2017-11-15")
    ds = synthetic_forecast(codes, list(names), list(states), as_of=as_of)
    steps = np.array([-1, -0.8, -0.4, 0, 0.4, 0.8, 1])
    quantiles = np.asarray(medians)[:, None] + half_width * steps
    ds["yield_kg_ha"].values[:] = quantiles
    ds["area_planted_ha"].values[:] = 100.0 * (1 + np.arange(len(codes)))
    ds["probability_low"].values[:] = 0.25
    ds["rain_so_far_pct"].values[:] = 100.0
    ds["tmax_so_far_anomaly_degC"].values[:] = 0.0
    rows = {"all": quantiles.mean(axis=0), "MT": quantiles[2:].mean(axis=0), "PR": quantiles[:2].mean(axis=0)}
    for i, name in enumerate(ds["aggregate"].values.tolist()):
        ds["aggregate_yield_kg_ha"].values[i] = rows[name]
    ds["aggregate_observed_share"].values[:] = 0.25
    ds.attrs |= {"synthetic": 0, **attrs}
    return check_forecast(ds)


@pytest.fixture
def pair():
    before = made([3000, 2000, 1000, 4000], inputs='{"weather": "a", "yields": "y"}')
    now = made(
        [3100, 1900, 1000, 4060], half_width=300, as_of="2018-01-15", weather_known_to="2017-12",
        inputs='{"weather": "b", "yields": "y"}',
    )  # fmt: skip
    now["probability_low"].values[:] = [0.2, 0.35, 0.25, np.nan]
    now["rain_so_far_pct"].values[:] = [130, 62, 100, 100]
    now["tmax_so_far_anomaly_degC"].values[:] = [-0.5, 1.25, 0, 0]
    now["aggregate_observed_share"].values[:] = 0.5
    return before, now


def test_changes_of_municipalities_and_aggregates_worked_by_hand(pair):
    found = compare(*pair)
    ds = found.municipalities
    assert ds["median_change_kg_ha"].values.tolist() == [100, -100, 0, 60]
    # 90% intervals of 2 x 400 and 2 x 300
    assert ds["width_change_kg_ha"].values.tolist() == [-200] * 4
    assert ds["probability_low_change"].values[:3] == pytest.approx([-0.05, 0.1, 0])
    assert np.isnan(ds["probability_low_change"].values[3])
    assert ds["rain_so_far_change_pct"].values.tolist() == [30, -38, 0, 0]
    whole, *states = found.aggregates
    # (3000 + 2000 + 1000 + 4000) / 4 = 2500; + (100 - 100 + 0 + 60) / 4 = 15, 0.6%
    assert (whole.name, whole.median_kg_ha, whole.change_kg_ha, whole.change_pct) == ("all", 2515, 15, 0.6)
    assert (whole.width_kg_ha, whole.width_change_kg_ha) == (600, -200)
    assert (whole.observed_share, whole.observed_share_change) == (0.5, 0.25)
    assert {row.name: row.change_kg_ha for row in states} == {"MT": 30, "PR": 0}


def test_changes_are_ranked_by_change_times_area(pair):
    found = compare(*pair)
    # 100 kg/ha x 100 ha against 60 kg/ha x 400 ha
    assert [change.code for change in found.largest_changes(1)] == ["5100201", "4100103"]
    (fall,) = found.largest_changes(-1)
    assert (fall.name, fall.state, fall.change_kg_ha, fall.median_kg_ha) == ("Vila <b>", "PR", -100, 1900)
    assert (fall.rain_pct, fall.tmax_degC) == ((100, 62), (0, 1.25))
    assert len(found.largest_changes(1, count=1)) == 1


def test_a_place_without_a_known_area_counts_nothing_unless_none_has_one(pair):
    before, now = pair
    now["area_planted_ha"].values[3] = np.nan
    assert [change.code for change in compare(before, now).largest_changes(1)] == ["4100103"]
    now["area_planted_ha"].values[:] = np.nan
    assert [change.code for change in compare(before, now).largest_changes(1)] == ["4100103", "5100201"]


def test_nothing_observed_before_the_season_gives_no_weather_as_a_reason(pair):
    before, now = pair
    before["rain_so_far_pct"].values[:] = np.nan
    now["tmax_so_far_anomaly_degC"].values[:] = np.nan
    (fall,) = compare(before, now).largest_changes(-1)
    assert (fall.rain_pct, fall.tmax_degC) == ((None, 62), (0, None))
    text = summary(compare(before, now))
    assert "Vila <b> (PR) -100 to 1,900 kg/ha: rain so far 62% of normal\n" in text + "\n"


def test_months_that_arrived_with_the_share_of_places_in_season(pair):
    before, now = pair  # known to 2017-10 and to 2017-12
    now["window_start"].values[:] = np.array(["2017-09", "2017-12", "2018-01", "2017-11"], "M8[ns]")
    assert compare(before, now).new_data.weather == {"2017-11": 0.5, "2017-12": 0.75}
    before.attrs["weather_known_to"] = ""
    assert list(compare(before, now).new_data.weather) == ["2017-12"]
    before.attrs["weather_known_to"] = now.attrs["weather_known_to"]
    new = compare(before, now).new_data
    assert new.weather == {}
    # other contents, although no month is newer: what was known has been revised
    assert new.revised == ("weather",)


def test_yields_runs_and_scenarios_that_are_new(pair):
    before, now = pair
    now.attrs |= {"last_public_harvest_year": 2018, "run_id": "ba9876543210", "scenarios": "analogue"}
    new = compare(before, now).new_data
    assert new.yields == (2017, 2018)
    assert new.run == ("0123456789ab", "ba9876543210")
    assert new.scenarios == ("climatology", "analogue")
    same = compare(before, before)
    assert not same.new_data
    assert "No new data in between." in summary(same)


def test_places_that_only_one_forecast_has(pair):
    before, now = pair
    codes = np.array([4_100_103, 4_100_202, 5_100_102, 5_100_300])
    now = now.assign_coords(municipality=codes.astype(np.int32), code=("municipality", codes.astype(str)))
    found = compare(before, now)
    assert found.gone == ("5100201",)
    assert found.municipalities["municipality"].values.tolist() == codes.tolist()
    assert np.isnan(found.municipalities["median_change_kg_ha"].values[3])
    assert [change.code for change in found.largest_changes(1)] == ["4100103"]


def test_json_is_strict_and_holds_everything(pair):
    found = compare(*pair).to_json()
    again = json.loads(json.dumps(found, allow_nan=False))
    assert again["municipalities"]["median_change_kg_ha"] == [100, -100, 0, 60]
    assert again["municipalities"]["probability_low_change"] == [-0.05, 0.1, 0, None]
    assert again["municipalities"]["name"] == NAMES
    assert (again["previous_as_of"], again["as_of"]) == ("2017-11-15", "2018-01-15")
    assert again["arrived"]["weather"] == {"2017-11": 1, "2017-12": 1}
    assert [row["code"] for row in again["up"]] == ["5100201", "4100103"]


@pytest.mark.parametrize(
    ("changes", "text"),
    [({"crop": "corn"}, "soybean 2018 and corn 2018"), ({"harvest_year": 2019}, "soybean 2019"),
     ({"as_of": "2017-10-01"}, "earlier forecast first")],
)  # fmt: skip
def test_forecasts_that_cannot_be_compared_are_refused(pair, changes, text):
    before, now = pair
    with pytest.raises(ConfigError, match=text):
        compare(before, now.assign_attrs(now.attrs | changes))


ENGLISH = """\
Soybean, season 2017/18: yield forecast as of 2018-01-15.
Compared with the bulletin as of 2017-11-15.
New data: weather of November to December 2017 (2 months, all in the season).
Brazil: median 2,515 kg/ha (+15; +0.6%), 90% interval 600 kg/ha wide (-200), 50% of the season observed.
Municipalities: 2 up, 1 down, 1 unchanged.
States, kg/ha: MT +30, PR 0.
Raised the total most:
  Dom "Pedro" (MT) +60 to 4,060 kg/ha: rain so far 100% of normal (before 100%), \
maximum temperature 0.0 °C from normal (before 0.0)
  São José (PR) +100 to 3,100 kg/ha: rain so far 130% of normal (before 100%), \
maximum temperature -0.5 °C from normal (before 0.0)
Lowered the total most:
  Vila <b> (PR) -100 to 1,900 kg/ha: rain so far 62% of normal (before 100%), \
maximum temperature +1.2 °C from normal (before 0.0)"""


def test_the_summary_in_english_and_portuguese(pair):
    found = compare(*pair)
    assert summary(found) == ENGLISH
    text = summary(found, "pt")
    assert "Soja, safra 2017/18: previsão de produtividade, boletim de 15/01/2018." in text
    assert "Brasil: mediana 2.515 kg/ha (+15; +0,6%), amplitude do intervalo de 90%: 600 kg/ha (-200)" in text
    assert "meteorologia de novembro a dezembro de 2017 (2 meses, todos dentro da safra)" in text
    assert "temperatura máxima +1,2 °C" in text
    assert len(text.splitlines()) == len(ENGLISH.splitlines())
    with pytest.raises(ConfigError, match="language"):
        summary(found, "es")


def test_synthetic_data_are_called_so(pair):
    before, now = pair
    now.attrs["synthetic"] = 1
    assert summary(compare(before, now)).startswith("SYNTHETIC DATA")
    assert summary(compare(before, now), "pt").startswith("DADOS SINTÉTICOS")
