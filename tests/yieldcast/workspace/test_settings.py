import datetime as dt
import re
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yieldcast.errors import ConfigError, MissingDataError, SchemaError
from yieldcast.workspace.settings import (
    Rules,
    WorkspaceSettings,
    as_toml,
    parse_options,
    parse_settings,
    read_settings,
)

# The paper's example.
COSTS = {
    "monitored_km2": 1_500_000,
    "misclassified_km2": 18,
    "internal_accuracy": 0.845,
    "internal_cost": 280_000,
}


def test_the_defaults_are_the_rules_of_the_paper_but_costs_have_none():
    found = WorkspaceSettings()
    assert (found.rules.submissions_per_contributor, found.rules.rare_classes) == (5, 4)
    assert found.limits.budget_flop == 100 * 10**15
    assert found.costs is None
    assert parse_settings({"costs": COSTS}, "here").costs.misclassified_km2 == Decimal(18)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ({"rules": {"opnes": 1}}, r"here: unknown key 'rules.opnes', did you mean 'opens'\?"),
        ({"rules": {"a-b": 1}}, r"unknown key 'rules.a-b'; known: submissions_per_contributor, opens"),
        ({"titel": ""}, r"unknown key 'titel', did you mean 'title'\?"),
        ({"limits": {"seconds": "5"}}, r"limits.seconds: .*integer \(received '5'\)"),
        ({"limits": {"seconds": True}}, r"limits.seconds: .*integer \(received True\)"),
        ({"limits": {"memory_gb": 0}}, r"limits.memory_gb: .*greater than 0 \(received 0\)"),
        ({"limits": {"budget_pflop": float("nan")}}, r"limits.budget_pflop"),
        ({"rules": {"rare_classes": True}}, r"rules.rare_classes"),
        ({"rules": {"rare_classes": []}}, r"rules.rare_classes"),
        ({"rules": {"opens": "soon"}}, r"rules.opens: .*date \(received 'soon'\)"),
        (
            {"rules": {"opens": dt.date(2026, 1, 2), "closes": dt.date(2026, 1, 1)}},
            "rules: closes 2026-01-01 lies before opens 2026-01-02",
        ),
        (
            {"costs": {"monitored_km2": 1}},
            "costs.misclassified_km2: expected a value, received none; costs.int",
        ),
        (
            {"costs": {**COSTS, "internal_accuracy": 84.5}},
            "costs.internal_accuracy: .*less than or equal to 1",
        ),
        ({"prices": {"currency": "Euro"}}, "prices.currency"),
        ({"prices": {"per_submission": 0.00001}}, "prices.per_submission: .*decimal places"),
        ({"rules": 5}, "rules: .*received 5"),
        ([], "the settings: "),
    ],
)
def test_what_is_wrong_is_named_with_its_key(content, match):
    with pytest.raises(ConfigError, match=match):
        parse_settings(content, "here")


def test_the_guide_lists_every_key_with_its_default():
    page = Path(__file__).parents[3] / "docs" / "user_guide" / "workspace_owner.md"
    rows = re.findall(r"^\| `([\w.]+)` \| (\S*) ?\| (.+) \|$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == list(keys(WorkspaceSettings))


def keys(section, prefix=""):
    """Key, default as the guide shows it, and meaning."""
    for name, field in section.model_fields.items():
        inner = next(
            (one for one in (field.annotation, *get_args(field.annotation)) if hasattr(one, "model_fields")),
            None,
        )
        if inner is not None:
            yield from keys(inner, f"{name}.")
            continue
        given = field.get_default()
        shown = f'"{given}"' if isinstance(given, str) else given
        absent = given is None or field.is_required()
        yield f"{prefix}{name}", "" if absent else f"`{shown}`", field.description


def test_a_file_that_is_missing_or_no_toml_is_said(tmp_path):
    with pytest.raises(MissingDataError, match="no settings file"):
        read_settings(tmp_path / "a.toml")
    (tmp_path / "a.toml").write_text("title = ")
    with pytest.raises(ConfigError, match="not valid TOML"):
        read_settings(tmp_path / "a.toml")


TEXTS = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=30)


@settings(max_examples=15, deadline=None)
@given(
    title=TEXTS, names=st.lists(TEXTS, min_size=1, max_size=3), description=st.text(max_size=50),
    price=st.decimals(0, 10**10, places=4), day=st.dates(dt.date(1900, 1, 1)),
    step=st.floats(1e-6, 0.5), costs=st.sampled_from([None, COSTS]),
)  # fmt: skip
def test_settings_that_are_written_are_read_back(title, names, description, price, day, step, costs):
    found = parse_settings(
        {
            "title": title, "page": {"description": description}, "prices": {"per_submission": price},
            "rules": {"rare_classes": names, "closes": day, "score_step": step},
            **({"costs": costs} if costs else {}),
        },
        "here",
    )  # fmt: skip
    again = parse_settings(tomllib.loads(as_toml(found)), "there")
    assert again == found
    assert again.fingerprint == found.fingerprint


def test_the_window_holds_its_first_and_last_day():
    rules = Rules(opens=dt.date(2026, 1, 10), closes=dt.date(2026, 1, 20))
    days = [dt.date(2026, 1, day) for day in (9, 10, 20, 21)]
    assert [rules.window(day) for day in days] == ["before", "open", "open", "over"]
    assert Rules().window(days[0]) == "open"


def test_training_options_are_checked():
    found = parse_options({"frozen_layers": ["conv"], "augmentation": ["flips", "noise"], "epochs": 2})
    assert (found.frozen_layers, found.augmentation, found.batch_size) == (("conv",), ("flips", "noise"), 32)
    assert parse_options({"frozen_layers": 2}).frozen_layers == 2
    with pytest.raises(SchemaError, match=r"learning_rate: .*unknown key 'epoch', did you mean 'epochs'"):
        parse_options({"epoch": 1, "learning_rate": 2.0})
