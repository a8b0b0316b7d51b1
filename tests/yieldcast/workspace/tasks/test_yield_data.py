"""yield and risk: seasons of a store or of arrays, nothing of which was published later."""

import json

import numpy as np
import pytest

import calendars
from yieldcast.config import FORECAST_SETTINGS
from yieldcast.data.store import Store
from yieldcast.data.synthetic_fields import field_data, field_tables
from yieldcast.errors import ConfigError, LeakageError, MissingDataError, SchemaError
from yieldcast.evaluation.skill import climatology
from yieldcast.features.season_dates import main_window
from yieldcast.features.source import build_samples
from yieldcast.risk.classes import terciles
from yieldcast.workspace.tasks.options import DataOptions, parse_holdout
from yieldcast.workspace.tasks.prepare import prepare
from yieldcast.workspace.tasks.task import Task, read_group, read_inputs, read_public, read_target

SOYBEAN = DataOptions(crop="soja")


@pytest.fixture(scope="module")
def folder(forecast_store, tmp_path_factory):
    here = tmp_path_factory.mktemp("yields")
    prepare("yield", forecast_store.path, (2015, 2016), here / "data", SOYBEAN)
    return here


def test_training_years_are_those_that_were_public_on_the_first_day_of_the_holdout(folder):
    """The window of 2015 ends in the first half of 2015; yields of 2014 were public months later."""
    task = Task.read(folder)
    assert task.harvest_years["holdout"] == (2015, 2016)
    assert task.harvest_years["training"][-1] == 2013
    assert task.crop == "soybean"
    assert task.synthetic
    assert set(task.inputs) == {"weather", "static"}
    names = {one["name"] for one in read_public(folder)["statistics"]}
    assert "latitude_deg" in task.input_names["static"]
    assert not names & {"latitude_deg", "longitude_deg"}
    for part in ("training", "holdout"):
        assert all(np.isfinite(one).all() for one in read_inputs(folder, task, part).values())
        assert len(read_group(folder, task, part)) == getattr(task, part)


def changed(store, path, day, year):
    """The same tables with other values of everything that was not public on a day, but yields of a year."""
    tables, publication = store.tables, FORECAST_SETTINGS.for_country(store.country).data.publication()
    newest = publication.last_public_harvest_year(day)
    years = tables.yields["harvest_year"]
    late = (years > newest) & (years != year)
    yields = tables.yields.assign(
        {name: one.where(~late, one * 3).assign_attrs(one.attrs) for name, one in tables.yields.items()}
    )
    times = tables.weather["time"].values
    known = [publication.weather_public(time.astype("datetime64[D]").item()) <= day for time in times]
    weather = tables.weather.copy(deep=True)
    for name in weather.data_vars:
        weather[name] = weather[name].where(weather["time"].isin(times[known]), weather[name] + 5)
        weather[name].attrs = tables.weather[name].attrs
    return Store.write(path, tables._replace(yields=yields, weather=weather), {})


def day_of(store, lead):
    """The last day that a row of 2016 may know: the last end of a window, or the 15th at the lead."""
    data = FORECAST_SETTINGS.for_country(store.country).data
    if lead is None:
        rows, _ = build_samples(store.tables, calendars.brazil(), "soybean", (2016,), data)
        return rows.window_end.max().item()
    end = main_window(calendars.brazil(), "soybean", store.tables, 2016, 2013)[1]
    return (end - lead).astype("datetime64[D]").item().replace(day=15)


@pytest.mark.slow
@pytest.mark.parametrize("lead", [None, 2])
def test_what_was_published_later_changes_nothing(forecast_store, tmp_path, lead):
    options = SOYBEAN.model_copy(update={"lead_months": lead})
    first = prepare("yield", forecast_store.path, (2016,), tmp_path / "a", options)
    day = day_of(forecast_store, lead)
    other = changed(forecast_store, tmp_path / "store", day, 2016)
    second = prepare("yield", other.path, (2016,), tmp_path / "b", options)
    assert first.baselines == second.baselines
    for part in ("training", "holdout"):
        ours, theirs = (read_inputs(tmp_path / name, first, part) for name in ("a", "b"))
        for name in first.inputs:
            np.testing.assert_array_equal(ours[name], theirs[name])


