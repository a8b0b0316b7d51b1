"""Closed pipes, full disks and signals."""

import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from yieldcast.cli import terminal
from yieldcast.cli.app import main

WINDOW = ["calendar", "soybean", "--state", "MT", "--harvest-year", "2018"]


@pytest.fixture
def streams(monkeypatch):
    """Set stdout and stderr; they are put back, and closed, after the test."""
    with ExitStack() as opened:

        def set_streams(out, err=None):
            err = err or open(os.devnull, "w")  # noqa: SIM115
            for name, stream in (("stdout", out), ("stderr", err)):
                monkeypatch.setattr(sys, name, stream)
                if stream is not None:
                    opened.enter_context(stream)

        yield set_streams
        sys.stdout.flush()
        monkeypatch.undo()


def closed_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    return open(writer, "w", encoding="utf-8")


def exit_code(arguments):
    try:
        main(arguments)
    except SystemExit as ended:
        return ended.code or 0
    return 0


def test_a_reader_that_is_gone_does_not_change_the_exit_code(streams, tmp_path):
    streams(closed_pipe())
    assert exit_code(WINDOW) == 0
    streams(None)  # `>&-`
    assert exit_code(WINDOW) == 0
    sys.stdout.close()
    streams(closed_pipe(), closed_pipe())
    assert exit_code(["status", "--store", str(tmp_path / "none")]) == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_under_the_output_is_said(streams, tmp_path):
    err = (tmp_path / "err").open("w+")
    streams(Path("/dev/full").open("w"), err)  # noqa: SIM115
    assert exit_code(WINDOW) == 0
    err.flush()
    assert "the output is cut off: No space left on device" in (tmp_path / "err").read_text()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_signals_that_end_a_program_are_like_ctrl_c(name):
    number = getattr(signal, name)
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), terminal.signals_as_ctrl_c():
        signal.raise_signal(number)
    assert signal.getsignal(number) == before


def test_a_hang_up_that_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with terminal.signals_as_ctrl_c():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
