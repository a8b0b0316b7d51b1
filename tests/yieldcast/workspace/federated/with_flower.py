"""Federations over Flower's real transport; `test_flower.py` runs this file where Flower can be imported."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from federated_sites import make_site, small_network
from typer.testing import CliRunner

from yieldcast.cli.app import app
from yieldcast.errors import ConfigError, FetchError, RunError, YieldcastError
from yieldcast.model_files import build, check
from yieldcast.workspace.federated.flower import flower
from yieldcast.workspace.federated.learner import Learner
from yieldcast.workspace.federated.progress import Progress
from yieldcast.workspace.federated.roster import Event
from yieldcast.workspace.federated.server import Certificates, serve
from yieldcast.workspace.federated.settings import FederationSettings
from yieldcast.workspace.federated.simulation import _free_port, simulate, train_pooled
from yieldcast.workspace.federated.site import Site, connect
from yieldcast.workspace.federated.site_data import SiteData, open_site

SECRET = b"a secret of sixteen bytes and more"
SHARES = {"north": (0.6, 0.2, 0.2), "south": (0.2, 0.6, 0.2), "west": (0.2, 0.2, 0.6)}
MODEL = "0" * 64
SHORT = FederationSettings(rounds=2, batch_size=64, learning_rate=0.01, wait_s=60)


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SiteData]:
    folder = tmp_path_factory.mktemp("sites")
    return {
        name: open_site(make_site(folder / name, k, 200 + 50 * k, 150, shares))
        for k, (name, shares) in enumerate(SHARES.items())
    }


@pytest.fixture(scope="module")
def learner() -> Learner:
    return Learner(small_network(), "classes")


@pytest.fixture(scope="module")
def start() -> list[np.ndarray]:
    return [np.array(array) for array in small_network().get_weights()]


@pytest.fixture(scope="module")
def first_round() -> list[np.ndarray]:
    """Weights after the first round of `short`."""
    return []


@pytest.fixture(scope="module")
def short(
    learner: Learner, sites: dict[str, SiteData], start: list[np.ndarray], first_round: list[np.ndarray]
) -> Progress:
    """Two rounds without any trouble."""
    progress = Progress(SHORT, MODEL, start)

    def keep(event: Event) -> None:
        if event.round == 1:
            first_round.extend(progress.weights)

    simulate(progress, learner, sites, keep)
    return progress


def same(one: Progress, two: Progress) -> bool:
    return one.scores == two.scores and all(map(np.array_equal, one.weights, two.weights))


def test_a_round_is_the_mean_weighted_by_examples(
    learner: Learner,
    sites: dict[str, SiteData],
    start: list[np.ndarray],
    short: Progress,
    first_round: list[np.ndarray],
) -> None:
    trained = [
        learner.fit(start, data.training, SHORT, range(1), f"{name}, round 1") for name, data in sites.items()
    ]
    counts = [data.training.count for data in sites.values()]
    for found, *each in zip(first_round, *trained, strict=True):
        np.testing.assert_allclose(found, np.average(each, axis=0, weights=counts), rtol=2e-5, atol=2e-6)
    scores = [learner.score(first_round, data.holdout) for data in sites.values()]
    assert short.scores[0] == pytest.approx(np.mean(scores), abs=1e-12), "the holdouts are equally large"


def test_within_two_percent_of_pooled_training(
    learner: Learner, sites: dict[str, SiteData], start: list[np.ndarray]
) -> None:
    settings = FederationSettings(rounds=15, batch_size=16, learning_rate=3e-3, wait_s=60)
    progress = Progress(settings, MODEL, start)
    simulate(progress, learner, sites)
    pooled = train_pooled(learner, list(sites.values()), settings, start)
    assert pooled.score > 0.9
    assert progress.scores[-1] > pooled.score - 0.02


def test_a_server_that_was_stopped_goes_on_with_the_same_result(
    learner: Learner, sites: dict[str, SiteData], start: list[np.ndarray], short: Progress, tmp_path: Path
) -> None:
    def stop(event: Event) -> None:
        if event.what == "round":
            raise RunError("the machine is switched off")

    with pytest.raises(RunError, match="switched off"):
        simulate(Progress(SHORT, MODEL, start, folder=tmp_path), learner, sites, stop)
    again = Progress.start_or_resume(tmp_path, SHORT, MODEL, start)
    assert again.done == 1
    simulate(again, learner, sites)
    assert same(again, short)


class Meeting:
    """A server in this thread, sites in others."""

    def __init__(self, certificates: Certificates | None = None) -> None:
        for module in ("flwr.server", "flwr.client"):
            flower(module)
        self.address = f"127.0.0.1:{_free_port()}"
        self.certificates = certificates
        self.events: list[Event] = []
        self.errors: dict[str, YieldcastError] = {}
        self._threads: list[threading.Thread] = []

    def join(self, name: str, make: Callable[[], Site], root: Path | None = None, wait_s: float = 30) -> None:
        """Let a site take part; when it fails, keep the error."""

        def run() -> None:
            try:
                connect(make(), self.address, root, self.certificates is None, wait_s)
            except YieldcastError as error:
                self.errors[name] = error

        self._threads.append(threading.Thread(target=run, daemon=True))
        self._threads[-1].start()

    def lead(self, progress: Progress) -> None:
        serve(progress, SECRET, self.address, self.certificates, self.events.append)
        for thread in self._threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in self._threads)


def test_strangers_and_a_site_that_is_killed_do_not_change_the_result(
    learner: Learner, sites: dict[str, SiteData], start: list[np.ndarray], short: Progress
) -> None:
    meeting = Meeting()

    def site(name: str, model: str = MODEL, secret: bytes = SECRET) -> Callable[[], Site]:
        return lambda: Site(name, learner, model, sites.get(name, sites["north"]), secret)

    class Killed(Site):
        """Ends in its first round; the same site is started again."""

        def train(self, weights: Any, config: Any) -> Any:
            meeting.join("south again", site("south"))
            raise FetchError("killed")

    meeting.join("stranger", site("stranger", secret=b"guessed, guessed, guessed"))
    meeting.join("other model", site("other", model="1" * 64))
    meeting.join("south", lambda: Killed("south", learner, MODEL, sites["south"], SECRET))
    for name in ("north", "west"):
        meeting.join(name, site(name))
    progress = Progress(SHORT, MODEL, start)
    meeting.lead(progress)
    assert same(progress, short)
    assert set(meeting.errors) == {"stranger", "other model", "south"}
    assert "another secret" in str(meeting.errors["stranger"])
    assert "another model file" in str(meeting.errors["other model"])
    assert {event.site for event in meeting.events if event.what == "refused"} == {"stranger", "other"}


def test_sites_that_do_not_come_are_named(start: list[np.ndarray]) -> None:
    progress = Progress(SHORT.model_copy(update={"wait_s": 0.5}), MODEL, start)
    with pytest.raises(RunError, match=r"waited 0 s for 3 sites; here: none"):
        Meeting().lead(progress)


def certificate(folder: Path, name: str, issuer: Any = None) -> tuple[Any, Any]:
    """A key and a certificate of 127.0.0.1, in two files: by itself an authority, else signed by `issuer`."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    above, signer = (subject, key) if issuer is None else (issuer[0].subject, issuer[1])
    now = dt.datetime.now(dt.UTC)
    local = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(above).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1)).add_extension(local, critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )  # fmt: skip
    encoding = serialization.Encoding.PEM
    (folder / f"{name}.pem").write_bytes(made.public_bytes(encoding))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made, key


