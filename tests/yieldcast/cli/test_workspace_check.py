import json
import sys
from pathlib import Path

import pytest
from model_archives import config_of, with_config

from yieldcast.cli.app import main
from yieldcast.model_files.keras_version import has_known_fixes

MEMBER = Path(__file__).parents[2] / "old_files" / "run" / "members" / "member_001.keras"


def shown(capsys, *arguments, code=0):
    """What a command prints on stdout and stderr."""
    with pytest.raises(SystemExit) as ended:
        main([str(one) for one in arguments])
    assert ended.value.code == code
    found = capsys.readouterr()
    return found.out, " ".join(found.err.split())


def test_an_accepted_file_is_described(capsys):
    facts = json.loads(shown(capsys, "workspace", "check", MEMBER, "--json")[0])
    assert facts["accepted"] is True
    assert facts["inputs"] == {"weather": [None, 9, 4], "static": [None, 74]}
    assert facts["outputs"] == {"yield_kg_ha": [None, 1]}
    assert facts["keras"]["has_known_fixes"] is True
    assert len(facts["sha256"]) == 64
    out, _ = shown(capsys, "workspace", "check", MEMBER, "--lang", "pt-BR")
    assert out.startswith("aceito: ")
    assert "entradas: weather (9, 4)" in out
    assert "saídas: yield_kg_ha (1)" in out


def test_a_refused_file_ends_with_exit_code_5_and_its_reason(capsys, tmp_path):
    config = config_of(MEMBER.read_bytes())
    config["config"]["layers"][-1].update(class_name="Lambda")
    path = tmp_path / "model.keras"
    path.write_bytes(with_config(MEMBER.read_bytes(), config))
    out, err = shown(capsys, "workspace", "check", path, code=5)
    assert not out
    assert "a Lambda layer holds code" in err
    assert "Hint: " in err
    verdict = json.loads(shown(capsys, "workspace", "check", path, "--json", code=5)[0])
    assert (verdict["accepted"], verdict["rule"]) == (False, "lambda")
    assert verdict["reason"]
    assert verdict["hint"]
    assert "no such file" in shown(capsys, "workspace", "check", tmp_path / "x.keras", code=3)[1].lower()


def test_trust_is_an_option_of_every_command_and_ends_with_it(capsys, monkeypatch):
    from yieldcast.user_code import code_is_trusted

    seen = []
    monkeypatch.setattr(
        "yieldcast.cli.app.app", lambda given, prog_name: seen.append((given, code_is_trusted()))
    )
    main(["forecast", "RUN", "--trust-code"])
    main(["--trust-code", "forecast"])
    monkeypatch.setattr(sys, "argv", ["yieldcast", "forecast"])
    main()
    assert seen == [(["forecast", "RUN"], True), (["forecast"], True), (["forecast"], False)]
    assert not code_is_trusted()


def test_releases_of_keras_with_the_known_fixes():
    assert [has_known_fixes(one) for one in ("3.13.1", "3.13.2", "3.13.2rc1", "3.15.1", "4.0.0", "dev")] == [
        False, True, False, True, True, False,
    ]  # fmt: skip
