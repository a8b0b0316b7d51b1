"""Hostile code tries from inside what it must not be able to do, with bubblewrap and without."""

import os
import socket
import tempfile
from pathlib import Path

import pytest

from yieldcast.errors import ConfigError, RunError, SchemaError
from yieldcast.language import of
from yieldcast.workspace.sandbox import confinement, kernel
from yieldcast.workspace.sandbox.confinement import RULES, Confinement, attempt
from yieldcast.workspace.sandbox.process import Sandbox, find_bubblewrap
from yieldcast.workspace.sandbox.walls import Limits, Walls

LIMITS = Limits(
    seconds=30, memory=10**9, processes=64, disk=8 * 2**20, file=4 * 2**20, open_files=64
)  # fmt: skip


@pytest.fixture(
    scope="module", params=["bubblewrap", "own calls", pytest.param("no filter", marks=pytest.mark.slow)]
)
def sandbox(request):
    """A sandbox that runs attempts; without the filter of calls, namespaces and limits hold by themselves."""
    path = find_bubblewrap() if request.param == "bubblewrap" else None
    if request.param == "bubblewrap" and path is None:
        pytest.skip("bubblewrap is not installed")
    with Sandbox(Walls(filter=request.param != "no filter"), path, networks=False) as made:
        try:
            attempt(made, [], LIMITS)
        except (RunError, SchemaError) as error:
            pytest.skip(f"the kernel refuses: {error}")
        yield made


def holds(sandbox, *attempts, limits=LIMITS, seconds=20.0):
    """Whether the walls held against each of the attempts."""
    found = attempt(sandbox, attempts, limits, seconds)
    assert len(found) == len(attempts)
    return all(held for _, held in found)


def test_no_socket_is_reached(sandbox):
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind("\0yieldcast-test-sandbox")
        local.listen()
        assert holds(sandbox, ("connect", server.getsockname()[1]), ("connect", "yieldcast-test-sandbox"))


@pytest.fixture
def open_folder():
    """A folder that everybody may read and write: modes of files are not what keeps others out."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


def test_no_file_outside_is_read_or_written(sandbox, open_folder):
    target = open_folder / "target.npy"
    target.write_bytes(b"labels")
    target.chmod(0o666)
    assert holds(
        sandbox, ("read", "/etc/shadow"), ("read", "/etc/passwd"), ("read", str(target)),
        ("write", str(target)), ("write", str(open_folder / "new")), ("write", "/usr/new"), ("write", "/new"),
    )  # fmt: skip
    assert target.read_bytes() == b"labels"


def test_a_fork_bomb_ends_at_the_limit_of_processes(sandbox):
    assert holds(sandbox, ("fork", 10_000), ("start_threads", 10_000))


def test_100_gb_of_memory_are_refused(sandbox):
    assert holds(sandbox, ("take_memory", 100 * 10**9))
    # what is allowed works: the attempt gets through
    assert attempt(sandbox, [("take_memory", 10**8)], LIMITS) == [("take_memory", False)]


def test_the_disk_is_bounded(sandbox):
    assert holds(sandbox, ("fill_disk", 100 * 2**20))
    # also for many files that are each small enough
    assert holds(sandbox, ("fill_disk", 2**30), limits=Limits(disk=300 * 2**20, memory=10**9))
    assert attempt(sandbox, [("fill_disk", 2**20)], Limits(disk=300 * 2**20)) == [("fill_disk", False)]


def test_an_endless_loop_is_cut_off(sandbox):
    assert holds(sandbox, ("loop", None), seconds=0.3)
    assert holds(sandbox, ("run_program", "/nonexistent"))  # the sandbox takes the next job


def test_no_process_and_no_variable_of_outside_is_seen(sandbox, monkeypatch):
    monkeypatch.setenv("YIELDCAST_TOKEN", "secret")
    command = Path("/proc/self/cmdline").read_text()
    assert holds(
        sandbox, ("signal_process", os.getpid()), ("see_processes", command), ("read_environment", "PWD")
    )


@pytest.mark.slow
def test_the_time_of_the_processor_is_bounded(sandbox):
    ended = sandbox.run({"attempts": [("loop", None)]}, {}, Limits(seconds=1), lambda line: None, 30.0)
    assert ended.cut is None
    assert ended.code in (137, 152)


def test_a_sandbox_that_died_begins_anew():
    with Sandbox(Walls(False, False, False), None, networks=False) as sandbox:
        sandbox.start()
        sandbox._process.kill()
        sandbox._process.wait()
        assert attempt(sandbox, [("take_memory", 10**6)], LIMITS) == [("take_memory", False)]


def test_the_probe_says_what_holds():
    try:
        found = Confinement.probe()
    except ConfigError as error:
        pytest.skip(str(error))
    assert found.holds
    english, portuguese = found.lines(of("en")), found.lines(of("pt-BR"))
    assert len(english) == len(portuguese) == 1 + len(RULES)
    assert english[1] == "enforced: no connection to a network or a service of this machine"
    assert portuguese[1].startswith("imposto: ")


def test_unconfined_is_refused_unless_trusted(monkeypatch):
    monkeypatch.setattr(confinement, "_candidates", lambda bubblewrap: [(Walls(False, False, False), None)])
    with pytest.raises(ConfigError, match="no file outside is read") as refused:
        Confinement.probe()
    assert "--trust" in refused.value.hint
    trusted = Confinement.probe(trust=True)
    assert not trusted.holds
    assert "NOT ENFORCED: no file outside is read" in trusted.lines(of("en"))


def test_a_number_of_a_call_that_the_kernel_refuses_is_an_error():
    with pytest.raises(OSError, match="pivot"):
        kernel.pivot_root(b"/nonexistent", b"/nonexistent")
