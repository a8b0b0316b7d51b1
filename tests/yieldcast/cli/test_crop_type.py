"""`yieldcast crop-type`: train, predict, and bad input that leaves nothing behind."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from yieldcast.cli.app import app, main

RUN = CliRunner()
CLASSES = {"pasture": 0.3, "soybean": 0.6, "maize": 0.9}


def fields(each=20, seed=0, start=11):
    """NDVI of three crops that peak in different months; each place twice."""
    rng, rows = np.random.default_rng(seed), []
    for k, (name, peak) in enumerate(CLASSES.items()):
        for i in range(each):
            ndvi = 0.2 + peak * np.exp(-((np.arange(8) - 2 - 2 * k) ** 2) / 4) / 1.5 + rng.normal(0, 0.02, 8)
            place = {"lat": -12 - (i // 2) / 100 - k, "lon": -55.0, "region": f"r{i % 4}"}
            rows.append({"sample_id": f"{name}{i}", "crop": name, "code": k, "start_month": start, **place,
                         **{f"NDVI_{m:02d}": value for m, value in enumerate(ndvi)}})  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table, and a run on its raw series."""
    made = tmp_path_factory.mktemp("croptype")
    fields().to_csv(made / "fields.csv", index=False)
    result = train(made, "run")
    assert result.exit_code == 0, result.output
    return made


def train(folder, out, *more, table="fields.csv"):
    command = ["crop-type", "train", folder / table, "--encoder", "none", "--label", "crop"]
    return RUN.invoke(app, [str(one) for one in (*command, "--out", folder / out, *more)])


def predict(folder, *more, table="fields.csv", out="classes.csv"):
    command = ["crop-type", "predict", folder / "run", folder / table, "--out", folder / out, *more]
    return RUN.invoke(app, [str(one) for one in command])


def test_train_keeps_everything_a_prediction_needs(folder):
    record = json.loads((folder / "run" / "crop_type.json").read_text())
    assert record["classes"] == sorted(CLASSES)
    assert record["scores"]["head"]["macro_f1"] > 0.9
    assert set(record["scores"]) == {"head", "raw", "raw_catboost"}
    assert record["table"]["units"] == {"NDVI": "1"}
    assert len(record["training_sha256"]) == len(record["table"]["fingerprint"]) == 64
    assert record["encoder"] is None
    assert np.array(record["confusion"]).sum(axis=1).tolist() == [20, 20, 20]


def test_predict_writes_classes_and_calibrated_probabilities(folder):
    fields(seed=5).to_csv(folder / "new.csv", index=False)
    result = predict(folder, "--label", "crop", "--json", folder / "scores.json", table="new.csv")
    assert result.exit_code == 0, result.output
    made = pd.read_csv(folder / "classes.csv")
    assert len(made) == 60
    np.testing.assert_allclose(made[[f"p_{name}" for name in sorted(CLASSES)]].sum(axis=1), 1, atol=1e-5)
    assert (made["class"] == fields()["crop"]).mean() > 0.9
    scores = json.loads((folder / "scores.json").read_text())["predict"]
    assert scores["accuracy"] == pytest.approx((made["class"] == fields()["crop"]).mean())


def test_tables_in_portuguese(folder):
    result = train(folder, "pt", "--lang", "pt-BR", "--folds", "group")
    assert result.exit_code == 0, result.output
    assert "esta execução" in result.output


@pytest.mark.slow
def test_a_network_predicts_without_an_encoder_file(folder):
    import keras

    from yieldcast.encoders.presto import PrestoEncoder

    keras.utils.set_random_seed(1)
    encoder = PrestoEncoder(notes={"licence": "MIT", "source": "a test"})
    encoder.build()
    encoder.save(folder / "encoder.keras")
    options = ("--encoder", folder / "encoder.keras", "--mode", "finetune", "--epochs", "2")
    result = train(folder, "network", *options, "--balance", "sampling")
    assert result.exit_code == 0, result.output
    assert "Against the frozen encoder" in result.output
    (folder / "encoder.keras").unlink()
    record = json.loads((folder / "network" / "crop_type.json").read_text())
    assert list(record["members"]) == ["members/member_001.keras"]
    assert record["encoder"]["licence"] == "licence MIT, from a test"
    fields(seed=5).to_csv(folder / "later.csv", index=False)
    command = ["crop-type", "predict", folder / "network", folder / "later.csv", "--out",
               folder / "n.csv"]  # fmt: skip
    assert RUN.invoke(app, [str(one) for one in command]).exit_code == 0
    assert (pd.read_csv(folder / "n.csv")["class"] == fields()["crop"]).mean() > 0.9


