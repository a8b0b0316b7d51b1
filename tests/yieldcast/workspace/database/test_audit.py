import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from yieldcast.workspace.database import audit
from yieldcast.workspace.database.models import AuditEntry


@pytest.fixture
def workspace(new_workspace):
    made = new_workspace()
    fill(made)
    return made


def fill(workspace):
    with workspace.write() as session:
        for n in range(4):
            audit.write(session, "Ana", "submit", f"model {n}", {"price": 0.1, "name": "Übung", "n": n})


def verdict(workspace):
    with workspace.read() as session:
        return audit.verify(session)


def tamper(workspace, *statements):
    """What somebody does who goes round the triggers."""
    with workspace.database.transaction() as connection:
        for act in ("update", "delete"):
            connection.execute(text(f"DROP TRIGGER audit_no_{act}"))
        for statement in statements:
            connection.execute(text(statement))


def test_entries_are_chained_from_the_first_on(workspace):
    with workspace.read() as session:
        entries = audit.entries(session)
        assert [one.sequence for one in audit.entries(session, newest=2)] == [4, 5]
    assert [one.sequence for one in entries] == [1, 2, 3, 4, 5]
    assert [one.act for one in entries] == ["create", *["submit"] * 4]
    assert [one.previous for one in entries] == [audit.START, *(one.hash for one in entries[:-1])]
    assert verdict(workspace) == audit.Verdict(5, entries[-1].hash)


def test_the_hash_is_that_of_the_canonical_json():
    entry = AuditEntry(
        sequence=1, time="2026-11-20T12:00:00.000000+00:00", actor="owner", act="invite", subject="Zoë",
        details={"b": 1, "a": None}, previous=audit.START,
    )  # fmt: skip
    # printf %s 'that text' | sha256sum, of {"act":"invite","actor":"owner","details":{"a":null,"b":1},
    # "previous":"0...0","sequence":1,"subject":"Zo\u00eb","time":"2026-11-20T12:00:00.000000+00:00"}
    assert audit.hash_of(entry) == "655f8103b2919021f8618984e78e87964ac3cea78371c1c0c3fcab99b8b62272"


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE audit SET actor = 'Ben' WHERE sequence = 3", 3),
        ("UPDATE audit SET details = '{\"price\": 0.2}' WHERE sequence = 2", 2),
        ("UPDATE audit SET time = '2026-11-20T12:00:00.000001+00:00' WHERE sequence = 5", 5),
        ("DELETE FROM audit WHERE sequence = 3", 4),
        ("DELETE FROM audit WHERE sequence = 1", 2),
        ("UPDATE audit SET hash = replace(hash, substr(hash, 1, 1), 'x') WHERE sequence = 4", 4),
    ],
)
def test_a_changed_or_removed_entry_is_found(workspace, statement, broken):
    tamper(workspace, statement)
    found = verdict(workspace)
    assert found.broken == broken
    assert found.reason


def test_entries_that_changed_places_are_found(workspace):
    moves = [
        f"UPDATE audit SET sequence = {new} WHERE sequence = {old}" for old, new in ((2, 9), (3, 2), (9, 3))
    ]
    tamper(workspace, *moves)
    assert verdict(workspace).broken == 2


def test_an_entry_put_in_between_with_a_good_hash_is_found(workspace):
    tamper(workspace, *(f"UPDATE audit SET sequence = {n + 1} WHERE sequence = {n}" for n in (5, 4, 3)))
    with workspace.write() as session:
        before = session.get_one(AuditEntry, 2)
        added = AuditEntry(
            sequence=3, time=before.time, actor="Ben", act="submit", subject="mine", details={},
            previous=before.hash,
        )  # fmt: skip
        added.hash = audit.hash_of(added)
        session.add(added)
    assert verdict(workspace).broken == 4


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'x'", "DELETE FROM audit"])
def test_the_database_refuses_to_change_entries(in_both, statement):
    workspace = in_both()
    fill(workspace)
    with pytest.raises(DBAPIError, match="never changed or removed"), workspace.write() as session:
        session.execute(text(statement))
    assert verdict(workspace) == audit.Verdict(5, verdict(workspace).last)
