"""The same members on one device, on several, on two hosts, and with JAX: each in its own process."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
from yieldcast.errors import ConfigError
from yieldcast.training.devices import check_strategy, choose_devices
from yieldcast.training.pipeline import train_run
from yieldcast.training.run_directory import Run
from yieldcast.training.scheduler import Placement, choose_placement

YEARS = range(2011, 2015)

_TRAIN = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
store, out, seeds, strategy, devices = sys.argv[1:]
if os.environ.get("KERAS_BACKEND") == "jax":
    sys.modules["tensorflow"] = None  # as on a host without it: importing it fails
if int(devices):
    import tensorflow as tf
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * int(devices))
from pathlib import Path
from yieldcast import Settings, Store, train_run
settings = Settings.model_validate_json(Path("settings.json").read_text())
seeds = range(1, int(seeds) + 1)
store = Store.open(Path(store))
train_run(store, "soybean", range(2011, 2015), seeds, Path(out), settings, strategy=strategy)
"""


class Devices:
    """Devices with a kind and a number only."""

    def __init__(self, kind, replicas):
        self.kind, self.replicas = kind, replicas


@pytest.mark.parametrize(
    ("devices", "members", "widest", "block", "plan"),
    [
        (Devices("GPU", 1), 30, 32, None, Placement(1, 1, 30)),
        (Devices("GPU", 4), 30, 32, None, Placement(1, 4, 8)),
        (Devices("GPU", 4), 30, 32, 5, Placement(1, 4, 5)),
        (Devices("TPU", 8), 3, 32, None, Placement(1, 8, 1)),
        (Devices("CPU", 3), 7, 32, None, Placement(1, 3, 3)),
        (Devices("CPU", 1), 30, 32, None, Placement(2, 1, 1)),
        (Devices("CPU", 1), 30, 16, None, Placement(2, 1, 4)),
        (Devices("CPU", 1), 30, 32, 10, Placement(2, 1, 10)),
        (Devices("CPU", 1), 1, 16, None, Placement(1, 1, 1)),
        (Devices("CPU", 1), 3, 16, None, Placement(2, 1, 2)),
    ],
)
def test_members_are_spread_over_threads_and_devices(monkeypatch, devices, members, widest, block, plan):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    assert choose_placement(devices, members, widest, block) == plan


def test_an_unknown_strategy_is_a_settings_error():
    with pytest.raises(ConfigError, match="tpu"):
        check_strategy("tpu")


def test_several_hosts_without_their_names_is_a_settings_error(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    choose_devices.cache_clear()
    with pytest.raises(ConfigError, match="TF_CONFIG"):
        choose_devices("multi-worker")
    nobody = '{"cluster": {"worker": ["a:1", "b:1"]}}'
    other = '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}'
    for text in ("{", "[]", '{"cluster": 3}', '{"cluster": {"worker": 3}}', nobody, other):
        monkeypatch.setenv("TF_CONFIG", text)
        with pytest.raises(ConfigError, match="TF_CONFIG"):
            choose_devices("auto")


@pytest.fixture(scope="module")
def expected(small_store, tiny_settings, tmp_path_factory):
    """Five members on one device."""
    out = tmp_path_factory.mktemp("devices") / "run"
    return train_run(small_store, "soybean", YEARS, range(1, 6), out, tiny_settings)


def start(folder, store, out, seeds=5, strategy="auto", devices=0, **environment):
    command = [sys.executable, "-c", _TRAIN, str(store.path), out, str(seeds), strategy, str(devices)]
    return subprocess.Popen(
        command, cwd=folder, env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True
    )


def finish(process, seconds=240):
    _, errors = process.communicate(timeout=seconds)
    assert process.returncode == 0, errors[-3000:]


def assert_same(run, expected, seeds=range(1, 6)):
    assert set(seeds) <= set(run.seeds())
    for seed in seeds:
        one, other = (r.load_member(seed).get_weights() for r in (run, expected))
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("strategy", "devices", "replicas"), [("mirrored", 3, 3), ("one-device", 2, 1)])
def test_other_strategies_train_the_same_members(
    expected, small_store, tiny_settings, tmp_path, strategy, devices, replicas
):
    (tmp_path / "settings.json").write_text(tiny_settings.model_dump_json())
    finish(start(tmp_path, small_store, "run", strategy=strategy, devices=devices))
    run = Run.open(tmp_path / "run")
    assert_same(run, expected)  # five over three: uneven
    assert {record["replicas"] for record in run.records()} == {replicas}


def two_hosts():
    """TF_CONFIG of each of two workers on loopback."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    cluster = {"worker": [f"127.0.0.1:{server.getsockname()[1]}" for server in held]}
    for server in held:
        server.close()
    tasks = [{"cluster": cluster, "task": {"type": "worker", "index": index}} for index in range(2)]
    return [json.dumps(task) for task in tasks]


@pytest.mark.slow
def test_two_workers_share_a_run_and_survive_the_death_of_one(expected, small_store, tiny_settings, tmp_path):
    (tmp_path / "settings.json").write_text(tiny_settings.model_dump_json())
    workers = [start(tmp_path, small_store, "run", TF_CONFIG=text) for text in two_hosts()]
    for worker in workers:
        finish(worker)
    assert_same(Run.open(tmp_path / "run"), expected)
    assert "| 5 seeds (" in (tmp_path / "run" / "model_card.md").read_text()

    # Again, and the second is killed as soon as the first has a member: the first must lose nothing.
    workers = [start(tmp_path, small_store, "again", TF_CONFIG=text) for text in two_hosts()]
    members, deadline = tmp_path / "again" / "members", time.monotonic() + 200
    while not any(members.glob("*.json")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    workers[1].send_signal(signal.SIGKILL)
    workers[1].communicate()
    finish(workers[0])  # no collective ties it to the dead one
    assert {1, 3, 5} <= set(Run.open(tmp_path / "again").seeds())
    finish(start(tmp_path, small_store, "again"))  # one process alone takes what is left
    assert_same(Run.open(tmp_path / "again"), expected)


@pytest.mark.slow
def test_the_whole_job_runs_on_jax_without_tensorflow(small_store, tiny_settings, tmp_path):
    (tmp_path / "settings.json").write_text(tiny_settings.model_dump_json())
    finish(start(tmp_path, small_store, "run", seeds=2, KERAS_BACKEND="jax"))
    run = Run.open(tmp_path / "run")
    assert run.seeds() == [1, 2]
    assert {record["backend"] for record in run.records()} == {"jax"}
    assert run.load_member(1) is not None  # a plain Keras file: TensorFlow reads it here
