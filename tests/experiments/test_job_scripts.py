"""The two jobs as a scheduler calls them: processes, exit codes, kills, a closed network, services."""

import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import xarray as xr

import job_script
from yieldcast.data import synthetic
from yieldcast.data.files import exclusive_lock
from yieldcast.data.store import Store
from yieldcast.operations.bulletins import list_bulletins, newest
from yieldcast.training.run_directory import Run

ROOT = Path(__file__).parents[2]
TINY = """
[network]
lstm_units = [4]
static_units = [4]
head_units = [4]
[training]
max_epochs = 3
batch_size = 32
validation = "each_year"
"""
NO_NETWORK = """
import socket
def refuse(*arguments, **named):
    raise RuntimeError("a socket was opened")
socket.socket.connect = refuse
socket.create_connection = refuse
socket.getaddrinfo = refuse
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A small synthetic country, harvest years 2001 to 2016; in September 2015 those to 2013 are public."""
    tables = synthetic.country(seed=5, municipalities=24, first_harvest_year=2001, harvest_years=16)
    return Store.write(tmp_path_factory.mktemp("store"), tables, {}).path


class Place:
    """Where jobs work: folders of issues and runs, and how to call the scripts there."""

    def __init__(self, folder, store):
        self.folder, self.store = folder, store
        self.issues, self.runs = folder / "issues", folder / "runs"
        self.closed = folder / "closed"
        self.closed.mkdir(parents=True)
        (self.closed / "sitecustomize.py").write_text(NO_NETWORK)
        (folder / "tiny.toml").write_text(TINY)

    def command(self, script, as_of, *more):
        path = ROOT / "experiments" / f"{script}.py"
        options = {
            "--store": self.store, "--crop": "soybean", "--issues": self.issues, "--runs": self.runs,
            "--seeds": 3, "--as-of": as_of,
        }  # fmt: skip
        config = ["--config", self.folder / "tiny.toml"] if script == "preseason_forecast" else []
        command = [sys.executable, path, *(x for pair in options.items() for x in pair), *config, *more]
        return [str(x) for x in command]

    def run(self, script, as_of, *more, check=0, env=None):
        """Run a job to its end; offline ones without a network."""
        more = (*more, "--offline") if env is None else more
        closed = {**os.environ, "PYTHONPATH": str(self.closed)}
        done = subprocess.run(
            self.command(script, as_of, *more), capture_output=True, text=True, env=env or closed, timeout=300
        )
        assert done.returncode == check, done.stdout + done.stderr
        return done.stdout, done.stderr


@pytest.fixture
def place(tmp_path, store):
    return Place(tmp_path, store)


def seen(issue):
    """What a forecast says; the identity of a run, which counts the seconds of its training, left out."""
    ds = issue.forecast()
    inputs = {k: v for k, v in json.loads(ds.attrs["inputs"]).items() if k != "run"}
    kept = {k: v for k, v in ds.attrs.items() if k not in ("run_id", "history", "source")}
    ds.attrs = {**kept, "inputs": inputs}
    return ds


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def call(monkeypatch, capsys):
    """Run a job's command in this process; gives exit code, standard output and standard error."""
    handler = signal.getsignal(signal.SIGTERM)

    def run(command):
        module = importlib.import_module(Path(command[1]).stem)
        monkeypatch.setattr(sys, "argv", command[1:])
        try:
            code = job_script.end(module.main)
        except SystemExit as ended:
            code = ended.code
        out = capsys.readouterr()
        return code, out.out, " ".join(out.err.split())

    yield run
    signal.signal(signal.SIGTERM, handler)


@pytest.mark.parametrize("script", ["preseason_forecast", "inseason_update"])
def test_help_shows_an_example_and_the_exit_codes(call, place, script):
    code, out, _ = call(place.command(script, "2015-09-15", "--help"))
    assert code == 0
    assert f"python experiments/{script}.py --store STORE" in out
    assert "exit codes: 0" in out
    assert "--offline" in out


