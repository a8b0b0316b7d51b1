"""A CDS client for the test server, and the files of one retrieval."""

import pytest
from cds_calls import KEY

from data_fetchers.cds.client import Cds
from data_fetchers.engine.cache import PendingJob


@pytest.fixture
def cds(cds_server, monkeypatch):
    monkeypatch.setenv("CDSAPI_KEY", KEY)
    return Cds(f"{cds_server.url}/api", first_poll_s=0.01, longest_poll_s=0.05)


@pytest.fixture
def job(tmp_path):
    return PendingJob(tmp_path / "part.job.json")


@pytest.fixture
def target(tmp_path):
    return tmp_path / "answer"
