"""`yieldcast fetch pixels`: what is typed, before any connection is opened."""

import datetime as dt
from functools import cache

import pytest
from typer.main import get_command

import calendars
from yieldcast.cli.app import app
from yieldcast.cli.fetch_pixels import season_days
from yieldcast.errors import ConfigError, MissingDataError


@cache
def command():
    """`fetch`, made once: making all commands of the program takes a quarter of a second."""
    return get_command(app).commands["fetch"]


BOX = ("--bbox", "-55.6,-12.1,-55.5,-12.0")
SEASON = ("--season", "2020-11:2021-10")


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("2020-11:2021-10", ("2020-11-01", "2021-10-31")),
        ("2020-11..2021-02", ("2020-11-01", "2021-02-28")),
        ("2023-12:2024-02", ("2023-12-01", "2024-02-29")),
    ],
)
def test_a_season_of_months(text, days):
    assert season_days(text, None, None, None) == tuple(map(dt.date.fromisoformat, days))


def test_a_season_of_the_calendar_is_that_of_other_commands():
    months = calendars.brazil().window("soybean", "MT", 2021)
    first, last = season_days("2021", "soja", "MT", None)
    assert first == months[0].astype("datetime64[D]").tolist()
    assert last == (months[-1] + 1).astype("datetime64[D]").tolist() - dt.timedelta(1)


@pytest.mark.parametrize("text", ["2020-11", "2021", "2020-11:2020-09", "2020-11:2020-12,2021-02", "soon"])
def test_what_is_no_season(text):
    with pytest.raises(ConfigError, match="--season"):
        season_days(text, None, None, None)
    with pytest.raises(ConfigError, match="with a harvest year"):
        season_days("2020-11:2021-10", "soybean", None, None)


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        ((*SEASON,), ("--bbox or --places",)),
        ((*BOX, *SEASON), ("--out is not given",)),
        ((*BOX, *SEASON, "--out", "table.csv"), ("ending .nc",)),
        ((*BOX, *SEASON, "--out", "no/folder/cube.nc"), ("no folder",)),
        (("--bbox", "-55.6,-12.1,-55.5", *SEASON, "--check"), ("expected W,S,E,N",)),
        (("--bbox", "-55.6,-12.0,-55.5,-12.1", *SEASON, "--check"), ("south below north",)),
        ((*BOX, *SEASON, "--check", "--collections", "landsat"), ("received landsat", "sentinel-2-l2a")),
        ((*BOX, *SEASON, "--check", "--bands", "B99"), ("unknown band B99",)),
        ((*BOX, *SEASON, "--check", "--bands", "NDVI"), ("received NDVI",)),
        ((*BOX, *SEASON, "--check", "--catalog", "lpcloud"), ("lpcloud has no sentinel-2-l2a",)),
        ((*BOX, *SEASON, "--check", "--as-of", "2150-01-01"), ("expected a day up to today",)),
    ],
)
def test_options_that_do_not_fit_are_refused_before_any_request(arguments, texts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ConfigError, MissingDataError)) as caught:
        command().commands["pixels"].main(list(arguments), standalone_mode=False)
    said = f"{caught.value} {caught.value.hint}"
    assert all(text in said for text in texts), said
    assert list(tmp_path.iterdir()) == []


def test_fetch_pixels_is_a_command_of_its_own_and_fetch_of_tables_is_as_before():
    context = command().make_context("fetch", ["pixels", *BOX, *SEASON, "--check"])
    assert (context.command.name, context.params["season"]) == ("pixels", SEASON[1])
    assert command().make_context("fetch", ["weather", "--store", "S"]).params["what"] == "weather"
