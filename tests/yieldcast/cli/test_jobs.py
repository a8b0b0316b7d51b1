"""`yieldcast job` as a scheduler calls it: processes, exit codes, kills, a closed network, services."""

import datetime as dt
import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import xarray as xr
from factories import TINY_NETWORK, refused
from forked_commands import Commands

from data_fetchers.fetching.fetch import fetch
from data_fetchers.fetching.order import FetchOrder
from yieldcast.cli.jobs import _fetch_missing, fetch_orders
from yieldcast.config import DataSettings, ForecastSettings, Settings
from yieldcast.data import synthetic
from yieldcast.data.files import exclusive_lock
from yieldcast.data.store import Store
from yieldcast.errors import ConfigError
from yieldcast.operations.bulletins import list_bulletins, newest
from yieldcast.operations.job import Job
from yieldcast.publication import Publication
from yieldcast.training.run_directory import Run

ROOT = Path(__file__).parents[3]
SETTINGS = TINY_NETWORK + 'validation = "each_year"\n'
# A process with this as sitecustomize.py opens no connection. With STOP_BEFORE or STOP_AFTER, a pattern of a
# path, it creates the file STOPPED and kills itself just before or after it gives a file or folder that name
# (every file of a store, run or bulletin is written under a temporary name and then renamed).
SITE = """
import fnmatch
import os
import signal
import socket


def refuse(*arguments, **named):
    raise RuntimeError("a socket was opened")


socket.socket.connect = refuse
socket.create_connection = refuse
socket.getaddrinfo = refuse


def stop_at(move):
    def moved(source, target, *more, **named):
        stop("STOP_BEFORE", target)
        move(source, target, *more, **named)
        stop("STOP_AFTER", target)

    return moved


def stop(when, path):
    if when in os.environ and fnmatch.fnmatch(os.fsdecode(path), os.environ[when]):
        open(os.environ["STOPPED"], "w").close()
        os.kill(os.getpid(), signal.SIGKILL)


os.replace, os.rename = stop_at(os.replace), stop_at(os.rename)
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A small synthetic country, harvest years 2001 to 2016; in September 2015 those to 2013 are public."""
    tables = synthetic.country(seed=5, municipalities=24, first_harvest_year=2001, harvest_years=16)
    return Store.write(tmp_path_factory.mktemp("store"), tables, {}).path


@pytest.fixture(scope="module")
def commands():
    """Commands that start at once: forks of a process that has imported everything."""
    with Commands(networks=True) as commands:
        yield commands