@pytest.mark.slow
def test_a_lead_hides_the_weather_of_later_months(forecast_store, tmp_path):
    """Four months more are known at the 15th of the last month than four months before."""
    known = {}
    for lead in (0, 4):
        options = SOYBEAN.model_copy(update={"lead_months": lead, "train_years": (2012, 2013)})
        task = prepare("yield", forecast_store.path, (2015, 2016), tmp_path / str(lead), options)
        weather = read_inputs(tmp_path / str(lead), task, "holdout")["weather"]
        known[lead] = np.array(weather[..., 0])
        assert task.lead_months == lead
    assert ((known[0] != known[4]).sum(axis=1) == 4).all()  # whenever the window of its state begins


@pytest.mark.slow
def test_a_year_without_yields_is_refused(forecast_store, tmp_path):
    with pytest.raises(MissingDataError, match="2030"):
        prepare("yield", forecast_store.path, (2030,), tmp_path / "data", SOYBEAN)


@pytest.mark.slow
def test_training_years_that_were_not_public_are_refused(forecast_store, tmp_path):
    options = SOYBEAN.model_copy(update={"train_years": (2012, 2013, 2014)})
    with pytest.raises(LeakageError, match=r"public on 2015-.* received 2014"):
        prepare("yield", forecast_store.path, (2015,), tmp_path / "data", options)
    options = SOYBEAN.model_copy(update={"train_years": (2013, 2016)})
    with pytest.raises(LeakageError, match="2016"):
        prepare("yield", forecast_store.path, (2015,), tmp_path / "data", options)
    assert not list(tmp_path.iterdir())


def test_what_a_store_cannot_give_is_refused(forecast_store, tmp_path):
    for options, years, error, said in (
        (DataOptions(), (2016,), ConfigError, "expected a crop"),
        (DataOptions(crop="tea"), (2016,), ConfigError, "tea"),
        (SOYBEAN.model_copy(update={"lead_months": 40}), (2016,), ConfigError, "a lead of 0 to"),
    ):
        with pytest.raises(error, match=said):
            prepare("yield", forecast_store.path, years, tmp_path / "data", options)
    with pytest.raises(ConfigError, match="expected harvest years"):
        prepare("yield", forecast_store.path, tmp_path, tmp_path / "data", SOYBEAN)


@pytest.mark.slow
def test_borders_of_risk_come_from_training_yields_alone(forecast_store, folder, tmp_path):
    task = prepare("risk", forecast_store.path, (2015, 2016), tmp_path / "data", SOYBEAN)
    assert task.outputs == ("low", "medium", "high")
    known = Task.read(folder)
    yields = {part: read_target(folder, known, part).astype(float) for part in ("training", "holdout")}
    borders = terciles(yields["training"][None])[0]
    for part, values in yields.items():
        expected = (values[:, None] >= borders).sum(axis=1)
        np.testing.assert_array_equal(read_target(tmp_path, task, part), expected)
    assert read_public(tmp_path)["yields"]


@pytest.mark.slow
def test_fields_are_places(tmp_path):
    """Fields of a store: their codes are groups, and no code is on the page of the data."""
    tables, optional = field_tables(field_data(seed=1, fields=30, seasons=8, units=2))
    store = Store.write(tmp_path / "store", tables, {}, optional=optional)
    config = tmp_path / "settings.toml"
    config.write_text("[data]\nyield_history = false\n\n[network]\ntarget = 'yield'\n")
    options = DataOptions(crop="soybean", config=config)
    task = prepare("yield", store.path, (2024, 2025), tmp_path / "data", options)
    codes = set(read_group(tmp_path, task, "training").tolist())
    assert codes <= set(store.static["municipality"].values.astype(str).tolist())
    text = json.dumps(read_public(tmp_path))
    assert not any(f'"{code}"' in text for code in codes)


def arrays(path, seed=0, places=6, years=range(2010, 2019), **changes):
    rng = np.random.default_rng(seed)
    place, year = (one.ravel() for one in np.meshgrid(np.arange(places), np.array(years), indexing="ij"))
    target = 3000 + 100 * place + 40 * (year - 2010) + rng.normal(0, 150, len(place))
    made = {
        "weather": rng.normal(size=(len(place), 4, 2)), "static": rng.normal(size=(len(place), 3)),
        "target": target, "harvest_year": year, "group": np.array([f"farm {k}" for k in place]), **changes,
    }  # fmt: skip
    np.savez(path, **{name: one for name, one in made.items() if one is not None})
    return path, made


