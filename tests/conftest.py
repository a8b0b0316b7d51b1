"""A frozen clock for every test, and one cache of compiled programs for all of them."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import pytest
from factories import NOW

from yieldcast import clock

# The same small networks are compiled in many tests and in the commands that they start. XLA finds a program
# in this folder by its instructions, so that a change of the code never meets an old program.
_PROGRAMS = Path(__file__).parents[1] / ".pytest_cache" / f"xla-{metadata.version('tensorflow')}"
_PROGRAMS.mkdir(parents=True, exist_ok=True)
os.environ.setdefault("TF_XLA_FLAGS", f"--tf_xla_persistent_cache_directory={_PROGRAMS}")


@pytest.fixture(scope="session", autouse=True)
def _frozen_while_files_are_made() -> Iterator[None]:
    """Fixtures of the session, which are made before any test, have the same time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "now", lambda: NOW)
        yield


@pytest.fixture(autouse=True)
def _frozen(set_clock: Callable[[dt.datetime], None]) -> None:
    """No test depends on the day on which it runs."""
    set_clock(NOW)


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[dt.datetime], None]:
    """Set the time that the packages read; commands started by a test find it in TEST_NOW."""

    def set_clock(moment: dt.datetime) -> None:
        monkeypatch.setattr(clock, "now", lambda: moment)
        monkeypatch.setenv("TEST_NOW", moment.isoformat())

    return set_clock
