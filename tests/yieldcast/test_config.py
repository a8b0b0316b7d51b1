import json
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yieldcast import config
from yieldcast.errors import ConfigError, MissingDataError


def write(tmp_path, text):
    path = tmp_path / "c.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_defaults_are_those_of_the_paper():
    # Cunha & Silva 2020, Section 4.
    training, network = config.Settings().training, config.Settings().network
    assert (training.learning_rate, training.beta_1, training.beta_2) == (5e-4, 0.9, 0.999)
    assert (training.batch_size, training.max_epochs, training.patience) == (280, 500, 50)
    assert (network.noise, network.l2) == (0.3, 1e-5)


def test_a_misspelt_key_is_refused_with_the_right_one(tmp_path):
    path = write(tmp_path, "[training]\nlearning_rte = 0.001\n")
    with pytest.raises(ConfigError, match=r"learning_rte.*did you mean 'learning_rate'") as caught:
        config.read_settings(path)
    assert caught.value.exit_code == 2


def test_an_unknown_section_lists_the_known_ones(tmp_path):
    with pytest.raises(ConfigError, match="known: network, training, data"):
        config.read_settings(write(tmp_path, "[zzz]\na = 1\n"))


@pytest.mark.parametrize(
    "text",
    [
        "[network]\nnoise = 3.0",
        "[network]\nlstm_units = []",
        "[network]\nlstm_units = [0]",
        "[training]\nbatch_size = 'many'",
        "[training]\nloss = 'r2'",
        "[data.degree_days]\ncorn = [30, 8]",
        "[data]\nmonths = {corn = 99}",
        "not toml at all [",
    ],
)
def test_values_out_of_range_are_refused(tmp_path, text):
    with pytest.raises(ConfigError):
        config.read_settings(write(tmp_path, text))


def test_a_missing_file_is_missing_data(tmp_path):
    with pytest.raises(MissingDataError):
        config.read_settings(tmp_path / "none.toml")


def test_settings_survive_their_own_json(tmp_path):
    settings = config.read_settings(write(tmp_path, "[data]\ncalendar = 'own.csv'\nmonths = {corn = 7}\n"))
    assert settings.data.calendar == tmp_path.resolve() / "own.csv"
    assert config.parse_settings(json.loads(settings.model_dump_json()), "resolved") == settings


@given(st.lists(st.integers(1, 4096), min_size=1, max_size=8), st.floats(0, 1))
def test_any_settings_in_range_survive_json(units, noise):
    settings = config.parse_settings({"network": {"lstm_units": units, "noise": noise}}, "x")
    assert config.parse_settings(json.loads(settings.model_dump_json()), "y") == settings


# --- presets ----------------------------------------------------------------------------------------------

CONFIGS = Path(__file__).parents[2] / "experiments" / "configs"


def test_the_forecast_preset_is_the_file_of_that_name():
    assert config.read_settings(None, "forecast") is config.FORECAST_SETTINGS
    assert config.read_settings(CONFIGS / "forecast.toml") == config.FORECAST_SETTINGS


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.name)
def test_every_example_is_valid(path):
    assert config.read_settings(path)


def test_the_file_of_the_paper_states_the_defaults():
    assert config.read_settings(CONFIGS / "paper.toml") == config.Settings()


def test_a_file_has_precedence_over_the_preset_and_the_preset_is_that_of_forecasts(tmp_path):
    assert set(config.PRESETS) == {"forecast", "paper"}
    assert config.read_settings(None, "paper") == config.Settings()
    for path in (None, write(tmp_path, "")):
        assert config.read_settings(path) == config.FORECAST_SETTINGS
    # a file with a calendar alone trains the default preset
    mine = config.read_settings(write(tmp_path, "[data]\ncalendar = 'own.csv'\n"))
    calendar = tmp_path.resolve() / "own.csv"
    data = config.FORECAST_SETTINGS.data.model_copy(update={"calendar": calendar})
    assert mine == config.FORECAST_SETTINGS.model_copy(update={"data": data})
    assert mine.data.model_fields_set == {"calendar"}  # a preset's delays give way to the country's
    both = config.read_settings(write(tmp_path, "[training]\nmax_epochs = 7\n"), "paper")
    assert both.training == config.Settings().training.model_copy(update={"max_epochs": 7})
    assert both.data == config.Settings().data