def test_tls_and_a_site_that_trusts_another_authority(
    learner: Learner, sites: dict[str, SiteData], start: list[np.ndarray], tmp_path: Path
) -> None:
    certificate(tmp_path, "server", certificate(tmp_path, "ca"))
    certificate(tmp_path, "other")
    ca = tmp_path / "ca.pem"
    meeting = Meeting(Certificates(ca, tmp_path / "server.pem", tmp_path / "server.key"))
    data = sites["north"]
    meeting.join(
        "deceived", lambda: Site("deceived", learner, MODEL, data, SECRET),
        tmp_path / "other.pem", wait_s=0.5,
    )  # fmt: skip
    for name in ("north", "south"):
        meeting.join(name, lambda name=name: Site(name, learner, MODEL, sites[name], SECRET), ca)
    progress = Progress(SHORT.model_copy(update={"rounds": 1, "sites": 2}), MODEL, start)
    meeting.lead(progress)
    assert progress.done == 1
    assert isinstance(meeting.errors.pop("deceived"), FetchError)
    assert meeting.errors == {}
    with pytest.raises(ConfigError, match=r"absent.pem cannot be read"):
        serve(progress, SECRET, meeting.address, Certificates(tmp_path / "absent.pem", ca, ca))


def test_the_command_simulates_and_writes_a_model_that_a_workspace_accepts(tmp_path: Path) -> None:
    model = tmp_path / "model.keras"
    small_network().save(model)
    folders = [
        make_site(tmp_path / name, k, 100, 60, shares) for k, (name, shares) in enumerate(SHARES.items())
    ]
    words = ["workspace", "federate", "simulate", str(model), *map(str, folders), "--rounds", "2", "--pooled"]
    result = CliRunner().invoke(
        app, [*words, "--out", str(tmp_path / "out"), "--json", str(tmp_path / "numbers.json")]
    )
    assert result.exit_code == 0, result.output
    numbers = json.loads((tmp_path / "numbers.json").read_text())
    kept = json.loads((tmp_path / "out" / "federation.json").read_text())
    assert [row["round"] for row in kept["rounds"]] == [1, 2]
    assert numbers == {**kept, "pooled": numbers["pooled"]}
    assert f"{kept['rounds'][-1]['score']:.4f}" in result.output
    learner = Learner(build(check(tmp_path / "out" / "model.keras")), "classes")
    score = np.mean([learner.score(learner.weights(), open_site(folder).holdout) for folder in folders])
    assert kept["rounds"][-1]["score"] == pytest.approx(score, abs=1e-12)
