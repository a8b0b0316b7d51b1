"""The workspace's queue as the reconciler sees it."""

from __future__ import annotations

from sqlalchemy import select

from yieldcast.workspace.database import queue
from yieldcast.workspace.database.models import Job
from yieldcast.workspace.database.session import Database


class DatabaseQueue:
    """Reads the queue and ends leases, each in a transaction of its own.

    Args:
        database: of the workspace.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def queued(self) -> list[str]:
        """Ids of submissions that wait for a worker, in the order of the queue."""
        query = select(Job.submission_id).where(Job.state == "queued").order_by(Job.queued, Job.submission_id)
        with self._database.read() as session:
            return list(session.scalars(query))

    def leased(self) -> dict[str, queue.Claim]:
        """Running submissions, by id, and who holds them."""
        with self._database.read() as session:
            return {
                job.submission_id: queue.Claim(job.submission_id, job.worker, job.attempts, job.lease_until)
                for job in session.scalars(select(Job).where(Job.state == "running"))
                if job.worker is not None and job.lease_until is not None
            }

    def give_back(self, held: queue.Claim) -> bool:
        """End the lease of a worker that is gone; False if it no longer holds it."""
        with self._database.write() as session:
            return queue.give_back(session, held)
