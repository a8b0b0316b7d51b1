"""Jobs and queue in step, through the official client, against a stand-in for the API server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from kubernetes_api import Api, Fault, api_server

from yieldcast.errors import ConfigError, CredentialsError, FetchError
from yieldcast.workspace.kubernetes.cluster import Cluster
from yieldcast.workspace.kubernetes.manifests import APP, job_name
from yieldcast.workspace.kubernetes.reconciler import Pass, Reconciler
from yieldcast.workspace.kubernetes.settings import KubernetesSettings

SETTINGS = KubernetesSettings(
    image="registry.example/yieldcast:0.2.0", database_cidr="10.1.2.3/32", jobs=3, poll_s=1.0
)


@dataclass(frozen=True)
class Held:
    """A lease."""

    submission: str
    worker: str


@dataclass
class Submissions:
    """A queue in memory: submissions wait, are leased to a worker, or are done."""

    waiting: list[str] = field(default_factory=list)
    running: dict[str, str] = field(default_factory=dict)

    def queued(self) -> list[str]:
        return list(self.waiting)

    def leased(self) -> dict[str, Held]:
        return {submission: Held(submission, worker) for submission, worker in self.running.items()}

    def give_back(self, held: Held) -> bool:
        if self.running.get(held.submission) != held.worker:
            return False
        del self.running[held.submission]
        self.waiting.append(held.submission)
        return True

    def claim(self, submission: str) -> None:
        """What the worker in the pod does first."""
        self.waiting.remove(submission)
        self.running[submission] = job_name(submission)


@dataclass
class Clock:
    """Seconds that pass only when somebody waits."""

    seconds: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.seconds

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.seconds += seconds


@dataclass
class World:
    api: Api
    client: Any
    clock: Clock
    queue: Submissions
    cluster: Cluster
    reconciler: Reconciler[Held]


@pytest.fixture
def world() -> Iterator[World]:
    with api_server() as (api, client):
        clock, queue = Clock(), Submissions()
        cluster = Cluster(client, SETTINGS, pause=clock.pause)
        yield World(api, client, clock, queue, cluster, Reconciler(cluster, queue, clock.now))


def test_one_job_for_each_queued_submission_and_none_twice(world: World) -> None:
    world.queue.waiting = ["a", "b"]
    first, second = world.reconciler.reconcile(), world.reconciler.reconcile()
    assert first.created == ("a", "b")
    assert first.waiting == ()
    assert second.created == ()
    assert second.active == ("a", "b")
    assert world.api.names() == ["submission-a", "submission-b"]
    # Another dispatcher has made the Job between the list and the creation: that is no error.
    assert world.cluster.create("a") is False


def test_no_more_jobs_than_allowed_at_a_time(world: World) -> None:
    world.queue.waiting = ["a", "b", "c", "d", "e"]
    assert world.reconciler.reconcile().waiting == ("d", "e")
    for name in ("a", "b", "c"):
        world.queue.claim(name)
    assert world.reconciler.reconcile().created == ()
    world.api.end("submission-a", "Complete")
    del world.queue.running["a"]
    assert world.reconciler.reconcile().created == ("d",)


def test_a_deleted_job_gives_its_lease_back_and_is_made_again(world: World) -> None:
    world.queue.waiting = ["a"]
    world.reconciler.reconcile()
    world.queue.claim("a")
    assert world.reconciler.reconcile() == Pass(active=("a",), version=world.api.version)
    world.api.remove("submission-a")
    found = world.reconciler.reconcile()
    assert found.given_back == ("a",)
    assert found.created == ("a",)
    assert world.queue.running == {}
    assert world.api.names() == ["submission-a"]


def test_a_failed_job_gives_its_lease_back_and_is_made_again_after_a_pause(world: World) -> None:
    world.queue.waiting = ["a"]
    world.reconciler.reconcile()
    uid = world.api.job("submission-a")["metadata"]["uid"]
    world.queue.claim("a")
    world.api.end("submission-a", "Failed", "DeadlineExceeded", "Job was active longer than deadline")
    found = world.reconciler.reconcile()
    assert found.given_back == ("a",)
    assert found.removed == ("a",)
    assert found.failures == {"a": "DeadlineExceeded: Job was active longer than deadline"}
    assert world.reconciler.reconcile().waiting == ("a",), "not at once: a broken image would loop"
    world.clock.seconds = 31
    assert world.reconciler.reconcile().created == ("a",)
    assert world.api.job("submission-a")["metadata"]["uid"] != uid
    # The second failure waits twice as long.
    world.api.end("submission-a", "Failed")
    world.reconciler.reconcile()
    world.clock.seconds = 31 + 59
    assert world.reconciler.reconcile().created == ()
    world.clock.seconds = 31 + 61
    assert world.reconciler.reconcile().created == ("a",)


def test_finished_jobs_and_other_workers_leases_are_left_alone(world: World) -> None:
    world.queue.waiting = ["a"]
    world.reconciler.reconcile()
    world.queue.claim("a")
    del world.queue.running["a"]  # done
    world.api.end("submission-a", "Complete")
    world.queue.running["b"] = "a machine outside the cluster"
    found = world.reconciler.reconcile()
    assert found == Pass(version=world.api.version)
    assert world.queue.running == {"b": "a machine outside the cluster"}


def test_a_job_of_the_same_name_made_meanwhile_is_not_deleted(world: World) -> None:
    world.cluster.create("a")
    old = world.cluster.jobs()[0][0]
    world.api.remove("submission-a")
    world.cluster.create("a")
    world.cluster.delete(old)
    assert world.api.names() == ["submission-a"]


@pytest.mark.parametrize("code", [429, 500, 503, 0])
def test_a_busy_or_cut_off_api_is_asked_again_with_growing_pauses(world: World, code: int) -> None:
    world.queue.waiting = ["a"]
    world.api.faults = [Fault(code), Fault(code), Fault(code, method="POST")]
    assert world.reconciler.reconcile().created == ("a",)
    first, second, third = world.clock.pauses
    assert 0.5 <= first <= 1.5
    assert 1.0 <= second <= 2.0
    assert 0.5 <= third <= 1.5


def test_the_pause_that_the_api_asks_for_is_kept(world: World) -> None:
    world.api.faults = [Fault(429, {"Retry-After": "7"})]
    world.cluster.jobs()
    assert world.clock.pauses == [7.0]


def test_an_answer_that_is_lost_after_the_job_was_made_makes_no_second_one(world: World) -> None:
    assert world.cluster.create("a") is True
    world.api.faults = [Fault(0, method="POST")]
    assert world.cluster.create("a") is False
    assert world.api.names() == ["submission-a"]


def test_a_long_list_is_read_in_pages_and_again_from_the_start_when_it_became_too_old(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yieldcast.workspace.kubernetes.cluster._PAGE", 2)
    for name in "abcde":
        world.cluster.create(name)
    world.api.forget_pages = 1
    jobs, _ = world.cluster.jobs()
    assert [job.submission for job in jobs] == list("abcde")


def test_the_watch_ends_when_a_job_ends_and_when_it_is_too_old(world: World) -> None:
    world.cluster.create("a")
    _, version = world.cluster.jobs()
    world.api.end("submission-a", "Complete")
    assert world.cluster.wait_for_change(version, 5.0) is True
    world.api.oldest = int(world.api.version) + 1
    assert world.cluster.wait_for_change(version, 5.0) is True
    world.api.faults = [Fault(410)]
    assert world.cluster.wait_for_change(version, 5.0) is True
    world.api.faults = [Fault(503)]
    assert world.cluster.wait_for_change(version, 5.0) is False


def test_a_quiet_watch_ends_by_its_time(world: World) -> None:
    _, version = world.cluster.jobs()
    assert world.cluster.wait_for_change(version, 1.0) is False


def test_the_policy_is_set_right_again(world: World) -> None:
    world.cluster.apply_policy()
    policy = world.api.objects["networkpolicies", "yieldcast", APP]
    policy["spec"]["egress"] = [{}]  # somebody has opened everything
    world.cluster.apply_policy()
    spec = world.api.objects["networkpolicies", "yieldcast", APP]["spec"]
    assert spec["egress"] == [
        {"to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}], "ports": [{"protocol": "TCP", "port": 5432}]}
    ]
    assert spec["ingress"] == []
    assert spec["policyTypes"] == ["Ingress", "Egress"]


def test_errors_say_what_to_do(world: World) -> None:
    world.api.faults = [Fault(403)]
    with pytest.raises(CredentialsError, match="fault 403") as error:
        world.cluster.jobs()
    assert "Role" in error.value.hint
    elsewhere = Cluster(world.client, SETTINGS.model_copy(update={"namespace": "other"}))
    with pytest.raises(ConfigError, match='namespaces "other" not found'):
        elsewhere.jobs()
    world.api.faults = [Fault(500) for _ in range(25)]
    with pytest.raises(FetchError, match="500"):
        world.cluster.jobs()


class StopLoopError(Exception):
    """Ends a loop without end."""


def test_the_loop_goes_on_after_the_api_was_away(world: World) -> None:
    world.queue.waiting = ["a"]
    world.api.faults = [Fault(500) for _ in range(20)]
    troubles: list[float] = []

    def on_pass(found: Pass) -> None:
        assert found.created == ("a",)
        raise StopLoopError

    with pytest.raises(StopLoopError):
        world.reconciler.run(on_pass, lambda _, seconds: troubles.append(seconds), world.clock.pause)
    assert troubles == [1.0]
    assert ("networkpolicies", "yieldcast", APP) in world.api.objects


def test_the_loop_ends_where_waiting_does_not_help(world: World) -> None:
    world.api.faults = [Fault(403)]
    with pytest.raises(CredentialsError):
        world.reconciler.run(lambda _: None, lambda *_: None, world.clock.pause)
