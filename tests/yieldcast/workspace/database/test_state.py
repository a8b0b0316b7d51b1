import pytest

from yieldcast.errors import ConfigError
from yieldcast.workspace.database import audit, state
from yieldcast.workspace.directory import Workspace
from yieldcast.workspace.settings import FILE, as_toml, parse_settings


def test_a_workspace_is_published_and_closed_once(new_workspace):
    workspace = new_workspace()
    with workspace.write() as session:
        assert not state.is_published(session)
        assert state.publish(session)
        assert not state.publish(session)
        assert state.is_published(session)
        assert not state.is_closed(session)
        assert state.close(session)
        assert state.is_closed(session)
        assert [one.act for one in audit.entries(session, newest=2)] == ["publish", "close"]


def test_changed_settings_are_in_the_log_with_their_values_before(new_workspace):
    path = new_workspace().path
    costs = {"monitored_km2": 10, "misclassified_km2": 18, "internal_accuracy": 0.845, "internal_cost": 5}
    settings = parse_settings({"rules": {"submissions_per_contributor": 9}, "costs": costs}, "here")
    (path / FILE).write_text(as_toml(settings), encoding="utf-8")
    for _ in range(2):  # the second time nothing has changed
        with Workspace.open(path) as workspace, workspace.read() as session:
            last = audit.entries(session)[-1]
            assert (last.sequence, last.act) == (2, "settings")
    assert last.details["changed"]["rules.submissions_per_contributor"] == [5, 9]
    assert last.details["changed"]["costs.misclassified_km2"] == [None, "18"]
    assert "rules.smallest_cell" not in last.details["changed"]


@pytest.mark.parametrize(("key", "value"), [("rare_classes", ["wheat"]), ("smallest_cell", 5)])
def test_settings_that_the_data_were_made_with_stay(new_workspace, key, value):
    path = new_workspace().path
    (path / FILE).write_text(as_toml(parse_settings({"rules": {key: value}}, "here")), encoding="utf-8")
    with pytest.raises(ConfigError, match=f"rules.{key}: expected .*, with which the data were made"):
        Workspace.open(path)
