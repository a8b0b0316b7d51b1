"""What is sent to Kubernetes, as plain data: one Job per submission, and what its pods may do and reach.

The pod follows the profile Restricted of the Pod Security Standards
(https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted), and has besides: a file
system that cannot be written, no token of a service account, and a user namespace of its own.
"""

from __future__ import annotations

import hashlib
import re
from importlib import import_module
from typing import Any

from yieldcast.errors import ConfigError
from yieldcast.workspace.kubernetes.settings import KubernetesSettings

APP = "yieldcast-worker"  # label app.kubernetes.io/name of Jobs and pods, and name of the NetworkPolicy
DISPATCHER = "yieldcast-dispatcher"  # who may make Jobs
SUBMISSION = "yieldcast.org/submission"  # annotation with the submission's id
SELECTOR = f"app.kubernetes.io/name={APP}"
URL_VARIABLE = "YIELDCAST_DATABASE"

_FAILURES: list[dict[str, Any]] = [
    # A node that is drained or lost is nobody's failure.
    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
    # Exit code 2 is a wrong setting, or a sandbox that does not hold here: the next pod would say the same.
    {"action": "FailJob", "onExitCodes": {"containerName": "worker", "operator": "In", "values": [2]}},
]
_FOLDER = "/workspace"  # of the workspace in the container


def job_name(submission: str) -> str:
    """Name of the Job of a submission: the same for the same id, a DNS label, different for different ids."""
    name = f"submission-{submission}".lower()
    if name == f"submission-{submission}" and len(name) <= 50 and re.fullmatch(r"[-a-z0-9]*[a-z0-9]", name):
        return name
    kept = re.sub(r"[^a-z0-9]+", "-", name)[:40].strip("-")
    return f"{kept}-{hashlib.sha256(submission.encode()).hexdigest()[:8]}"


def job(settings: KubernetesSettings, submission: str) -> dict[str, Any]:
    """The Job that runs one submission.

    Args:
        settings: limits and names.
        submission: its id.
    """
    labels = {"app.kubernetes.io/name": APP, "app.kubernetes.io/managed-by": DISPATCHER}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(submission),
            "namespace": settings.namespace,
            "labels": labels,
            "annotations": {SUBMISSION: submission},
        },
        "spec": {
            "parallelism": 1,
            "completions": 1,
            "backoffLimit": settings.retries,
            "activeDeadlineSeconds": settings.deadline_s,
            "ttlSecondsAfterFinished": settings.keep_s,
            "podReplacementPolicy": "Failed",  # never two pods of one submission at a time
            "podFailurePolicy": {"rules": _FAILURES},
            "template": {"metadata": {"labels": labels}, "spec": _pod(settings, submission)},
        },
    }


def _pod(settings: KubernetesSettings, submission: str) -> dict[str, Any]:
    user = settings.run_as_user
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "hostUsers": not settings.user_namespace,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": user,
            "runAsGroup": user,
            "seccompProfile": _seccomp(settings),
        },
        "containers": [_container(settings, submission)],
        "volumes": [
            {"name": "workspace", "persistentVolumeClaim": {"claimName": settings.data_claim}},
            {"name": "scratch", "emptyDir": {"sizeLimit": settings.ephemeral_storage}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
        ],
    }
    if settings.node_selector:
        pod["nodeSelector"] = dict(settings.node_selector)
    if settings.runtime_class:
        pod["runtimeClassName"] = settings.runtime_class
    return pod


def _seccomp(settings: KubernetesSettings) -> dict[str, str]:
    if settings.seccomp_profile == "RuntimeDefault":
        return {"type": "RuntimeDefault"}
    return {"type": "Localhost", "localhostProfile": settings.seccomp_profile}


def _container(settings: KubernetesSettings, submission: str) -> dict[str, Any]:
    limits = {
        "cpu": settings.cpu,
        "memory": settings.memory,
        "ephemeral-storage": settings.ephemeral_storage,
    }
    return {
        "name": "worker",
        "image": settings.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["yieldcast", "workspace", "worker"],
        "args": [
            *("--data", _FOLDER, "--once", "--submission", submission),
            *(["--trust"] if settings.trust else []),
        ],
        "env": [
            {
                "name": URL_VARIABLE,
                "valueFrom": {
                    "secretKeyRef": {"name": settings.database_secret, "key": settings.database_key}
                },
            },
            {"name": "YIELDCAST_WORKER", "value": job_name(submission)},
            {"name": "HOME", "value": "/tmp"},
            {"name": "OMP_NUM_THREADS", "value": "1"},
        ],
        "resources": {"requests": limits, "limits": limits},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            *(
                {
                    "name": "workspace",
                    "mountPath": f"{_FOLDER}/{part}",
                    "subPath": part,
                    "readOnly": part != "results",
                }
                for part in ("workspace.toml", "data", "submissions", "results")
            ),
            {"name": "scratch", "mountPath": f"{_FOLDER}/scratch"},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }


def network_policy(settings: KubernetesSettings) -> dict[str, Any]:
    """The NetworkPolicy of worker pods: nothing comes in, and only the database is reached."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": APP, "namespace": settings.namespace},
        "spec": {
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": APP}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [],
            "egress": [_to_database(settings), *([_TO_DNS] if settings.allow_dns else [])],
        },
    }


def _to_database(settings: KubernetesSettings) -> dict[str, Any]:
    if settings.database_cidr is not None:
        peer: dict[str, Any] = {"ipBlock": {"cidr": settings.database_cidr}}
    else:
        peer = {"podSelector": {"matchLabels": dict(settings.database_labels)}}
        if settings.database_namespace is not None:
            name = {"kubernetes.io/metadata.name": settings.database_namespace}
            peer["namespaceSelector"] = {"matchLabels": name}
    return {"to": [peer], "ports": [{"protocol": "TCP", "port": settings.database_port}]}


_TO_DNS: dict[str, Any] = {
    "to": [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        }
    ],
    "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
}


def access(settings: KubernetesSettings) -> list[dict[str, Any]]:
    """What the dispatcher needs when it runs inside the cluster: ServiceAccount, Role, RoleBinding."""
    about = {"name": DISPATCHER, "namespace": settings.namespace}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": about},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": about,
            "rules": [
                {
                    "apiGroups": ["batch"],
                    "resources": ["jobs"],
                    "verbs": ["create", "delete", "list", "watch"],
                },
                {
                    "apiGroups": ["networking.k8s.io"],
                    "resources": ["networkpolicies"],
                    "verbs": ["create", "patch"],
                },
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": about,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": DISPATCHER},
            "subjects": [{"kind": "ServiceAccount", **about}],
        },
    ]


def all_manifests(settings: KubernetesSettings, submission: str) -> list[dict[str, Any]]:
    """Everything for review: access of the dispatcher, the policy, and the Job of one submission."""
    return [*access(settings), network_policy(settings), job(settings, submission)]


def as_yaml(manifests: list[dict[str, Any]]) -> str:
    """Manifests as the documents of one YAML file, as ``kubectl apply -f`` takes it.

    Raises:
        ConfigError: PyYAML, which comes with the client of Kubernetes, is not installed.
    """
    try:
        yaml = import_module("yaml")
    except ModuleNotFoundError as error:
        raise ConfigError(
            "PyYAML is not installed", "Install it: pip install 'yieldcast[kubernetes]'."
        ) from error
    return str(yaml.safe_dump_all(manifests, sort_keys=False, explicit_start=True))
