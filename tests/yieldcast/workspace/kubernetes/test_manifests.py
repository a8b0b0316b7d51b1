"""What is sent to Kubernetes, and the settings that it is made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st
from kubernetes import client
from kubernetes_api import _without_none
from typer.main import get_command

from yieldcast.cli.app import app
from yieldcast.errors import ConfigError, MissingDataError
from yieldcast.workspace.database.session import VARIABLE
from yieldcast.workspace.kubernetes import manifests
from yieldcast.workspace.kubernetes.settings import KubernetesSettings
from yieldcast.workspace.worker import NAME_VARIABLE

SETTINGS = KubernetesSettings(image="registry.example/yieldcast:0.2.0", database_cidr="10.1.2.3/32")


def pod(settings: KubernetesSettings = SETTINGS) -> dict[str, Any]:
    spec: dict[str, Any] = manifests.job(settings, "17")["spec"]["template"]["spec"]
    return spec


def test_every_manifest_is_what_the_typed_models_of_the_client_read() -> None:
    full = KubernetesSettings(
        image=f"registry.example/yieldcast@sha256:{'0' * 64}", database_labels={"app": "postgres"},
        database_namespace="databases", allow_dns=True, node_selector={"disk": "fast"},
        runtime_class="gvisor", seccomp_profile="profiles/yieldcast.json", user_namespace=False,
    )  # fmt: skip
    for settings in (SETTINGS, full):
        for manifest in manifests.all_manifests(settings, "17"):
            model = getattr(client, f"V1{manifest['kind']}")
            assert _without_none(model.from_dict(manifest).to_dict(serialize=True)) == manifest


def test_the_pod_has_no_rights_and_writes_only_results_and_scratch() -> None:
    spec = pod()
    (container,) = spec["containers"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["hostUsers"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "privileged": False, "readOnlyRootFilesystem": True,
        "runAsNonRoot": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    writable = {m["mountPath"] for m in container["volumeMounts"] if not m.get("readOnly")}
    assert writable == {"/workspace/results", "/workspace/scratch", "/tmp"}
    assert container["resources"]["limits"] == container["resources"]["requests"]
    assert set(container["resources"]["limits"]) == {"cpu", "memory", "ephemeral-storage"}


def test_the_address_of_the_database_is_only_in_a_secret() -> None:
    (container,) = pod()["containers"]
    (url,) = [each for each in container["env"] if each["name"] == manifests.URL_VARIABLE]
    assert url["valueFrom"]["secretKeyRef"] == {"name": "yieldcast-database", "key": "url"}
    assert "--database" not in container["args"], "arguments can be read by every process of the pod"


def test_the_policy_reaches_the_database_and_by_wish_the_name_server() -> None:
    closed = manifests.network_policy(SETTINGS)["spec"]
    assert [rule["ports"][0]["port"] for rule in closed["egress"]] == [5432]
    opened = manifests.network_policy(SETTINGS.model_copy(update={"allow_dns": True}))["spec"]
    assert [rule["ports"][0]["port"] for rule in opened["egress"]] == [5432, 53]
    assert closed["podSelector"]["matchLabels"].items() <= (
        manifests.job(SETTINGS, "17")["spec"]["template"]["metadata"]["labels"].items()
    )


@effort(max_examples=40)
@given(st.text(min_size=1, max_size=80), st.text(min_size=1, max_size=80))
def test_names_of_jobs_are_labels_and_differ_as_ids_do(one: str, two: str) -> None:
    names = [manifests.job_name(each) for each in (one, two)]
    for name in names:
        assert len(name) <= 63
        assert name[0].isalnum()
        assert name[-1].isalnum()
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert (names[0] == names[1]) == (one == two)


def test_settings_are_read_from_toml(tmp_path: Path) -> None:
    file = tmp_path / "cluster.toml"
    file.write_text('image = "registry.example/yieldcast:0.2.0"\ndatabase_cidr = "10.1.2.3/32"\njobs = 8\n')
    assert KubernetesSettings.read(file).jobs == 8
    with pytest.raises(MissingDataError):
        KubernetesSettings.read(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('image = "yieldcast"\ndatabase_cidr = "10.1.2.3/32"', "tag"),
        ('image = "yieldcast:latest"\ndatabase_cidr = "10.1.2.3/32"', "latest"),
        ('image = "registry:5000/yieldcast"\ndatabase_cidr = "10.1.2.3/32"', "tag"),
        ('image = "a:1"', "either database_cidr or database_labels"),
        ('image = "a:1"\ndatabase_cidr = "0.0.0.0/0"', "all addresses"),
        ('image = "a:1"\ndatabase_cidr = "db.example"', "database_cidr"),
        ('image = "a:1"\ndatabase_cidr = "10.1.2.3/32"\nrun_as_user = 0', "run_as_user"),
        ('image = "a:1"\ndatabase_cidr = "10.1.2.3/32"\nmemory = "much"', "memory"),
        ('image = "a:1"\ndatabase_cidr = "10.1.2.3/32"\nprivileged = true', "privileged"),
        ("image = ", "not TOML"),
    ],
)
def test_wrong_settings_are_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "cluster.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=said):
        KubernetesSettings.read(file)


def test_the_worker_has_the_options_that_the_job_gives_it() -> None:
    worker = get_command(app).commands["workspace"].commands["worker"]  # type: ignore[attr-defined]
    known = {option for parameter in worker.params for option in parameter.opts}
    (container,) = pod(SETTINGS.model_copy(update={"trust": True}))["containers"]
    given = {word for word in container["args"] if word.startswith("--")}
    assert container["command"] == ["yieldcast", "workspace", "worker"]
    assert given == {"--data", "--once", "--submission", "--trust"}
    assert given <= known
    assert {manifests.URL_VARIABLE, "YIELDCAST_WORKER"} == {VARIABLE, NAME_VARIABLE}
    assert {VARIABLE, NAME_VARIABLE} <= {each["name"] for each in container["env"]}
