"""A small workspace with scored submissions, without training: what tests of results and pages read."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

import numpy as np

from yieldcast.workspace import directory
from yieldcast.workspace.database import accounts, audit, queue
from yieldcast.workspace.database.models import Account, Submission
from yieldcast.workspace.settings import parse_settings
from yieldcast.workspace.tasks.task import Task

CLASSES = ("barley", "wheat", "corn", "rapeseed")
ROWS = 997  # a prime: exact shares have endless digits
FARM = "FARM-OF-JANSEN"
SETTINGS = {
    "title": "Tiles of crops",
    "rules": {
        "rare_classes": 2, "score_step": 0.01, "opens": dt.date(2026, 11, 1),
        "closes": dt.date(2026, 12, 31),
    },
    "prices": {"currency": "EUR", "per_submission": 25.005},
    "costs": {
        "monitored_km2": 1_500_000, "misclassified_km2": 18, "internal_accuracy": 0.845,
        "internal_cost": 280_000,
    },
}  # fmt: skip
# contributor -> model, price, share of right rows as submitted and after fine-tuning
SUBMISSIONS = {
    "Alpha": [("ResNet", "0.25", 0.70, 0.85), ("ResNet, again", "0.25", 0.70, 0.8505)],
    "Beta": [("Transformer", "0.22", 0.75, 0.93)],
    "Gamma": [("Efficient", "0.10", 0.72, 0.80), ("Efficient, longer", "0.10", 0.72, 0.928)],
}


def target():
    """(row,) classes of the holdout: 400, 300, 150 and 147 rows."""
    return np.repeat(np.arange(4), (400, 300, 150, 147)).astype(np.int32)


def predicted(right, seed):
    """(row,) predictions of which about this share is right, the errors in the two classes beside it."""
    truth, rng = target(), np.random.default_rng(seed)
    wrong = rng.permutation(ROWS)[: round((1 - right) * ROWS)]
    found = truth.copy()
    found[wrong] = (truth[wrong] + rng.integers(1, 3, len(wrong))) % 4
    return found


def write_task(folder):
    """The folder ``data``: holdout targets and groups, task.json and public.json."""
    truth = target()
    for part in ("training", "holdout"):
        (folder / part / "inputs").mkdir(parents=True)
        np.save(folder / part / "target.npy", truth)
        np.save(folder / part / "group.npy", np.array([f"{FARM}-{k % 83}" for k in range(ROWS)]))
    values = {"accuracy": 400 / ROWS, "macro_f1": 800 / (400 + ROWS) / 4, "rare_recall": 0.0}
    recall = dict(zip(CLASSES, (1.0, 0.0, 0.0, 0.0), strict=True))
    task = Task(
        task="crop-tiles", inputs={"image": (8, 8, 1)}, input_names={"image": ("grey",)}, outputs=CLASSES,
        kind="classes", training=ROWS, holdout=ROWS, rare=CLASSES[2:], fingerprint="0" * 64, synthetic=True,
        baselines={"majority class": {"values": values, "recall": recall}},
    )  # fmt: skip
    task.write(folder)
    counts = zip(CLASSES, np.bincount(truth).tolist(), strict=True)
    classes = [
        {"name": name, "rows": n, "share": round(n / ROWS, 3), "rare": name in CLASSES[2:]}
        for name, n in counts
    ]
    public = {
        "format": 1, "task": "crop-tiles", "synthetic": True, "training": ROWS, "holdout": ROWS,
        "smallest_cell": 10, "crop": None, "inputs": {"image": {"shape": [8, 8, 1], "names": ["grey"]}},
        "classes": classes, "yields": [], "years": {}, "statistics": [], "examples": [],
    }  # fmt: skip
    (folder / "public.json").write_text(json.dumps(public))


def scored_workspace(path, settings=SETTINGS, submissions=SUBMISSIONS, grouped=True):
    """An open workspace at `path` with contributors whose submissions came to an end."""

    def prepare(folder):
        write_task(folder)
        if not grouped:
            (folder / "holdout" / "group.npy").unlink()

    directory.create(path, parse_settings(settings, "test"), prepare)
    workspace = directory.Workspace.open(path)
    for k, (name, models) in enumerate(submissions.items()):
        with workspace.write() as session:
            accounts.add(session, name, "contributor")
            audit.write(session, "owner", "invite", name)
        for j, (model, price, before, after) in enumerate(models):
            phases = {1: predicted(before, 10 * k), 2: predicted(after, 10 * k + j)}
            add_scored(workspace, name, model, price, phases, hour=12 + j)
    return workspace


def add_scored(workspace, contributor, model, price, phases, hour=12):
    """Put a submission into the database as a worker leaves it; returns its identifier."""
    identifier = f"{contributor}{len(model)}{model}".replace(" ", "").replace(",", "").lower()[:32]
    for phase, predictions in phases.items():
        path = workspace.predictions_file(identifier, phase)
        classes = not isinstance(predictions, dict)
        np.savez(path, **({"predicted": predictions.astype(np.int16)} if classes else predictions))
    now = dt.datetime(2026, 11, 20, hour, 0, 7, 123, tzinfo=dt.UTC)
    with workspace.write() as session:
        account = account_of(session, contributor)
        one = Submission(
            id=identifier, account_id=account.id, key=identifier, name=model,
            price_per_km2=None if price is None else Decimal(price), options={"epochs": 3}, sha256="f" * 64,
            bytes=1000, received=now, state="received", parameters=1234,
        )  # fmt: skip
        session.add(one)
        session.flush()
        queue.add(session, one)
        held = queue.claim(session, "worker", 60)
        progress = {"curve": [{"epoch": 1, "loss": 0.6931471, "farm": FARM}]}
        queue.renew(session, held, 60, progress, 10**12, 61.0)
        results = {phase: queue.Scores({"exact": 1}, {}) for phase in phases}
        queue.finish(session, held, results, 2 * 10**12, 100.5)
        one.finished = now
    return identifier


def yield_workspace(path):
    """An open workspace of the task yield with two contributors: RMSE near 900 and 800, then 600 and 300."""

    def prepare(folder):
        for part in ("training", "holdout"):
            (folder / part / "inputs").mkdir(parents=True)
            np.save(folder / part / "target.npy", np.full(ROWS, 3000.0, dtype=np.float32))
            np.save(folder / part / "group.npy", np.array([f"{FARM}-{k % 83}" for k in range(ROWS)]))
        values = {"rmse_kg_ha": 951.23456, "bias_kg_ha": 12.3456, "crps_kg_ha": 512.34567}
        Task(
            task="yield", inputs={"weather": (8, 3), "static": (4,)}, outputs=("yield_kg_ha",), kind="value",
            training=ROWS, holdout=ROWS, fingerprint="1" * 64, synthetic=True,
            baselines={"mean": {"values": values, "recall": {}}},
        ).write(folder)  # fmt: skip
        public = {"classes": [], "yields": [], "years": {}, "statistics": [], "examples": []}
        (folder / "public.json").write_text(json.dumps(public))

    settings = {**SETTINGS, "rules": {**SETTINGS["rules"], "score_step_kg_ha": 10.0}}
    directory.create(path, parse_settings(settings, "test"), prepare)
    workspace = directory.Workspace.open(path)
    for k, (name, spreads) in enumerate({"Alpha": (900, 600), "Beta": (800, 300)}.items()):
        with workspace.write() as session:
            accounts.add(session, name, "contributor")
        errors = {
            p + 1: np.random.default_rng(k).normal(20, spread, ROWS) for p, spread in enumerate(spreads)
        }
        rows = {phase: {"error_kg_ha": one, "crps_kg_ha": 0.6 * np.abs(one)} for phase, one in errors.items()}
        add_scored(workspace, name, f"Network {name}", "0.20", rows)
    return workspace


def account_of(session, name):
    """The account of a name."""
    return session.query(Account).filter(Account.name == name).one()