def test_arrays_are_cut_by_harvest_year(tmp_path):
    static = np.ones((54, 3))
    static[0, 1] = np.nan
    path, made = arrays(tmp_path / "a.npz", static=static)
    told = []
    task = prepare("yield", path, (2016, 2017), tmp_path / "data", notice=told.append)
    assert task.harvest_years == {"training": tuple(range(2010, 2016)), "holdout": (2016, 2017)}
    assert told == ["6 rows of other harvest years left out"]
    assert task.filled == {"static": ("feature_2",)}
    expected = made["target"][np.isin(made["harvest_year"], [2016, 2017])]
    np.testing.assert_allclose(read_target(tmp_path, task, "holdout"), expected, rtol=1e-6)


def test_baselines_of_arrays_are_those_of_their_training_yields(tmp_path):
    """Climatology of a farm: the quantiles of its six training years; the trend: the line through them."""
    path, made = arrays(tmp_path / "a.npz", years=range(2010, 2017))
    task = prepare("yield", path, (2016,), tmp_path / "data")
    trained = made["harvest_year"] < 2016
    table = made["target"][trained].reshape(6, 6)
    lines = [np.polyval(np.polyfit(np.arange(6), row, 1), 6) for row in table]
    truth = made["target"][~trained]
    error = np.sqrt(np.mean((np.array(lines) - truth) ** 2))
    assert task.baselines["trend"]["values"]["rmse_kg_ha"] == pytest.approx(error, rel=1e-5)
    middle = climatology(table, np.full(6, "")).mean(axis=1)
    error = np.sqrt(np.mean((middle - truth) ** 2))
    assert task.baselines["climatology"]["values"]["rmse_kg_ha"] == pytest.approx(error, rel=1e-5)


def test_arrays_without_groups_and_static_features(tmp_path):
    path, _ = arrays(tmp_path / "a.npz", static=None, group=None)
    task = prepare(
        "risk", path, (2018,), tmp_path / "data", DataOptions(rule="threshold", threshold_kg_ha=3300)
    )
    assert task.outputs == ("low", "not_low")
    assert set(task.inputs) == {"weather"}
    assert read_group(tmp_path, task, "holdout") is None
    assert prepare("yield", path, (2018,), tmp_path / "b").baselines["climatology"]["groups"] is None


def test_a_holdout_file_must_be_of_later_years(tmp_path):
    training, _ = arrays(tmp_path / "a.npz", years=range(2010, 2016))
    later, _ = arrays(tmp_path / "b.npz", seed=1, years=(2016, 2017))
    assert prepare("yield", training, later, tmp_path / "data").holdout == 12
    same, _ = arrays(tmp_path / "c.npz", seed=1, years=(2015, 2016))
    with pytest.raises(LeakageError, match="2015"):
        prepare("yield", training, same, tmp_path / "d")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"target": np.full(54, 3.2)}, "in kg/ha"),
        ({"target": np.full(54, -1.0)}, "54 others"),
        ({"weather": np.full((54, 4, 2), np.nan)}, "54 rows with gaps"),
        ({"weather": np.ones((54, 4))}, "3 dimensions"),
        ({"static": np.ones((53, 3))}, "54 rows"),
        ({"harvest_year": np.full(54, 2010.5)}, "harvest years such as 2018"),
        ({"harvest_year": None}, "no harvest_year"),
        ({"group": np.array(["a"] * 3)}, "54 rows"),
        ({"static": np.full((54, 3), np.inf)}, "infinite"),
        ({"target": np.array(["a"] * 54)}, "expected numbers"),
    ],
)
def test_arrays_that_cannot_be_seasons_are_refused(tmp_path, changes, said):
    path, _ = arrays(tmp_path / "a.npz", **changes)
    with pytest.raises(SchemaError, match=said):
        prepare("yield", path, (2018,), tmp_path / "data")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("text", "task", "found"),
    [
        ("2016-2018", "yield", (2016, 2017, 2018)), ("2016:2017", "risk", (2016, 2017)),
        ("2016,2018", "yield", (2016, 2018)), ("2016", "risk", (2016,)),
    ],
)  # fmt: skip
def test_holdouts_of_harvest_years_are_read(text, task, found):
    assert parse_holdout(text, task) == found


def test_other_holdouts_are_paths():
    assert str(parse_holdout("2016", "crop-tiles")) == "2016"
    assert str(parse_holdout("holdout.npz", "yield")) == "holdout.npz"
    with pytest.raises(ConfigError, match="begin before they end"):
        parse_holdout("2018-2016", "yield")
