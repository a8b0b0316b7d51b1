"""The overview and the page of the data: what everybody with a link may see."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from yieldcast.workspace.database.models import Account
from yieldcast.workspace.directory import Workspace
from yieldcast.workspace.disclosure import usage
from yieldcast.workspace.disclosure.results import Truth, costs_of, damage_without_paths, place_of, truth_of
from yieldcast.workspace.disclosure.views import DataPage, Overview, Viewer
from yieldcast.workspace.disclosure.window import is_owner, is_public, window_of
from yieldcast.workspace.scoring.costs import internal_cost
from yieldcast.workspace.tasks.task import read_public


def overview(session: Session, workspace: Workspace, viewer: Account | None) -> Overview:
    """What the workspace asks, its rules and prices.

    Args:
        session: of the workspace's database.
        workspace: open.
        viewer: None for somebody who has not signed in.

    Raises:
        MissingDataError, SchemaError: the files of the task are damaged.
    """
    settings, truth = workspace.settings, truth_of(place_of(workspace))
    task, costs = truth.task, costs_of(settings)
    return Overview(
        settings.title, settings.page.description, settings.page.contact, task.task, task.kind, task.crop,
        task.synthetic, task.inputs, task.outputs, task.rare, task.training, task.holdout,
        settings.rules.opens, settings.rules.closes, window_of(session, workspace),
        is_owner(viewer) or is_public(session, workspace),
        settings.rules.model_dump(exclude={"opens", "closes"}), settings.limits.model_dump(),
        settings.prices.model_dump(), settings.costs.model_dump() if settings.costs else None,
        internal_cost(costs) if costs and task.kind == "classes" else None,
        truth.holdout.measures.names, _baselines(truth), _viewer(session, workspace, viewer),
    )  # fmt: skip


def _baselines(truth: Truth) -> dict[str, Mapping[str, Decimal]]:
    """Scores of the baselines that are measures of models too, rounded."""
    steps, names = truth.holdout.steps, truth.holdout.measures.names
    found: dict[str, Mapping[str, Decimal]] = {}
    for baseline, scores in truth.task.baselines.items():
        values = {**scores["values"], **{f"recall:{one}": value for one, value in scores["recall"].items()}}
        found[baseline] = {
            name: steps.rounded(name, values[name]) for name in names if values.get(name) is not None
        }
    return found


def _viewer(session: Session, workspace: Workspace, viewer: Account | None) -> Viewer | None:
    if viewer is None:
        return None
    if is_owner(viewer):
        return Viewer(viewer.name, viewer.role, None, None, None, None)
    taken, most = usage.taken(session, viewer.id), workspace.settings.rules.submissions_per_contributor
    used = usage.pflop(session, viewer.id)
    return Viewer(
        viewer.name, viewer.role, taken, max(most - taken, 0), used, workspace.settings.limits.budget_pflop
    )


def data_page(session: Session, workspace: Workspace, viewer: Account | None) -> DataPage:
    """Class counts, statistics of the inputs, synthetic examples; the same for everybody.

    Args:
        session, workspace, viewer: see `overview`.

    Raises:
        MissingDataError, SchemaError: the files of the task are damaged.
    """
    with damage_without_paths():
        public = read_public(workspace.path)
    rare = truth_of(place_of(workspace)).task.rare
    return DataPage(workspace.settings.title, public, _rare_ties(public["classes"], rare))


def _rare_ties(classes: list[dict[str, Any]], rare: tuple[str, ...]) -> tuple[str, ...]:
    rows = {one["name"]: one["rows"] for one in classes}
    border = max((rows[name] for name in rare if rows.get(name) is not None), default=None)
    return tuple(
        name for name, count in rows.items() if name not in rare and count is not None and count == border
    )
