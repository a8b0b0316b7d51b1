"""Cache of answers: at whatever step a process dies, the earlier or the new answer is complete."""

import json
import os
from pathlib import Path

import pytest

from data_fetchers.engine.cache import Request, RequestCache, children
from yieldcast.errors import MissingDataError

REQUEST = Request("ibge", "pam-2018", {"table": 1612, "years": (2018,)})


class Dies(BaseException):
    """The process ends here."""


def _commit(cache: RequestCache, text: str, fetched: str) -> bool:
    cache.make()
    cache.temporary(REQUEST).write_text(text)
    return cache.commit(REQUEST, {"fetched": fetched})


def test_an_answer_is_verified_only_with_its_contents_and_request(tmp_path):
    cache = RequestCache(tmp_path)
    assert cache.verified(REQUEST) is None
    assert _commit(cache, "one", "2026-01-01T00:00:00+00:00") is False
    record = cache.verified(REQUEST)
    assert record["bytes"] == 3
    # sha256 of "one", from sha256sum
    assert record["sha256"] == "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    assert [path.read_text() for _, path, _ in cache.leaves(REQUEST)] == ["one"]
    cache.path(REQUEST).write_text("oNe")
    assert cache.verified(REQUEST) is None
    assert list(cache.leaves(REQUEST)) == []


def test_another_request_is_another_file():
    other = Request("ibge", "pam-2018", {"table": 1612, "years": (2019,)})
    assert other.file != REQUEST.file
    same = Request("ibge", "pam-2018", {"years": (2018,), "table": 1612})
    assert same.file == REQUEST.file
    assert same == REQUEST or same.mark == REQUEST.mark


@pytest.mark.parametrize("name", ["../evil", "Name", "", "a/b", ".hidden", "x" * 90])
def test_names_that_could_leave_the_cache_are_refused(name):
    with pytest.raises(ValueError, match="plain file name"):
        Request("ibge", name, {})


@pytest.mark.parametrize("sidecar", ["", "{", "[]", '{"format": 99}', '{"format": 1}'])
def test_a_broken_sidecar_is_no_sidecar(tmp_path, sidecar):
    cache = RequestCache(tmp_path)
    _commit(cache, "one", "2026-01-01T00:00:00+00:00")
    (tmp_path / f"{REQUEST.file}.meta.json").write_text(sidecar)
    assert cache.verified(REQUEST) is None


def test_dying_at_any_step_leaves_the_old_or_the_new_answer(tmp_path, monkeypatch):
    """Counts the steps of a commit that change the disk, and dies before and after each of them."""
    steps = ("replace", "link", "fsync", "unlink")
    real = {name: getattr(os, name) for name in steps}
    survived = {"old": 0, "new": 0}
    for stop in range(80):
        cache = RequestCache(tmp_path / str(stop))
        _commit(cache, "old", "2026-01-01T00:00:00+00:00")
        cache.temporary(REQUEST).write_text("new!")
        count = [0]

        def dying(name: str, count=count, stop=stop):
            def step(*args, **kwargs):
                count[0] += 1
                if count[0] == stop + 1:
                    raise Dies
                result = real[name](*args, **kwargs)
                count[0] += 1
                if count[0] == stop + 1:
                    raise Dies
                return result

            return step

        for name in steps:
            monkeypatch.setattr(os, name, dying(name))
        try:
            cache.commit(REQUEST, {"fetched": "2026-02-01T00:00:00+00:00"})
            died = False
        except Dies:
            died = True
        for name in steps:
            monkeypatch.setattr(os, name, real[name])
        record = RequestCache(tmp_path / str(stop)).verified(REQUEST)
        text = cache.path(REQUEST).read_text()
        assert record is not None
        assert (text, record["fetched"][:7]) in [("old", "2026-01"), ("new!", "2026-02")]
        survived["new" if text == "new!" else "old"] += 1
        if not died:
            break
    assert not died
    assert survived["old"] > 2
    assert survived["new"] > 2