def test_settings_of_networks_are_refused_with_a_frozen_encoder(folder):
    for options in (("--epochs", "3"), ("--balance", "sampling")):
        result = train(folder, "never", *options)
        assert "belong to networks" in str(result.exception)
    assert not (folder / "never").exists()


def test_rare_classes_are_named(folder):
    frame = fields()
    frame.loc[frame["crop"] == "maize", "crop"] = ["maize"] * 14 + ["rye"] * 3 + ["oats"] * 3
    frame.to_csv(folder / "rare.csv", index=False)
    result = train(folder, "rare", "--least", "5", table="rare.csv")
    assert result.exit_code == 0, result.output
    assert "rare class rye (3 series) is now other" in result.output.replace("\n", " ")


def refused(capsys, *arguments):
    """Exit code and error of a command line."""
    with pytest.raises(SystemExit) as ended:
        main([str(one) for one in arguments])
    return ended.value.code, " ".join(capsys.readouterr().err.split())


BAD = {
    "mixed seasons": lambda f: f.assign(start_month=[11] * 30 + [5] * 30),
    "unit of NDVI is not clear": lambda f: f.assign(**{c: f[c] * 100 for c in f if c.startswith("NDVI")}),
    "two steps or more": lambda f: f.drop(columns=[f"NDVI_0{k}" for k in range(1, 8)]),
    "two classes or more": lambda f: f.assign(crop="maize"),
    "one location only": lambda f: f.assign(lat=f["crop"].map({"maize": 1.0}).fillna(f["lat"])),
}


@pytest.mark.parametrize("said", BAD)
def test_bad_tables_end_with_5_and_write_nothing(folder, capsys, said):
    BAD[said](fields()).to_csv(folder / "bad.csv", index=False)
    code, error = refused(capsys, "crop-type", "train", folder / "bad.csv", "--encoder", "none", "--label",
                          "crop", "--out", folder / "bad")  # fmt: skip
    assert code == 5
    assert said in error
    assert not (folder / "bad").exists()


def test_codes_of_a_legend(folder, capsys):
    legend = folder / "legend.csv"
    legend.write_text("code,name\n0,pasture\n1,soybean\n2,maize\n")
    options = ("--legend", legend, "--classes", "name", "--label", "code")
    assert train(folder, "coded", *options).exit_code == 0
    legend.write_text("code,name\n0,pasture\n1,soybean\n")
    code, error = refused(capsys, "crop-type", "train", folder / "fields.csv", "--encoder", "none", *options,
                          "--out", folder / "unknown")  # fmt: skip
    assert code == 5
    assert "expected codes of the legend, received 1 others: 2 (20)" in error
    assert not (folder / "unknown").exists()


def test_predict_refuses_other_series(folder, capsys):
    cases = {
        "mixed seasons": fields(start=3),
        "expected the bands of the training": fields().assign(**{f"EVI_0{k}": 0.3 for k in range(8)}),
        "expected labels of": fields().assign(crop="rye"),
    }
    for said, frame in cases.items():
        frame.to_csv(folder / "other.csv", index=False)
        code, error = refused(capsys, "crop-type", "predict", folder / "run", folder / "other.csv", "--out",
                              folder / "other-classes.csv", "--label", "crop")  # fmt: skip
        assert (code, said in error) == (5, True), error
        assert not (folder / "other-classes.csv").exists()


def test_runs_are_not_overwritten_or_used_when_changed(folder, capsys):
    code, error = refused(capsys, "crop-type", "train", folder / "fields.csv", "--encoder", "none", "--label",
                          "crop", "--out", folder / "run")  # fmt: skip
    assert (code, "holds a run already" in error) == (2, True)
    changed = folder / "changed"
    changed.mkdir()
    for file in (folder / "run").iterdir():
        (changed / file.name).write_bytes(file.read_bytes())
    (changed / "training.npz").write_bytes((changed / "training.npz").read_bytes() + b"x")
    code, error = refused(capsys, "crop-type", "predict", changed, folder / "fields.csv", "--out",
                          folder / "never.csv")  # fmt: skip
    assert (code, "was changed" in error) == (6, True)
