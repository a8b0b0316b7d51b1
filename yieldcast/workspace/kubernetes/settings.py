"""Settings of a workspace that runs its submissions on Kubernetes, read from TOML."""

from __future__ import annotations

import ipaddress
import re
import tomllib
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from yieldcast.errors import ConfigError, MissingDataError

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"  # RFC 1123
_QUANTITY = r"[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?"  # resource.Quantity, without exponents

Label = Annotated[str, Field(pattern=rf"^{_LABEL}$", max_length=63)]
Quantity = Annotated[str, Field(pattern=rf"^{_QUANTITY}$")]


class KubernetesSettings(BaseModel):
    """Where submissions run, with which limits, and what they can reach.

    Args:
        image: container image with yieldcast and its extra workspace, with a tag other than latest or,
            better, a digest: what was tested is what runs.
        namespace: of Jobs, Secret, claim and NetworkPolicy.
        context: of the kubeconfig; None: the current one, or the service account inside a cluster.
        database_secret, database_key: Secret and its key that hold the URL of PostgreSQL.
        database_cidr: addresses of the database, as 10.0.0.5/32; or
        database_labels: of its pods, in the namespace
        database_namespace: (None: the same).
        database_port: of the database.
        allow_dns: also let worker pods ask the cluster's DNS: needed when the URL holds a name. A name
            server passes questions on to others, so this is a narrow way out.
        data_claim: PersistentVolumeClaim with the workspace directory.
        run_as_user: who owns the files of the claim; never 0.
        cpu, memory, ephemeral_storage: of one Job; requested and limit.
        deadline_s: seconds after which Kubernetes ends a Job; more than the workspace's own limit of time.
        retries: new pods of one Job after a failure that is not the model's.
        keep_s: seconds that a finished Job stays, with its log.
        jobs: most Jobs at a time.
        node_selector: labels of the nodes to use.
        runtime_class: for example gvisor or kata; None: that of the cluster.
        seccomp_profile: "RuntimeDefault", or the path of a profile on the nodes (type Localhost).
        user_namespace: run pods in a user namespace of their own (hostUsers: false).
        trust: pass --trust to the worker: it then runs models also where the pod does not let it make the
            namespaces of its own sandbox. A model can then do what the worker can, see the guide on scale.
        poll_s: seconds between two looks at the queue.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str
    namespace: Label = "yieldcast"
    context: str | None = None
    database_secret: Label = "yieldcast-database"
    database_key: Annotated[str, Field(pattern=r"^[-._a-zA-Z0-9]+$")] = "url"
    database_cidr: str | None = None
    database_labels: dict[str, str] = {}
    database_namespace: Label | None = None
    database_port: Annotated[int, Field(ge=1, le=65535)] = 5432
    allow_dns: bool = False
    data_claim: Label = "yieldcast-workspace"
    run_as_user: Annotated[int, Field(ge=1, le=2**31 - 1)] = 10001
    cpu: Quantity = "2"
    memory: Quantity = "8Gi"
    ephemeral_storage: Quantity = "10Gi"
    deadline_s: Annotated[int, Field(ge=60)] = 4 * 3600
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    keep_s: Annotated[int, Field(ge=0)] = 3600
    jobs: Annotated[int, Field(ge=1, le=1000)] = 4
    node_selector: dict[str, str] = {}
    runtime_class: Label | None = None
    seccomp_profile: str = "RuntimeDefault"
    user_namespace: bool = True
    trust: bool = False
    poll_s: Annotated[float, Field(gt=0, le=300)] = 10.0

    @field_validator("image")
    @classmethod
    def _named(cls, image: str) -> str:
        name = image.rpartition("/")[2]
        digest = re.search(r"@sha256:[0-9a-f]{64}$", image)
        if not digest and (":" not in name or name.endswith(":latest") or "@" in name):
            raise ValueError(
                f"expected NAME@sha256:DIGEST or NAME:TAG with a tag other than latest, received {image!r}"
            )
        return image

    @field_validator("database_cidr")
    @classmethod
    def _addresses(cls, cidr: str | None) -> str | None:
        if cidr is not None and ipaddress.ip_network(cidr).prefixlen == 0:
            raise ValueError("expected the addresses of the database, received all addresses")
        return cidr

    @model_validator(mode="after")
    def _one_database(self) -> Self:
        if (self.database_cidr is None) == (not self.database_labels):
            raise ValueError("expected either database_cidr or database_labels")
        return self

    @classmethod
    def read(cls, path: Path) -> KubernetesSettings:
        """Settings of a TOML file.

        Raises:
            MissingDataError: no such file.
            ConfigError: not TOML, an unknown key or a value that is not allowed.
        """
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise MissingDataError(
                f"{path} cannot be read: {error.strerror}", "Give another --config."
            ) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not TOML: {error}", "Give one `key = value` a line.") from error
        try:
            return cls(**content)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise ConfigError(
                f"{path}: {where + ': ' if where else ''}{first['msg']}",
                f"Keys: {', '.join(cls.model_fields)}.",
            ) from error