class Place:
    """Folders of bulletins and runs, and how to call the jobs that work there."""

    def __init__(self, folder, store):
        self.folder, self.store = folder, store
        self.bulletins, self.runs = folder / "bulletins", folder / "runs"
        (folder / "site").mkdir(parents=True)
        self.site = folder / "site" / "sitecustomize.py"
        self.site.write_text(SITE)
        self.closed = {**os.environ, "PYTHONPATH": str(folder / "site"), "COLUMNS": "200"}
        (folder / "tiny.toml").write_text(SETTINGS)

    def arguments(self, job, as_of, *more):
        """Arguments of `yieldcast` for a job, as text."""
        options = {
            "--store": self.store, "--crop": "soybean", "--bulletins": self.bulletins, "--runs": self.runs,
            "--seeds": 3, "--as-of": as_of,
        }  # fmt: skip
        if job == "preseason":
            options["--config"] = self.folder / "tiny.toml"
        return [str(x) for x in ("job", job, *(x for pair in options.items() for x in pair), *more)]

    def command(self, job, as_of, *more):
        return [sys.executable, "-m", "yieldcast", *self.arguments(job, as_of, *more)]

    def start(self, job, as_of, *more):
        """Run a job to its end in an interpreter of its own, without a network."""
        done = subprocess.run(
            self.command(job, as_of, *more, "--offline"), capture_output=True, text=True, env=self.closed,
            timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout, done.stderr

    def fork(self, commands, job, as_of, *more, check=0, **options):
        """Run a job in a fork of a process that has imported everything, without a network."""
        return self.fetch_and_fork(
            commands, job, as_of, *more, "--offline", check=check, first=self.site, **options
        )

    def fetch_and_fork(self, commands, job, as_of, *more, check=0, environment=None, **options):
        """The same with a network."""
        arguments = self.arguments(job, as_of, *more)
        done = commands.call(arguments, {"COLUMNS": "200", **(environment or {})}, **options)
        assert done.code == check or (check is None and done.code in (0, -signal.SIGKILL)), done
        return done


@pytest.fixture
def place(tmp_path, store):
    return Place(tmp_path, store)


def contents(bulletin):
    """A forecast without the identity of its run, which counts the seconds of its training."""
    ds = bulletin.forecast()
    inputs = {k: v for k, v in json.loads(ds.attrs["inputs"]).items() if k != "run"}
    kept = {k: v for k, v in ds.attrs.items() if k not in ("run_id", "history", "source")}
    ds.attrs = {**kept, "inputs": inputs}
    return ds


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("job", ["preseason", "inseason"])
def test_help_shows_an_example_and_the_exit_codes(call, job):
    code, out, _ = call("job", job, "--help")
    assert code == 0
    said = " ".join(out.split())
    assert f"yieldcast job {job} --store STORE" in said
    assert "Exit codes: 0" in said
    assert "--offline" in said
    assert "--issues" not in said


@pytest.mark.parametrize(
    ("job", "as_of", "more", "code", "text"),
    [
        ("inseason", "2016-02-20", (), 6, "Hint: Run the pre-season job first"),
        ("preseason", "2115-09-15", (), 2, "not after today"),
        ("preseason", "2015-13-01", (), 2, "--as-of: expected a date"),
        ("preseason", "2015-09-15", ("--store", "nowhere"), 3, "no data store at nowhere"),
        ("preseason", "2015-09-15", ("--config", "none.toml"), 3, "no config file"),
        ("preseason", "2015-09-15", ("--skill", "none.json"), 3, "no file none.json"),
        ("preseason", "2015-09-15", ("--crop", "corn"), 3, "no yields of corn"),
        ("preseason", "2015-09-15", ("--issues", "other"), 2, "expected --bulletins DIR once"),
        # the tables of this store come from no service
        ("preseason", "2015-09-15", (), 2, "come from your own tables"),
    ],
)
def test_mistakes_have_a_text_and_a_code(call, place, job, as_of, more, code, text):
    result = call(*place.arguments(job, as_of, *more))
    refused(result, code, text)
    assert result[1] == ""
    assert not list(place.bulletins.rglob("*.json"))


def test_unknown_choices_and_missing_folders_exit_2(call, place):
    code, out, err = call(*place.arguments("preseason", "2015-09-15", "--lang", "es"))
    assert (code, out) == (2, "")
    assert "expected a language of en, pt-BR, received 'es'" in " ".join(err.split())
    without = [
        x for x in place.arguments("inseason", "2016-02-20") if x not in ("--bulletins", str(place.bulletins))
    ]
    refused(call(*without), 2, "expected --bulletins DIR once, received none")


def test_the_old_name_of_bulletins_is_accepted_with_a_note(call, place):
    arguments = place.arguments("inseason", "2016-02-20")
    arguments[arguments.index("--bulletins")] = "--issues"
    result = call(*arguments)
    refused(result, 6, "Run the pre-season job first")
    assert result[2].startswith("note: --issues is now called --bulletins\n")


def test_a_second_copy_ends_with_3(call, place):
    held = place.bulletins / "soybean-2016" / ".one-job"
    held.mkdir(parents=True)
    with exclusive_lock(held, "held"):
        code, _, err = call(*place.arguments("preseason", "2015-09-15", "--offline"))
    assert code == 3
    assert "another copy of this job is running" in " ".join(err.split())
    assert not place.runs.exists()


@pytest.mark.slow
def test_a_year_of_jobs_without_a_network(place, commands):
    out, _ = place.start("preseason", "2015-09-15", "--lang", "pt")
    first = newest(place.bulletins, "soybean", 2016)
    assert str(first.path) in out
    assert "primeiro boletim da safra" in out
    assert first.manifest["lang"] == "pt-BR"
    assert (place.runs / "soybean-to-2013" / "config.toml").read_text() == SETTINGS
    out = place.fork(commands, "preseason", "2015-09-20").out
    assert out.startswith("nothing new since the bulletin")
    # weather of September 2015, the window's first month in most states, is out in 2016
    out = place.fork(commands, "inseason", "2016-03-20").out
    assert "Compared with the bulletin as of 2015-09-15" in out
    assert "SYNTHETIC DATA" in out
    assert [one.name for one in list_bulletins(place.bulletins, "soybean", 2016)] == [
        "2015-09-15",
        "2016-03-20",
    ]
    assert place.fork(commands, "inseason", "2016-03-21").out.startswith("nothing new")


TRAINING = [
    ("STOP_AFTER", "*/run.json"),
    ("STOP_AFTER", "*/members/member_*.keras"),
    ("STOP_BEFORE", "*/members/member_*.json"),
]
WRITING = [
    ("STOP_AFTER", "*/.writing-*/forecast.nc"),
    ("STOP_AFTER", "*/.writing-*/report.html"),
    ("STOP_AFTER", "*/.writing-*/issue.json"),
    ("STOP_BEFORE", "*/soybean-2016/20??-??-??"),
]


def kill_at(place, commands, job, as_of, when, path):
    """Kill a job with SIGKILL just before or after it gives something this name."""
    mark = place.folder / "stopped"
    environment = {when: path, "STOPPED": str(mark)}
    place.fork(commands, job, as_of, check=-signal.SIGKILL, environment=environment)
    assert mark.exists(), f"no {path} in time"
    mark.unlink()


@pytest.mark.slow
def test_killed_at_any_moment_and_started_again_it_ends_with_the_same_bulletin(
    place, commands, tmp_path, store
):
    calm = Place(tmp_path / "calm", store)
    calm.fork(commands, "preseason", "2015-09-15")
    began = time.monotonic()
    calm.fork(commands, "inseason", "2016-03-20")
    forecast_s = time.monotonic() - began
    rng, folder = random.Random(1), place.bulletins / "soybean-2016"
    for job, as_of, stages in (
        ("preseason", "2015-09-15", [*TRAINING, ("STOP_AFTER", "*/hindcasts/*"), *WRITING]),
        ("inseason", "2016-03-20", WRITING[1::2]),
    ):
        earlier = files(place.bulletins) if place.bulletins.exists() else {}
        for when, path in stages:
            kill_at(place, commands, job, as_of, when, path)
        # and at a moment that nobody chose
        place.fork(commands, job, as_of, check=None, seconds=rng.uniform(0.05, 1.0) * forecast_s)
        assert earlier.items() <= files(place.bulletins).items()
        for bulletin in list_bulletins(place.bulletins, "soybean", 2016):
            bulletin.verify()
        place.fork(commands, job, as_of)
    assert sorted(p.name for p in folder.iterdir()) == [".one-job", "2015-09-15", "2016-03-20"]
    for one, other in zip(
        list_bulletins(place.bulletins, "soybean", 2016),
        list_bulletins(calm.bulletins, "soybean", 2016),
        strict=True,
    ):
        assert one.name == other.name
        one.verify()
        xr.testing.assert_identical(contents(one), contents(other))


@pytest.mark.slow
def test_sigterm_is_like_ctrl_c_and_training_goes_on_from_there(place, commands):
    (place.folder / "tiny.toml").write_text(
        SETTINGS.replace("max_epochs = 3", "max_epochs = 60\npatience = 60")
    )
    job = subprocess.Popen(
        place.command("preseason", "2015-09-15", "--offline"), stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not (place.runs / "soybean-to-2013" / "run.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1)
    job.terminate()
    _, err = job.communicate(timeout=60)
    assert job.returncode == 130
    assert "the same command goes on from there" in err
    assert "Traceback" not in err
    place.fork(commands, "preseason", "2015-09-15")
    assert Run.open(place.runs / "soybean-to-2013").seeds() == [1, 2, 3]
    assert newest(place.bulletins, "soybean", 2016) is not None


@pytest.fixture
def services():
    """Stand-ins of IBGE and the CDS, found through the environment."""
    spec = importlib.util.spec_from_file_location(
        "standins", ROOT / "tests" / "data_fetchers" / "conftest.py"
    )
    standins = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(standins)
    servers = {name: standins.Served(name) for name in ("ibge", "cds")}
    try:
        yield servers
    finally:
        for server in servers.values():
            server.stop()


FETCHED = {"weather": {"source": "era5", "where": "centroid"}, "yields": {"source": "ibge"}}


def job_of(store, method="posterior", harvest_year=2016, crop="soybean"):
    optional = Settings(forecast=ForecastSettings(method=method)).optional_tables
    return Job(store, store / "bulletins", crop, harvest_year, dt.date(2015, 9, 15), optional=optional)


def test_a_job_by_the_posterior_method_also_asks_for_estimates_and_days(store, tmp_path):
    fetched = Store.write(tmp_path / "fetched", Store.open(store).tables, FETCHED)
    rule = Publication()
    yields, weather = fetch_orders(fetched, job_of(fetched.path, "network"), rule)
    assert (weather.tables, weather.daily) == (("weather",), False)
    orders = fetch_orders(fetched, job_of(fetched.path, "posterior"), rule)
    assert orders[0] == yields
    assert orders[1] == replace(weather, daily=None)
    # LSPA begins in 2006, the yields of the store in 2001
    assert orders[2] == replace(
        yields, tables=("estimates",), years=tuple(range(2006, 2017)), crops=("soybean",)
    )
    # a crop that no service knows, or another country: no estimates, and no failure
    assert len(fetch_orders(fetched, job_of(fetched.path, "posterior", crop="quinoa"), rule)) == 2
    tables, _ = synthetic.foreign(municipalities=4)
    abroad = Store.write(tmp_path / "abroad", tables, FETCHED)
    orders = fetch_orders(abroad, job_of(abroad.path, "posterior"), rule)
    assert [order.tables for order in orders] == [("yields",), ("weather",)]
    with pytest.raises(ConfigError, match="come from your own tables"):
        fetch_orders(Store.open(store), job_of(store, "posterior"), rule)


def test_a_run_with_inputs_from_days_has_them_fetched_by_any_method():
    inputs = DataSettings(daily_inputs=("dry_days",))
    by_network = Settings(data=inputs, forecast=ForecastSettings(method="network"))
    assert by_network.optional_tables == ("daily",)


@pytest.mark.slow
def test_an_old_store_gets_estimates_and_days_and_what_fails_is_told(services, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("YIELDCAST_IBGE_URL", services["ibge"].url)
    monkeypatch.setenv("CDSAPI_URL", f"{services['cds'].url}/api")
    monkeypatch.setenv("CDSAPI_KEY", "secret-token-123")
    services["cds"].set(polls_queued=0, polls_running=0)
    order = FetchOrder(("yields", "weather"), years=(2014,), crops=("soybean",), states=("MT",))
    fetch(order, tmp_path)
    before = Store.open(tmp_path)
    assert "estimates" not in before
    assert "daily" not in before
    job = replace(job_of(tmp_path, "posterior", 2015), as_of=dt.date(2014, 12, 20))
    services["ibge"].faults({"match": "6588", "kind": "status", "status": 404, "times": 99})
    error = _fetch_missing(before, job, Publication())
    assert "404" in str(error)
    opened = Store.open(tmp_path)
    assert "estimates" not in opened
    assert opened.daily.sizes["time"] == 365
    services["ibge"].faults()
    assert _fetch_missing(opened, job, Publication()) is None
    estimates = Store.open(tmp_path).estimates
    assert set(estimates["harvest_year"].values) == {2014, 2015}
    assert set(estimates["unit"].values) == {"MT"}
    capsys.readouterr()


@pytest.mark.slow
def test_what_became_public_is_fetched_and_forecast_from(place, commands, services):
    env = {
        "YIELDCAST_IBGE_URL": services["ibge"].url, "COLUMNS": "200",
        "CDSAPI_URL": f"{services['cds'].url}/api", "CDSAPI_KEY": "secret-token-123",
    }  # fmt: skip
    place.store = place.folder / "store"
    # by months: the method "posterior" and preliminary weather have something new on every day
    final = "[data]\nweather_delay_months = 3\nweather_delay_days = 0\n"
    by_network = '[forecast]\nmethod = "network"\n'
    (place.folder / "tiny.toml").write_text(SETTINGS + final + by_network)
    for what, years in (("yields", "2006:2010"), ("weather", "2007:2011")):
        options = ("--store", place.store, "--states", "MT,GO", "--crops", "soybean", "--years", years)
        assert commands.call(["fetch", what, *options], env).code == 0
    # PAM of 2011 is out since October 2012, and weather to July
    _, out, err = place.fetch_and_fork(commands, "preseason", "2012-11-10", environment=env)
    opened = Store.open(place.store)
    assert opened.yields["harvest_year"].values.tolist() == [2006, 2007, 2008, 2009, 2010, 2011]
    assert int(opened.weather["time"].dt.year.max()) == 2012
    first = newest(place.bulletins, "soybean", 2013)
    assert str(first.path) in out
    assert (place.runs / "soybean-to-2011").is_dir()
    assert (first.path / "forecast.geojson").is_file()
    assert first.manifest["notes"] == []
    assert "secret-token-123" not in out + err
    for server in services.values():
        server.reset()
    again = place.fetch_and_fork(commands, "preseason", "2012-11-11", environment=env)
    assert again.out.startswith("nothing new")
    assert sum(len(server.log()) for server in services.values()) == 0
    # the key is refused, but months that are here have become public: there is something new
    refused = {**env, "CDSAPI_KEY": "another-token"}
    season = ("--harvest-year", "2013")
    _, out, err = place.fetch_and_fork(commands, "inseason", "2013-01-10", *season, environment=refused)
    assert "another-token" not in out + err
    assert "The fetch was incomplete: the CDS does not know the key" in out
    assert "weather of August to September 2012" in out
    second = newest(place.bulletins, "soybean", 2013)
    assert (second.name, len(second.manifest["notes"])) == ("2013-01-10", 1)
    # nothing new is here now: the scheduler must hear that something is missing
    _, out, err = place.fetch_and_fork(
        commands, "inseason", "2013-01-10", *season, environment=refused, check=4
    )
    assert out == ""
    assert "Error: the CDS does not know the key" in err
    strict = (*season, "--strict")
    place.fetch_and_fork(commands, "inseason", "2013-02-10", *strict, environment=refused, check=4)
    assert len(list_bulletins(place.bulletins, "soybean", 2013)) == 2
    # stopped while a service hangs
    services["ibge"].faults({"match": "/p/2012", "kind": "sleep", "seconds": 90, "times": 99})
    command = place.command("preseason", "2013-11-10", "--harvest-year", "2014")
    job = subprocess.Popen(
        command, env={**os.environ, **env}, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    # Looked up, not tried: to try the lock is to hold it for a moment.
    mark = f":{(place.store / 'parts' / '.one-fetch').stat().st_ino} "
    deadline = time.monotonic() + 60
    while mark not in Path("/proc/locks").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(3)  # from the start of the fetch to the request that hangs
    assert job.poll() is None
    job.terminate()
    _, err = job.communicate(timeout=20)
    assert job.returncode == 130
    assert "the same command goes on from there" in err