@pytest.mark.parametrize(
    ("script", "as_of", "more", "code", "text"),
    [
        ("inseason_update", "2016-02-20", (), 6, "Hint: Run the pre-season job first"),
        ("preseason_forecast", "2115-09-15", (), 2, "not after today"),
        ("preseason_forecast", "2015-13-01", (), 2, "--as-of: expected a date"),
        ("preseason_forecast", "2015-09-15", ("--store", "nowhere"), 3, "no data store at nowhere"),
        ("preseason_forecast", "2015-09-15", ("--config", "none.toml"), 3, "no config file"),
        ("preseason_forecast", "2015-09-15", ("--skill", "none.json"), 3, "no file none.json"),
        ("preseason_forecast", "2015-09-15", ("--crop", "corn"), 3, "no yields of corn"),
        ("preseason_forecast", "2015-09-15", ("--lang", "es"), 2, "invalid choice: 'es'"),
        # its tables are no service's
        ("preseason_forecast", "2015-09-15", (), 2, "come from your own tables"),
    ],
)
def test_mistakes_have_a_text_and_a_code(call, place, script, as_of, more, code, text):
    found, out, err = call(place.command(script, as_of, *more))
    assert (found, out) == (code, "")
    assert text in err
    assert not list(place.issues.rglob("*.json"))


def test_a_second_copy_ends_with_3(place):
    held = place.issues / "soybean-2016" / ".one-job"
    held.mkdir(parents=True)
    with exclusive_lock(held, "held"):
        _, err = place.run("preseason_forecast", "2015-09-15", check=3)
    assert "another copy of this job is running" in err
    assert not place.runs.exists()


@pytest.mark.slow
def test_a_year_of_jobs_without_a_network(place):
    out, _ = place.run("preseason_forecast", "2015-09-15", "--lang", "pt")
    first = newest(place.issues, "soybean", 2016)
    assert str(first.path) in out
    assert "primeira edição da safra" in out
    assert first.manifest["lang"] == "pt"
    assert (place.runs / "soybean-to-2013" / "config.toml").read_text() == TINY
    out, _ = place.run("preseason_forecast", "2015-09-20")
    assert out.startswith("nothing new since the issue")
    # weather of September 2015, the window's first month in most states, is out in 2016
    out, _ = place.run("inseason_update", "2016-03-20")
    assert "Compared with the bulletin as of 2015-09-15" in out
    assert "SYNTHETIC DATA" in out
    assert [issue.name for issue in list_bulletins(place.issues, "soybean", 2016)] == [
        "2015-09-15",
        "2016-03-20",
    ]
    assert place.run("inseason_update", "2016-03-21")[0].startswith("nothing new")


def _kill(command, env, moment, within_s):
    """Start a job and SIGKILL it when `moment()` holds, or after some seconds; whether it had not ended."""
    job = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
    deadline = time.monotonic() + within_s
    while job.poll() is None and time.monotonic() < deadline and not moment():
        time.sleep(0.002)
    alive = job.poll() is None
    job.kill()
    job.wait()
    return alive


@pytest.mark.slow
def test_killed_at_any_moment_and_started_again_it_ends_with_the_same_issue(place, tmp_path, store):
    calm = Place(tmp_path / "calm", store)
    began = time.monotonic()
    calm.run("preseason_forecast", "2015-09-15")
    whole_s = time.monotonic() - began
    calm.run("inseason_update", "2016-03-20")
    env = {**os.environ, "PYTHONPATH": str(place.closed)}
    rng, folder, run = random.Random(1), place.issues / "soybean-2016", place.runs / "soybean-to-2013"
    training = [lambda: (run / "run.json").exists(), lambda: any(run.glob("members/*.keras"))]
    forecasting = [
        lambda: any(run.glob("hindcasts/*")), lambda: any(folder.glob(".writing-*")),
        lambda: any(folder.glob(".writing-*/forecast*")), lambda: any(folder.glob(".writing-*/issue.json")),
    ]  # fmt: skip
    for script, as_of, stages in (
        ("preseason_forecast", "2015-09-15", [*training, *forecasting]),
        ("inseason_update", "2016-03-20", forecasting[1:]),
    ):
        earlier = files(place.issues) if place.issues.exists() else {}
        command, killed = place.command(script, as_of, "--offline"), 0
        for moment in stages:
            killed += _kill(command, env, moment, 120)
        for _ in range(3):
            _kill(command, env, lambda: False, rng.uniform(0.2, 1.0) * whole_s)
        # Caught in the midst of every stage; on a busy machine one may pass between two looks.
        assert killed >= len(stages) - 1
        assert earlier.items() <= files(place.issues).items()
        for issue in list_bulletins(place.issues, "soybean", 2016):
            issue.verify()
        place.run(script, as_of)
    assert sorted(p.name for p in folder.iterdir()) == [".one-job", "2015-09-15", "2016-03-20"]
    for one, other in zip(
        list_bulletins(place.issues, "soybean", 2016),
        list_bulletins(calm.issues, "soybean", 2016),
        strict=True,
    ):
        assert one.name == other.name
        one.verify()
        xr.testing.assert_identical(seen(one), seen(other))


