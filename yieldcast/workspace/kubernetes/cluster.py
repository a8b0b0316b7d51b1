"""The Kubernetes API through its official client: a few calls, tried again while the API is busy or away."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar

from yieldcast.errors import ConfigError, CredentialsError, FetchError
from yieldcast.workspace.kubernetes import manifests
from yieldcast.workspace.kubernetes.settings import KubernetesSettings

_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_TIMEOUT_S = (5.0, 30.0)  # connect, read
_PAGE = 200  # Jobs in one answer
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class JobState:
    """One Job of ours.

    Args:
        name: of the Job.
        submission: id, from the annotation.
        uid: changes when a Job of the same name is made again.
        finished: "complete" or "failed"; None while it waits or runs.
        reason: why it failed, as Kubernetes says it.
        ending: whether it is being deleted.
    """

    name: str
    submission: str
    uid: str
    finished: str | None = None
    reason: str = ""
    ending: bool = False


class Cluster:
    """Jobs and the NetworkPolicy of one namespace.

    Args:
        api: an `ApiClient` of the official client; see `connect`.
        settings: namespace, limits.
        give_up_s: seconds after which a call that fails again and again is given up.
        pause: how to wait; for tests.
    """

    def __init__(
        self,
        api: Any,
        settings: KubernetesSettings,
        give_up_s: float = 60.0,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        client = _library("kubernetes.client")
        self.settings = settings
        self._batch, self._network = client.BatchV1Api(api), client.NetworkingV1Api(api)
        self._give_up_s, self._pause = give_up_s, pause

    def apply_policy(self) -> None:
        """Make the NetworkPolicy as the settings say it, whatever was there under its name."""
        policy, namespace = manifests.network_policy(self.settings), self.settings.namespace
        made = self._call(
            lambda: self._network.create_namespaced_network_policy(
                namespace, policy, _request_timeout=_TIMEOUT_S
            ),
            unless=(409,),
        )
        if made is None:
            # A merge patch replaces lists as a whole, so no other rule survives.
            self._call(
                lambda: self._network.patch_namespaced_network_policy(
                    manifests.APP, namespace, policy, _request_timeout=_TIMEOUT_S,
                    _content_type="application/merge-patch+json",
                )
            )  # fmt: skip

    def create(self, submission: str) -> bool:
        """Make the Job of a submission; False if one of this name is there already."""
        body = manifests.job(self.settings, submission)
        made = self._call(
            lambda: self._batch.create_namespaced_job(
                self.settings.namespace, body, _request_timeout=_TIMEOUT_S
            ),
            unless=(409,),
        )
        return made is not None

    def delete(self, job: JobState) -> None:
        """Delete a Job and its pods; one that is gone, or another one of the same name, is left alone."""
        body = {"propagationPolicy": "Background", "preconditions": {"uid": job.uid}}
        self._call(
            lambda: self._batch.delete_namespaced_job(
                job.name, self.settings.namespace, body=body, _request_timeout=_TIMEOUT_S
            ),
            unless=(404, 409),
        )

    def jobs(self) -> tuple[list[JobState], str]:
        """All Jobs of submissions, and the version of the list, from which a watch goes on.

        A list that became too old between two pages (410) is read again from its start.
        """
        found: list[JobState] = []
        version, token = "", None
        while True:
            page = self._call(lambda token=token: self._page(token), unless=(410,))  # type: ignore[misc]
            if page is None:
                found, token = [], None
                continue
            found += [_state(item) for item in page.items]
            version, token = page.metadata.resource_version, _continue_token(page.metadata)
            if not token:
                return found, version

    def wait_for_change(self, version: str, seconds: float) -> bool:
        """Wait until a Job ends or is deleted, at most `seconds`; whether one did, or the list is too old."""
        from urllib3.exceptions import HTTPError

        watch = _library("kubernetes.watch").Watch()
        try:
            for event in watch.stream(
                self._batch.list_namespaced_job, self.settings.namespace,
                label_selector=manifests.SELECTOR, resource_version=version,
                timeout_seconds=max(1, round(seconds)), _request_timeout=(5.0, seconds + 10.0),
            ):  # fmt: skip
                if event["type"] == "DELETED" or _state(event["object"]).finished:
                    watch.stop()
                    return True
        except _library("kubernetes.client").ApiException as error:
            if error.status == 410:
                return True
            if error.status not in _TRANSIENT:
                raise _refused(error) from error
        except HTTPError:
            pass  # the next call finds out whether the API is away
        return False

    def _page(self, token: str | None) -> Any:
        options = {} if token is None else {"_continue": token}
        return self._batch.list_namespaced_job(
            self.settings.namespace, label_selector=manifests.SELECTOR, limit=_PAGE,
            _request_timeout=_TIMEOUT_S, **options,
        )  # fmt: skip

    def _call(self, act: Callable[[], Answer], unless: tuple[int, ...] = ()) -> Answer | None:
        """The answer of the API; None if its code is one of `unless`.

        Raises:
            CredentialsError: the API does not know us or does not allow it.
            ConfigError: the API does not accept what we send.
            FetchError: the API is away for too long, or any other error.
        """
        import tenacity
        from urllib3.exceptions import HTTPError

        tries = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_transient),
            wait=_pause_of,
            stop=tenacity.stop_after_delay(self._give_up_s) | tenacity.stop_after_attempt(20),
            reraise=True,
            sleep=self._pause,
        )
        try:
            return tries(act)
        except _library("kubernetes.client").ApiException as error:
            if error.status in unless:
                return None
            raise _refused(error) from error
        except HTTPError as error:
            raise FetchError(
                f"the Kubernetes API cannot be reached: {error}", "Is the cluster up, and the context right?"
            ) from error


def connect(settings: KubernetesSettings) -> Any:
    """An `ApiClient` for the cluster of the kubeconfig, or for the one that this process runs in.

    Raises:
        ConfigError: the package is missing, or there is no usable configuration.
    """
    client, config = _library("kubernetes.client"), _library("kubernetes.config")
    options = client.Configuration()
    try:
        if settings.context is None and _inside_a_cluster():
            config.load_incluster_config(options)
        else:
            config.load_kube_config(context=settings.context, client_configuration=options)
    except config.ConfigException as error:
        raise ConfigError(
            f"no usable configuration of Kubernetes: {error}", "Set KUBECONFIG, or the key context."
        ) from error
    options.retries = False  # `Cluster` tries again by itself, and can say so
    return client.ApiClient(options)


def _library(module: str) -> Any:
    """A module of the official client."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ConfigError(
            "the package kubernetes is not installed", "Install it: pip install 'yieldcast[kubernetes]'."
        ) from error


