"""`yieldcast workspace kubernetes`: manifests for review, and what is refused before anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from yieldcast.cli.app import app
from yieldcast.cli.workspace_kubernetes import _lines
from yieldcast.errors import ConfigError
from yieldcast.workspace.kubernetes.reconciler import Pass

RUN = CliRunner()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "cluster.toml"
    file.write_text('image = "registry.example/yieldcast:0.2.0"\ndatabase_cidr = "10.1.2.3/32"\n')
    return file


def test_the_manifests_are_printed_as_yaml(config: Path) -> None:
    result = RUN.invoke(
        app, ["workspace", "kubernetes", "manifest", "--config", str(config), "--submission", "0f3c"]
    )
    assert result.exit_code == 0
    documents = list(yaml.safe_load_all(result.output))
    kinds = [document["kind"] for document in documents]
    assert kinds == ["ServiceAccount", "Role", "RoleBinding", "NetworkPolicy", "Job"]
    assert documents[-1]["metadata"]["name"] == "submission-0f3c"


def test_a_database_that_pods_cannot_share_is_refused(config: Path, tmp_path: Path) -> None:
    words = ["workspace", "kubernetes", "run", "--once", "--config", str(config)]
    result = RUN.invoke(app, [*words, "--database", f"sqlite:///{tmp_path}/workspace.db"])
    assert isinstance(result.exception, ConfigError)
    assert "expected PostgreSQL" in str(result.exception)
    assert isinstance(RUN.invoke(app, words).exception, ConfigError)


def test_only_changes_are_told() -> None:
    assert _lines(Pass(active=("a",))) == []
    assert _lines(
        Pass(given_back=("a",), removed=("a",), failures={"a": "DeadlineExceeded", "b": "of another day"})
    ) == [
        "a: lease given back, its Job is gone",
        "a: failed Job removed",
        "a: its Job failed: DeadlineExceeded",
        "0 with a Job, 0 waiting",
    ]
