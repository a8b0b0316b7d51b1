"""`yieldcast generalise --run`: tables, files and figures of a run; mixtures with a store are refused."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from yieldcast.cli.app import app, main

RUN = CliRunner()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of a linear head on the raw series of a table."""
    made, rng, rows = tmp_path_factory.mktemp("generalise"), np.random.default_rng(0), []
    for i in range(60):
        ndvi = 0.2 + 0.5 * np.exp(-((np.arange(8) - 2 - 2 * (i % 3)) ** 2) / 4) + rng.normal(0, 0.1, 8)
        rows.append({
            "sample_id": i, "crop": ("maize", "pasture", "soybean")[i % 3], "start_month": 11,
            "lat": -12 - i // 3 % 2 * 3, "lon": -55 - i // 3 / 5, "region": f"r{i // 3 % 2}",
            "harvest_year": 2015, **{f"NDVI_{m:02d}": v for m, v in enumerate(ndvi)},
        })  # fmt: skip
    pd.DataFrame(rows).to_csv(made / "fields.csv", index=False)
    command = ["crop-type", "train", made / "fields.csv", "--encoder", "none", "--label", "crop", "--out"]
    result = RUN.invoke(app, [str(one) for one in (*command, made / "RUN")])
    assert result.exit_code == 0, result.output
    return made


def generalise(folder, *more):
    command = ["generalise", "--run", folder / "RUN", "--out", folder / "OUT", *more]
    return RUN.invoke(app, [str(one) for one in command])


def test_held_out_regions(folder):
    result = generalise(folder, "--protocol", "geographic", "--hold-out", "region", "--models",
                        "run,trees", "--json", folder / "r.json")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "one region at a time" in " ".join(result.output.split())
    found = json.loads((folder / "r.json").read_text())
    assert found["models"] == ["run", "trees"]
    assert {one["domain"] for one in found["scores"]} == {"all", "r0", "r1"}
    assert found["advice"][0].split()[0] in ("No", "Boosted", "run")
    names = {path.name for path in (folder / "OUT").iterdir()}
    stem = "crop-types-geographic-region"
    assert names >= {f"{stem}.{form}" for form in ("json", "csv", "png", "svg")}
    table = pd.read_csv(folder / "OUT" / f"{stem}.csv")
    assert {"macro_f1", "low", "high", "accuracy", "f1_maize", "n_maize"} <= set(table)


def test_few_labels_in_portuguese(folder):
    result = generalise(folder, "--protocol", "few-shot", "--hold-out", "none", "--k", "0,3", "--draws", "2",
                        "--models", "run", "--lang", "pt-BR")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "poucos rótulos locais" in " ".join(result.output.split())
    assert (folder / "OUT" / "crop-types-few-shot-none.svg").read_text().startswith("<?xml")


def refused(capsys, *arguments):
    """Exit code and error of a command line."""
    with pytest.raises(SystemExit) as ended:
        main([str(one) for one in arguments])
    return ended.value.code, " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--store", "STORE"), 2, "expected options of --run, received --store too"),
        (("--zones", "3"), 2, "received --zones too"),
        (("--hold-out", "state"), 2, "expected group, country, region, block, none with --run"),
        (("--hold-out", "country"), 2, "groups of this run are of the column region"),
        (("--hold-out", "block"), 5, "expected 5 blocks or more"),
        (("--models", "network"), 2, "expected some of run, trees"),
        (("--classes", "maize,rye"), 2, "no series of rye"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(folder, capsys, options, code, said):
    blocks = ("--block-degrees", "40") if "block" in options else ()
    found, error = refused(capsys, "generalise", "--run", folder / "RUN", "--protocol", "geographic", "--out",
                           folder / "NONE", *options, *blocks)  # fmt: skip
    assert (found, said in error) == (code, True), error
    assert not (folder / "NONE").exists()


def test_neither_a_store_nor_a_run(capsys, tmp_path):
    code, error = refused(capsys, "generalise", "--protocol", "random", "--out", tmp_path / "O")
    assert code == 2
    assert "expected --store and --crop, or --run" in error
    code, error = refused(capsys, "generalise", "--store", tmp_path, "--crop", "soybean", "--protocol",
                          "random", "--hold-out", "group", "--out", tmp_path / "O")  # fmt: skip
    assert (code, "--hold-out group is for --run" in error) == (2, True)