def _inside_a_cluster() -> bool:
    return "KUBERNETES_SERVICE_HOST" in os.environ


def _state(item: Any) -> JobState:
    """What matters of a Job of the client."""
    about, finished, reason = item.metadata, None, ""
    for condition in (item.status.conditions if item.status else None) or ():
        if condition.status == "True" and condition.type in ("Complete", "Failed"):
            finished = condition.type.lower()
            reason = ": ".join(filter(None, (condition.reason, condition.message)))
    submission = (about.annotations or {}).get(manifests.SUBMISSION, "")
    ending = about.deletion_timestamp is not None
    return JobState(about.name, submission, about.uid, finished, reason, ending)


def _continue_token(about: Any) -> str | None:
    """Where the next page begins; the client renamed the field in release 37."""
    for name in ("var_continue", "_continue"):
        if token := getattr(about, name, None):
            return str(token)
    return None


def _is_transient(error: BaseException) -> bool:
    from urllib3.exceptions import HTTPError

    return isinstance(error, HTTPError) or getattr(error, "status", None) in _TRANSIENT


def _pause_of(state: Any) -> float:
    """Seconds before the next try: what the API asks for (Retry-After), else 0.5, 1, 2 ... 30 with jitter."""
    import tenacity

    error = state.outcome.exception()
    asked = (getattr(error, "headers", None) or {}).get("Retry-After", "")
    if str(asked).isdigit():
        return min(float(asked), 60.0)
    growing = tenacity.wait_exponential(multiplier=0.5, max=30)
    return float((growing + tenacity.wait_random(0, 1))(state))


def _refused(error: Any) -> FetchError | ConfigError:
    """An answer of the API as an error that a user can act on."""
    try:
        text = str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        text = str(error.reason)
    if error.status in (401, 403):
        return CredentialsError(
            f"the Kubernetes API does not allow this ({error.status}): {text}",
            "Bind the Role that `yieldcast workspace kubernetes manifest` prints.",
        )
    if error.status in (400, 404, 422):
        return ConfigError(
            f"the Kubernetes API does not accept this ({error.status}): {text}",
            "Does the namespace exist? See the manifests: yieldcast workspace kubernetes manifest.",
        )
    return FetchError(f"the Kubernetes API failed ({error.status}): {text}", "Look at the cluster's state.")
