"""Runs of strangers: nothing that they name is imported, and their members are read against closed lists."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from model_archives import config_of, with_config

from yieldcast.errors import RunError
from yieldcast.training.run_directory import Run
from yieldcast.user_code import code_is_trusted, trusted_code

OLD = Path(__file__).parents[2] / "old_files" / "run"
MODULE = "module_of_a_stranger"


@pytest.fixture
def sent(tmp_path, monkeypatch):
    """A run whose settings name a module, and whose member has a layer of it; the module leaves a mark."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    (tmp_path / f"{MODULE}.py").write_text(
        "open('imported', 'w').close()\ndef build(settings, shapes): ...\n"
    )
    shutil.copytree(OLD, tmp_path / "run")
    resolved = json.loads((tmp_path / "run" / "resolved.json").read_text())
    resolved["model"] = {"build": f"{MODULE}:build"}
    (tmp_path / "run" / "resolved.json").write_text(json.dumps(resolved))
    member = tmp_path / "run" / "members" / "member_001.keras"
    config = config_of(member.read_bytes())
    layer = next(one for one in config["config"]["layers"] if one["class_name"] == "Dense")
    layer.update(module=MODULE, class_name="Mine", registered_name="stranger>Mine")
    member.write_bytes(with_config(member.read_bytes(), config))
    about = json.loads(member.with_suffix(".json").read_text())
    about.pop("sha256", None)  # the sender writes whatever fits
    member.with_suffix(".json").write_text(json.dumps(about))
    return tmp_path / "run"


def test_code_that_a_run_names_is_not_run(sent):
    run = Run.open(sent)
    with pytest.raises(
        RunError, match=f"classes of Keras, received 'Mine' of the module '{MODULE}'"
    ) as caught:
        run.load_member(1)
    assert "yieldcast --trust-code COMMAND" in caught.value.hint
    assert not (sent.parent / "imported").exists()
    assert MODULE not in sys.modules


def test_members_of_keras_layers_load_though_the_run_names_a_module(sent):
    assert Run.open(sent).load_member(2).name == "dual_path"
    assert not (sent.parent / "imported").exists()


def test_a_run_that_is_trusted_imports_its_module(sent):
    with pytest.raises(RunError, match="cannot be read"):  # it holds no class Mine
        Run.open(sent, trust_code=True).load_member(1)
    assert (sent.parent / "imported").exists()


def test_trust_holds_within_its_block_only(sent):
    with trusted_code():
        assert code_is_trusted()
        assert Run.open(sent).trust_code
        assert not Run.open(sent, trust_code=False).trust_code
    assert not Run.open(sent).trust_code


def test_code_inside_a_member_is_refused_even_in_a_trusted_run_without_a_module(sent):
    resolved = json.loads((sent / "resolved.json").read_text())
    resolved["model"] = {"build": None}
    (sent / "resolved.json").write_text(json.dumps(resolved))
    member = sent / "members" / "member_001.keras"
    config = config_of(member.read_bytes())
    layer = next(one for one in config["config"]["layers"] if one["class_name"] == "Mine")
    layer.update(
        module="keras.layers", class_name="Lambda", registered_name=None,
        config={"name": layer["name"], "function": "4wAAAA=="},
    )  # fmt: skip
    member.write_bytes(with_config(member.read_bytes(), config))
    for trusted in (False, True):
        with pytest.raises(RunError, match="Lambda"):
            Run.open(sent, trust_code=trusted).load_member(1)
