"""The workspace's own queue under the reconciler: a lease goes back once, and to the right attempt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes_api import api_server
from sqlalchemy import select

from yieldcast import clock
from yieldcast.workspace.database import accounts, queue, versions
from yieldcast.workspace.database.models import Account, Job, Submission
from yieldcast.workspace.database.session import Database
from yieldcast.workspace.kubernetes.cluster import Cluster
from yieldcast.workspace.kubernetes.manifests import job_name
from yieldcast.workspace.kubernetes.queue import DatabaseQueue
from yieldcast.workspace.kubernetes.reconciler import Reconciler
from yieldcast.workspace.kubernetes.settings import KubernetesSettings

SETTINGS = KubernetesSettings(image="registry.example/yieldcast:0.2.0", database_cidr="10.1.2.3/32")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database with one submission in its queue."""
    made = Database.of_file(tmp_path / "workspace.db")
    with made.transaction() as connection:
        versions.create_tables(connection)
    with made.write() as session:
        accounts.add(session, "Ana", "contributor")
        session.flush()
        account = session.scalars(select(Account)).one()
        submission = Submission(
            id="0f3c", account_id=account.id, key="k", name="one", options={}, sha256="0" * 64, bytes=1,
            received=clock.now(), state="received",
        )  # fmt: skip
        session.add(submission)
        session.flush()
        queue.add(session, submission)
    yield made
    made.close()


def test_a_lease_of_a_deleted_job_goes_back_to_the_queue(database: Database) -> None:
    with api_server() as (api, client):
        reconciler = Reconciler(Cluster(client, SETTINGS), DatabaseQueue(database))
        assert reconciler.reconcile().created == ("0f3c",)
        with database.write() as session:
            claim = queue.claim(session, job_name("0f3c"), 3600)
        assert reconciler.reconcile().active == ("0f3c",)
        api.remove("submission-0f3c")
        found = reconciler.reconcile()
        assert found.given_back == found.created == ("0f3c",)
    with database.write() as session:
        job = session.scalars(select(Job)).one()
        assert (job.state, job.submission.state, job.worker) == ("queued", "queued", None)
        assert queue.finish(session, claim, {}, 0, 0.0) is False, (
            "the pod that is gone cannot end it any more"
        )


def test_a_lease_that_another_attempt_holds_is_left_alone(database: Database) -> None:
    with database.write() as session:
        queue.claim(session, job_name("0f3c"), 3600)
    seen = DatabaseQueue(database).leased()["0f3c"]
    with database.write() as session:
        queue.give_back(session, seen)
        queue.claim(session, job_name("0f3c"), 3600)
    assert DatabaseQueue(database).give_back(seen) is False
    assert DatabaseQueue(database).leased()["0f3c"].attempt == 2
