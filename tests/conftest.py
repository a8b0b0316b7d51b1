"""A frozen clock for every test."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator

import pytest
from factories import NOW

from yieldcast import clock


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
