"""The benchmark of experiments/: its arithmetic by hand, and a tiny run of the whole script."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import training as script
from flops import epoch_flops, gemm_rate, multiply_adds
from messages import Event, Job, Size, loop_result, steady_seconds, synthetic_rows
from output import notes, show, write
from processes import settings_of
from rich.console import Console
from tables import Findings

SCRIPTS = Path(script.__file__).parent


def test_multiplications_of_a_row_counted_by_hand():
    # Two months, one variable. LSTM of 2 (8 gate columns): 1 x 8 in each month, 2 x 8 from the state in the
    # second: 32. LSTM of 3 (12 columns): 2 x 12 in each, 3 x 12 in the second: 84. Static 4 x 3 = 12. The
    # head joins 3 and 3: 6 x 2 = 12, and 2 x 1 = 2 to the yield.
    assert multiply_adds([2], [], [], steps=1, variables=1, features=1) == 8 + (2 + 1)
    assert multiply_adds([2, 3], [3], [2], steps=2, variables=1, features=4) == 32 + 84 + 12 + 12 + 2
    # 10 rows forward and twice backward, 3 rows forward, two operations each.
    assert epoch_flops(142, fit_rows=10, held_rows=3) == 2 * 142 * 33


def test_the_rate_of_products_is_measured():
    assert 1e7 < gemm_rate((64, 64, 64)) < 1e15


def test_a_loop_leaves_the_first_epoch_of_every_seed_out():
    result = loop_result([(10.0, [15.0, 16.0, 17.0]), (17.0, [22.0, 23.0, 25.0])])
    assert result == {"seconds": 1.0, "startup": 4.0}


def test_an_epoch_of_ours_is_shared_by_its_block_and_by_the_busy_threads():
    def thread(name, seeds, ends):
        """Events of the members of one block, at (almost) the same times."""
        return [
            Event(end + 0.001 * k, name, seed, end == ends[-1])
            for end in ends
            for k, seed in enumerate(seeds)
        ]

    # Thread 1: two members, epochs of 2 s after a first one of 8 s and before a last one of 9 s.
    alone = thread(1, [1, 2], [8, 10, 12, 21])
    assert steady_seconds(alone) == pytest.approx((1.0, 2.0))
    # Thread 2 works all the time too: each second counts for two threads.
    beside = thread(2, [3, 4], [9, 11, 13, 30])
    assert steady_seconds(sorted([*alone, *beside], key=lambda e: e.clock)) == pytest.approx((0.5, 2.0))
    # A thread that has ended no longer counts.
    ended = thread(2, [3], [1, 2])
    assert steady_seconds(sorted([*alone, *ended], key=lambda e: e.clock)) == pytest.approx((1.0, 2.0))
    assert steady_seconds(thread(1, [1], [5])) == (None, None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--units", "16,x"], "--units"),
        (["--members", "0"], "--members"),
        (["--epochs", "2"], "--epochs: expected 3 or more, received 2"),
        (["--skip", "everything"], "--skip: unknown everything"),
        (["--torch-python", "/no/such/python"], "--torch-python"),
        (["--large", "--rows", "500"], "--large"),
    ],
)
def test_bad_options_are_one_line_and_a_hint(options, message, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", ["training.py", *options, "--write", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        script.main()
    assert ended.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert message in lines[0]
    assert lines[1].startswith("Hint: ")


def test_a_missing_store_exits_3(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", ["x", "--store", str(tmp_path / "none"), "--write", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        script.main()
    assert ended.value.code == 3
    assert "none" in capsys.readouterr().err


def test_the_command_shows_no_path_of_this_machine(monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setattr(
        sys, "argv", ["/home/me/b.py", "--store", "/data/store", "--write=/tmp/out", "--rows", "9"]
    )
    expected = "python experiments/benchmarks/training.py --store store --write=out --rows 9"
    assert script.command() == expected
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert script.command() == f"KERAS_BACKEND=jax {expected}"


def test_synthetic_rows_are_the_same_every_time():
    first, second = (synthetic_rows(Size(50, 3)) for _ in range(2))
    assert first["dynamic"].shape == (50, 3, 4)
    assert first["static"].shape == (50, 65)
    assert all((first[name] == second[name]).all() for name in first)


def findings(kind: str) -> Findings:
    """Invented answers of one width: (a) 0.8 s, (a2) failed, (c) 0.2 s alone and 0.1 s of 30 members."""
    machine = {"kind": kind, "device": "", "backend": "jax", "versions": {"keras": "3"}, "load": 0.0}
    lines = script.contest(16, [1, 30], 4, with_torch=False, per_core=False)
    answer = {"startup": 2.0, "peak_mib": 900.0, "device_mib": None, "plan": "1 x 1 x 30"}
    results = {
        Job("keras", 16, 2, 4): [{"seconds": s, **answer} for s in (0.8, 0.6, 0.9)],
        Job("ours", 16, 1, 4): [{"seconds": 0.2, **answer}],
        Job("ours", 16, 30, 4): [{"seconds": 0.1, **answer}],
        Job("gemm", 16): [{"small_rate": 1e10, "large_rate": 1e11, "large_edge": 1024}],
    }
    failed = {Job("keras-tuned", 16, 2, 4): "exit code 1: no"}
    rows, members = script.growth(16, [1, 30], 4, 2)
    return Findings(
        "python x", machine, "", "synthetic", Size(1000, 9), 4, 3, lines, rows, members, [], results, failed
    )


def table(text: str, title: str) -> list[dict[str, str]]:
    """The rows of a Markdown table under a title."""
    lines = text.partition(f"## {title}\n\n")[2].split("\n\n")[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]


def test_ratios_and_notes_come_from_the_measured_seconds(tmp_path):
    show(findings("CPU"), Console(quiet=True))
    text = write(findings("CPU"), tmp_path)[0].read_text()
    lines = {row["contestant"]: row for row in table(text, "Seconds per seed and epoch")}
    assert (
        lines["(a) Keras model.fit"] | {"seconds": "0.8000", "spread %": "38", "/(c)": "8.00"}
        == lines["(a) Keras model.fit"]
    )
    assert lines["(a2) an epoch per call"]["seconds"] == "-"
    assert lines["(c) yieldcast, 1 member"]["/(c)"] == "2.00"
    (ratios,) = table(text, "Ratios, (c) with the most members")
    assert (ratios["(a)/(c)"], ratios["(a2)/(c)"], ratios["(b)/(c)"]) == ("8.00", "-", "-")
    assert len(table(text, "Growth with members")) == 5
    assert "Failed and left out: keras-tuned, 16 units, 2 members: exit code 1: no" in text
    assert (tmp_path / "benchmark-training.png").stat().st_size > 1000
    assert "Other work" not in text
    assert "30 members cost 15.00 times one member (16 units)." in notes(findings("GPU"))


def test_what_a_person_wrote_under_reading_is_kept(tmp_path):
    path = write(findings("CPU"), tmp_path)[0]
    path.write_text(path.read_text() + "\nMine.\n")
    assert write(findings("CPU"), tmp_path)[0].read_text().endswith("## Reading\n\nMine.\n")


@pytest.mark.slow
def test_the_whole_script_in_small(tmp_path):
    subprocess.run(
        [
            sys.executable, str(SCRIPTS / "training.py"), "--rows", "120", "--units", "2",
            "--members", "2", "--epochs", "3", "--repeats", "1", "--skip", "growth,blocks",
            "--write", str(tmp_path),
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    text = (tmp_path / "benchmark-training.md").read_text()
    assert str(tmp_path) not in text
    assert "Failed" not in text
    rows = {row["contestant"]: row for row in table(text, "Seconds per seed and epoch")}
    loops = [name for name in rows if name.startswith(("(a)", "(a2)", "(b)"))]
    assert len(loops) == (2 if "(b) was left out" in text else 3)
    ours = float(rows["(c) yieldcast, 2 members"]["seconds"])
    for name, row in rows.items():
        quotient = float(row["seconds"]) / ours
        assert float(row["/(c)"]) == pytest.approx(quotient, rel=2e-3, abs=6e-3), name
        assert name.startswith("floor") or float(row["peak MiB"].replace(",", "")) > 50
    assert {name for name in rows if name.startswith("floor")} == {
        "floor, network's products",
        "floor, large product",
    }


@pytest.mark.slow
def test_ours_runs_on_jax_without_tensorflow():
    pytest.importorskip("jax")
    task = {
        **asdict(Job("ours", 2, 1, 3)), "size": [120, 2, 4, 65], "data": "", "device": "CPU", "core": None,
        "settings": settings_of(2, 3).model_dump(mode="json"),
    }  # fmt: skip
    child = subprocess.run(
        [sys.executable, str(SCRIPTS / "contestants.py"), json.dumps(task)],
        check=True, capture_output=True, text=True, env={**os.environ, "KERAS_BACKEND": "jax"},
    )  # fmt: skip
    answer = json.loads(child.stdout.splitlines()[-1])
    assert answer["seconds"] > 0
    assert answer["tensorflow"] is False