@pytest.mark.slow
def test_sigterm_is_like_ctrl_c_and_training_goes_on_from_there(place):
    (place.folder / "tiny.toml").write_text(
        TINY.replace("max_epochs = 3", "max_epochs = 400\npatience = 400")
    )
    job = subprocess.Popen(
        place.command("preseason_forecast", "2015-09-15", "--offline"), stderr=subprocess.PIPE, text=True
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
    place.run("preseason_forecast", "2015-09-15")
    assert Run.open(place.runs / "soybean-to-2013").seeds() == [1, 2, 3]
    assert newest(place.issues, "soybean", 2016) is not None


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


@pytest.mark.slow
def test_what_became_public_is_fetched_and_forecast_from(place, services):
    env = {
        **os.environ, "YIELDCAST_IBGE_URL": services["ibge"].url, "COLUMNS": "200",
        "CDSAPI_URL": f"{services['cds'].url}/api", "CDSAPI_KEY": "secret-token-123",
    }  # fmt: skip
    place.store = place.folder / "store"
    for what, years in (("yields", "2008:2010"), ("weather", "2007:2011")):
        fetch = [
            "fetch",
            what,
            "--store",
            place.store,
            "--states",
            "MT,GO",
            "--crops",
            "soybean",
            "--years",
            years,
        ]
        done = subprocess.run(
            [sys.executable, "-m", "yieldcast", *map(str, fetch)], env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
    # PAM of 2011 is out since October 2012, and weather to July
    out, err = place.run("preseason_forecast", "2012-11-10", env=env)
    opened = Store.open(place.store)
    assert opened.yields["harvest_year"].values.tolist() == [2008, 2009, 2010, 2011]
    assert int(opened.weather["time"].dt.year.max()) == 2012
    first = newest(place.issues, "soybean", 2013)
    assert str(first.path) in out
    assert (place.runs / "soybean-to-2011").is_dir()
    assert (first.path / "forecast.geojson").is_file()
    assert first.manifest["notes"] == []
    assert "secret-token-123" not in out + err
    for server in services.values():
        server.reset()
    assert place.run("preseason_forecast", "2012-11-11", env=env)[0].startswith("nothing new")
    assert sum(len(server.log()) for server in services.values()) == 0
    # the key is refused, but months that are here have become public: there is something new
    refused = {**env, "CDSAPI_KEY": "another-token"}
    out, err = place.run("inseason_update", "2013-01-10", "--harvest-year", "2013", env=refused)
    assert "another-token" not in out + err
    assert "The fetch was incomplete: the CDS does not know the key" in out
    assert "weather of August 2012 to September 2012" in out
    second = newest(place.issues, "soybean", 2013)
    assert (second.name, len(second.manifest["notes"])) == ("2013-01-10", 1)
    # nothing new is here now: the scheduler must hear that something is missing
    out, err = place.run("inseason_update", "2013-01-10", "--harvest-year", "2013", env=refused, check=4)
    assert out == ""
    assert "Error: the CDS does not know the key" in err
    place.run("inseason_update", "2013-02-10", "--harvest-year", "2013", "--strict", env=refused, check=4)
    assert len(list_bulletins(place.issues, "soybean", 2013)) == 2
    # stopped while a service hangs
    services["ibge"].faults({"match": "/p/2012", "kind": "sleep", "seconds": 90, "times": 99})
    command = place.command("preseason_forecast", "2013-11-10", "--harvest-year", "2014")
    job = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
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