def test_a_file_that_states_all_keys_has_the_same_meaning_over_every_preset():
    for name in config.PRESETS:
        assert config.read_settings(CONFIGS / "paper.toml", name) == config.Settings()
        assert config.read_settings(CONFIGS / "forecast.toml", name) == config.FORECAST_SETTINGS


def test_a_delay_in_the_file_is_not_hidden_by_the_days_of_release_of_the_preset(tmp_path):
    one = config.read_settings(write(tmp_path, "[data]\nyields_delay_months = 2\n"))
    assert one.data.publication().yields_public(2014) == date(2015, 3, 1)
    kept = config.read_settings(write(tmp_path, "[data]\nyields_delay_days = 3\nyield_releases = 'pam'\n"))
    assert kept.data.publication().yields_public(2014) == date(2015, 11, 5)


def test_the_forecast_preset_is_what_a_forecast_needs():
    data, training = config.FORECAST_SETTINGS.data, config.FORECAST_SETTINGS.training
    assert training.validation == "each_year"  # hindcasts of left-out years
    assert training.season_cuts > 0  # seasons of which only the first months are known
    assert data.yield_history
    assert config.FORECAST_SETTINGS.network.target == "departure"
    # preliminary ERA5T: a month is public from the 6th of the next month on
    assert str(data.publication().weather_public(date(2017, 10, 1))) == "2017-11-06"


def test_an_unknown_preset_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="unknown preset 'best'") as error:
        config.read_settings(None, "best")
    assert "forecast" in error.value.hint


def test_departures_need_a_history(tmp_path):
    with pytest.raises(ConfigError, match=r"needs data\.yield_history = true"):
        config.read_settings(write(tmp_path, '[network]\ntarget = "departure"\n'), "paper")
    both = config.read_settings(
        write(tmp_path, '[network]\ntarget = "departure"\n[data]\nyield_history = true\n'), "paper"
    )
    assert both.network.target == "departure"


@pytest.mark.parametrize(
    "text",
    [
        "[training]\nseason_cuts = 1.5",
        "[training]\nvalidation = 'a_year'",
        "[network]\nscaling = 'none'",
        "[data]\nweather_inputs = 'raw'",
    ],
)
def test_values_of_forecast_settings_out_of_range_are_refused(tmp_path, text):
    with pytest.raises(ConfigError):
        config.read_settings(write(tmp_path, text))


def test_younger_keys_are_written_only_when_they_are_not_the_default():
    """The identifiers of runs are hashes of their settings: those of older runs must not move."""
    new = json.loads(config.FORECAST_SETTINGS.model_dump_json())
    assert new["forecast"] == {"method": "posterior"}
    assert new["data"]["yield_releases"] == "pam"
    assert config.parse_settings(new, "x") == config.FORECAST_SETTINGS
    old = {name: dict(new[name]) for name in ("network", "training", "data")}
    del old["data"]["yield_releases"]
    stored = json.loads(config.parse_settings(old, "x").model_dump_json())
    assert stored == old


def test_the_form_of_the_network_is_written_only_when_it_is_not_the_default():
    plain = config.FORECAST_SETTINGS.model_dump(mode="json")
    assert "form" not in plain["network"]
    changed = {**plain, "network": {**plain["network"], "form": "response"}}
    with pytest.raises(ConfigError, match="posterior"):
        config.parse_settings({**changed, "forecast": {"method": "network"}}, "x")
    whole = config.parse_settings({**changed, "forecast": {"method": "posterior"}}, "x")
    assert json.loads(whole.model_dump_json())["network"]["form"] == "response"


def test_days_of_release_count_when_they_are_turned_on():
    rule, pam = (config.DataSettings(yield_releases=name).publication() for name in ("rule", "pam"))
    assert rule.yields_public(2014) == date(2015, 10, 1)
    assert pam.yields_public(2014) == date(2015, 11, 5)
    assert pam.weather_months == rule.weather_months