def test_after_the_checked_file_is_announced_nothing_is_fetched_again(tmp_path, monkeypatch):
    """Dying between the new sidecar and the file's own rename: the rest is finished by the next look."""
    cache = RequestCache(tmp_path)
    cache.make()
    cache.temporary(REQUEST).write_text("one")
    real = os.replace

    def replace(source, target):
        if str(target).endswith(REQUEST.file):
            raise Dies
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(Dies):
        cache.commit(REQUEST, {"fetched": "2026-01-01T00:00:00+00:00"})
    monkeypatch.setattr(os, "replace", real)
    assert not cache.path(REQUEST).exists()
    assert RequestCache(tmp_path).verified(REQUEST)["bytes"] == 3
    assert cache.path(REQUEST).read_text() == "one"
    assert sorted(p.name for p in tmp_path.iterdir()) == [REQUEST.file, f"{REQUEST.file}.meta.json"]


def test_vintages_keep_every_different_file_once(tmp_path):
    cache = RequestCache(tmp_path)
    assert not _commit(cache, "one", "2026-01-01T10:00:00+00:00")
    assert not _commit(cache, "one", "2026-02-01T10:00:00+00:00")
    assert _commit(cache, "two", "2026-03-01T10:00:00+00:00")
    assert _commit(cache, "three", "2026-04-01T10:00:00+00:00")
    kept = sorted(p for p in (tmp_path / "vintages").iterdir() if p.name.endswith(f"{REQUEST.suffix}"))
    texts = {p.name: p.read_text() for p in kept if not p.name.endswith(".meta.json")}
    assert texts == {
        f"pam-2018-{REQUEST.mark}-20260201100000.json": "one",
        f"pam-2018-{REQUEST.mark}-20260301100000.json": "two",
    }
    about = json.loads(
        (tmp_path / "vintages" / f"pam-2018-{REQUEST.mark}-20260301100000.json.meta.json").read_text()
    )
    assert about["fetched"].startswith("2026-03")


def test_a_split_stands_for_its_children(tmp_path):
    cache = RequestCache(tmp_path)
    cache.make()
    halves = [Request("ibge", f"half-{i}", {"half": i}) for i in (1, 2)]
    cache.commit_split(REQUEST, halves, {"fetched": "2026-01-01T00:00:00+00:00", "reason": "too big"})
    assert children(REQUEST, cache.verified(REQUEST)) == halves
    assert list(cache.leaves(REQUEST)) == []
    cache.temporary(halves[1]).write_text("b")
    cache.commit(halves[1], {"fetched": "2026-01-01T00:00:00+00:00"})
    assert [path.read_text() for _, path, _ in cache.leaves(REQUEST)] == ["b"]


def test_a_forgotten_answer_is_fetched_again(tmp_path):
    cache = RequestCache(tmp_path)
    _commit(cache, "half", "2026-01-01T00:00:00+00:00")
    cache.forget(REQUEST)
    assert RequestCache(tmp_path).verified(REQUEST) is None
    assert list(cache.leaves(REQUEST)) == []
    cache.forget(REQUEST)  # what is not there is forgotten already
    # half an answer is no vintage worth keeping
    assert _commit(cache, "whole", "2026-01-02T00:00:00+00:00") is False
    assert cache.verified(REQUEST)["bytes"] == 5
    assert not (tmp_path / "vintages").exists()


def test_a_disk_that_does_not_let_forget_says_so(tmp_path, monkeypatch):
    cache = RequestCache(tmp_path)
    _commit(cache, "half", "2026-01-01T00:00:00+00:00")

    def unlink(self, missing_ok=False):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", unlink)
    with pytest.raises(MissingDataError, match="Permission denied"):
        cache.forget(REQUEST)


def test_job_notes_survive_and_broken_ones_are_empty(tmp_path):
    job = RequestCache(tmp_path).job(REQUEST)
    assert job.load() == {}
    job.save(job_id="a1")
    job.set_state("queued")
    assert RequestCache(tmp_path).job(REQUEST).load() == {"job_id": "a1", "state": "queued"}
    job.save(job_id=None)
    assert job.load() == {"state": "queued"}
    job.path.write_text("{half")
    assert job.load() == {}


def test_a_full_disk_names_the_file_and_keeps_the_old_answer(tmp_path, monkeypatch):
    cache = RequestCache(tmp_path)
    _commit(cache, "old", "2026-01-01T00:00:00+00:00")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    cache.temporary(REQUEST).write_text("new!")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MissingDataError, match="No space left"):
        cache.commit(REQUEST, {"fetched": "2026-02-01T00:00:00+00:00"})
    monkeypatch.undo()
    assert cache.verified(REQUEST)["fetched"].startswith("2026-01")
    assert Path(cache.path(REQUEST)).read_text() == "old"
