"""`yieldcast workspace federate`: what is refused before anything is sent; rounds are in with_flower.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from yieldcast.cli.app import app
from yieldcast.cli.views.federation import federation_view
from yieldcast.cli.workspace_federate import _said
from yieldcast.errors import ConfigError, MissingDataError
from yieldcast.workspace.federated.roster import Event

RUN = CliRunner()


@pytest.fixture
def secret(tmp_path: Path) -> str:
    file = tmp_path / "secret"
    file.write_text("0123456789abcdef\n")
    return str(file)


def error_of(*words: str) -> BaseException | None:
    return RUN.invoke(app, ["workspace", "federate", *words]).exception


def test_weights_do_not_leave_the_machine_without_tls(secret: str, tmp_path: Path) -> None:
    words = ("server", "m.keras", "--out", str(tmp_path / "out"), "--secret-file", secret, "--sites", "3")
    assert "need TLS" in str(error_of(*words))
    for address in ("0.0.0.0:8443", "fed.example:8443", "192.168.1.4:8443"):
        error = error_of(*words, "--insecure", "--address", address)
        assert isinstance(error, ConfigError)
        assert "works only on this machine" in str(error)
    site = ("site", "fed.example:8443", str(tmp_path), "m.keras", "--name", "a", "--secret-file", secret)
    assert "works only on this machine" in str(error_of(*site, "--insecure"))
    assert not (tmp_path / "out").exists()


def test_missing_files_are_named(secret: str, tmp_path: Path) -> None:
    absent = ("site", "127.0.0.1:1", str(tmp_path), "m.keras", "--insecure", "--name", "a", "--secret-file")
    assert "secret of the federation" in str(error_of(*absent, str(tmp_path / "absent")))
    error = error_of(*absent, secret)
    assert isinstance(error, MissingDataError)
    assert "expected a workspace" in str(error)


def test_what_happens_is_told() -> None:
    assert _said(Event("refused", "x", "another secret"), "classes", 9) == "x: refused, another secret"
    assert _said(Event("round", round=2, score=0.5), "classes", 9) == "round 2 of 9: accuracy 0.5000"
    assert _said(Event("round", round=2, score=4e4), "value", 9) == "round 2 of 9: RMSE 200.0 kg/ha"


def test_the_table_is_in_both_languages() -> None:
    report = {"score": "accuracy", "rounds": [{"round": 1, "score": 0.5}, {"round": 2, "score": 0.75}]}
    for lang, words in (("en", ("Round", "0.7500", "+0.0500")), ("pt-BR", ("Rodada", "0,7500", "0,0500"))):
        screen = Console(record=True, width=100)
        screen.print(federation_view(report, 0.7, lang))
        text = screen.export_text()
        assert all(word.lstrip("+") in text for word in words)
