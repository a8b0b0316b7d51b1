"""Valid archives, changed at random: each is accepted or refused, and nothing is imported, opened or run."""

import copy
import json
import random
import sys
from contextlib import contextmanager

import pytest
from model_archives import CONFIG, WEIGHTS, config_of, members, packed, with_config

from yieldcast.model_files import RefusedModel, build, check

_WATCHED = (
    "import", "open", "socket", "exec", "compile", "subprocess", "os.", "ctypes", "pickle", "marshal",
    "shutil", "tempfile", "glob", "code.", "builtins",
)  # fmt: skip
_seen: list[tuple[str, str]] | None = None  # events while something is watched


def _hook(event, arguments):
    if _seen is not None and event.startswith(_WATCHED):
        _seen.append((event, str(arguments)[:200]))


sys.addaudithook(_hook)  # cannot be removed: it does nothing unless something is watched


@contextmanager
def watched():
    """The audit events of a block: imports, opened files, connections, code and processes."""
    global _seen
    _seen = found = []
    try:
        yield found
    finally:
        _seen = None


def _directory_changed(rng, content):
    """Bytes of the directory of an archive, where no checksum covers them."""
    begin = content.index(b"PK\x01\x02")
    return content[:begin] + _bytes_changed(rng, content[begin:])


def _bytes_changed(rng, content):
    made = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        at = rng.randrange(len(made))
        kind = rng.randrange(4)
        if kind == 0:
            made[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            made[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif kind == 2:
            del made[at : at + rng.choice((1, 1, 8, 100))]
        else:
            begin = rng.randrange(len(made))
            made[at:at] = made[begin : begin + rng.choice((1, 8, 40))]
        if not made:
            return b"\0"
    return bytes(made)


_VALUES = (
    None, True, False, 0, -1, 1, 3, 2**31, 2**63, 10**30, -(10**15), 0.5, 1e308, "", "a", "relu", "../x",
    "/etc/passwd", "https://example.org", "keras.layers", "os", "Lambda", "function", "Dense", "__lambda__",
    "x" * 5000, [], {}, [[]], [None], {"class_name": "Lambda", "config": {}},
    {"class_name": "__keras_tensor__", "config": {"shape": [None], "dtype": "float32", "keras_history": 1}},
    {"module": "builtins", "class_name": "function", "config": "eval", "registered_name": "eval"},
    {"class_name": "__slice__", "config": {"start": 2**40, "stop": None, "step": 0}},
)  # fmt: skip


def _tree_changed(rng, config):  # noqa: C901  (one branch for each kind of change)
    """A config with some values, keys or parts of lists exchanged."""
    made = json.loads(config)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        places = [(made, key) for key in made]
        for holder, key in places:
            value = holder[key]
            if isinstance(value, dict):
                places += [(value, one) for one in value]
            elif isinstance(value, list):
                places += [(value, one) for one in range(len(value))]
        holder, key = rng.choice(places)
        kind = rng.randrange(5)
        if kind == 0:
            del holder[key]
        elif kind == 1:
            other, at = rng.choice(places)
            try:
                holder[key] = copy.deepcopy(other[at])
            except (KeyError, IndexError):
                continue
        elif kind == 2 and isinstance(holder, dict):
            holder[rng.choice(("name", "module", "config", "x", "__class__", "\u202e"))] = rng.choice(_VALUES)
        elif kind == 3 and isinstance(holder, list):
            holder.insert(key, rng.choice(_VALUES))
        else:
            holder[key] = copy.deepcopy(rng.choice(_VALUES))
        if not made:
            return {}
    return made


def _mutants(content, each, seed):
    """Changed archives: bytes of the archive, of the config, of the weights; and parts of the config."""
    rng, parts = random.Random(seed), members(content)
    for _ in range(each):
        yield "archive", rng.choice((_bytes_changed, _directory_changed))(rng, content)
        yield "config", packed({**parts, CONFIG: _bytes_changed(rng, parts[CONFIG])})
        yield "weights", packed({**parts, WEIGHTS: _bytes_changed(rng, parts[WEIGHTS])})
        yield "tree", with_config(content, _tree_changed(rng, parts[CONFIG]))


def _verdicts(content, each, seed, path):
    """What the check says of each mutant: a rule, or the accepted model."""
    found = []
    path.write_bytes(content)
    check(path)  # what it imports itself is there from here on
    for kind, mutant in _mutants(content, each, seed):
        path.write_bytes(mutant)
        with watched() as events:
            try:
                verdict = check(path)
            except RefusedModel as refused:
                verdict = refused.rule
        assert verdict != "unexpected"
        assert all(event == "open" and str(path) in about for event, about in events), (kind, events)
        found.append((kind, verdict))
    return found


def test_five_hundred_random_changes_end_in_acceptance_or_a_refusal(small_content, tmp_path):
    found = _verdicts(small_content, 130, 20261201, tmp_path / "m.keras")
    assert len(found) == 520
    for kind in ("archive", "config", "weights", "tree"):
        verdicts = [verdict for one, verdict in found if one == kind]
        refused = [verdict for verdict in verdicts if isinstance(verdict, str)]
        assert len(refused) > 40
        assert len(set(refused)) > 1  # not all by the first rule
    accepted = [verdict for _, verdict in found if not isinstance(verdict, str)]
    assert accepted
    for checked in accepted[::20]:
        _built_or_refused(checked)


def _built_or_refused(checked):
    with watched() as events:
        try:
            verdict = build(checked).built
        except RefusedModel as refused:
            verdict = refused.rule
    assert verdict in (True, "graph", "weights", "size")
    opened = [about for event, about in events if event in ("open", "socket.connect", "os.system", "os.exec")]
    assert not opened


@pytest.mark.slow
def test_accepted_changes_can_be_built_or_are_refused(small_content, tmp_path):
    found = _verdicts(small_content, 400, 7, tmp_path / "m.keras")
    accepted = [
        verdict for kind, verdict in found if kind in ("tree", "config") and not isinstance(verdict, str)
    ]
    assert len(accepted) > 30
    for checked in accepted[:60]:
        _built_or_refused(checked)


def test_the_check_needs_neither_keras_nor_the_hdf5_library(small_file):
    gone = {
        name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] in ("keras", "h5py")
    }
    try:
        with watched() as events:
            check(small_file)
        assert not any("keras" in about and event == "import" for event, about in events)
        assert "keras" not in sys.modules
        assert "h5py" not in sys.modules
    finally:
        sys.modules.update(gone)


def test_the_fresh_config_holds_nothing_that_was_not_understood(small_file, small_content):
    config, fresh = config_of(small_content), check(small_file).config
    text = json.dumps(fresh)
    for part in ("compile_config", "build_config", "shared_object_id", "quantization_config", "DTypePolicy"):
        assert part in json.dumps(config) or part == "shared_object_id"
        assert part not in text
