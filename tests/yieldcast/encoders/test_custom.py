"""Encoders of a user's function: what fits, what is refused, and runs that notice a change."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from yieldcast.cli.app import app
from yieldcast.encoders.custom import CustomEncoder
from yieldcast.encoders.embedding import embed, pixel_inputs
from yieldcast.encoders.files import licence, load_encoder
from yieldcast.errors import ConfigError, SchemaError
from yieldcast.user_code import trusted_code

HEAD = """
import keras
from keras import layers, ops
x = keras.Input((None, 17), name="x")
mask = keras.Input((None, 17), name="mask")
known = x * (1 - mask)
each = layers.Dense(3, kernel_initializer=keras.initializers.RandomNormal(seed=1))(known)
whole = layers.GlobalAveragePooling1D()(each)
"""
GOOD = (
    HEAD
    + """
def encoder():
    return keras.Model({"x": x, "mask": mask}, {"global": whole, "time": each}), {"licence": "MIT"}
"""
)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A function that writes the module `own` into the current folder, forgotten at the end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(source):
        sys.modules.pop("own", None)
        Path("own.py").write_text(source)
        return "own:encoder"

    yield write
    sys.modules.pop("own", None)


def series(rows=5, steps=4):
    x = np.random.default_rng(0).random((rows, steps, 17))
    return pixel_inputs(x, np.zeros((rows, 2)), np.zeros(rows))


def test_embeddings_are_those_of_the_model(module):
    encoder = load_encoder(Path(module(GOOD)))
    assert licence(encoder) == "licence MIT, from own:encoder"
    inputs, (kernel, bias) = series(300), encoder.get_weights()
    each = embed(encoder, inputs, "time")
    np.testing.assert_allclose(each, inputs.x @ kernel + bias, atol=1e-5)
    np.testing.assert_allclose(embed(encoder, inputs), each.mean(axis=1), atol=1e-6)


def test_the_command_embeds_with_it(module):
    inputs = series()
    np.savez("in.npz", x=inputs.x, latlons=inputs.latlons, month=inputs.month)
    command = ["encoder", "embed", "--weights", module(GOOD), "--input", "in.npz", "--out", "out.npz"]
    done = CliRunner().invoke(app, [*command, "--pool", "time"])
    assert done.exit_code == 0, done.output
    assert "licence MIT, from own:encoder" in done.output
    with np.load("out.npz") as made:
        assert made["embedding"].shape == (5, 3)
        np.testing.assert_allclose(made["embedding_time"].mean(axis=1), made["embedding"], atol=1e-6)


def returned(text):
    return HEAD + f"both = {{'x': x, 'mask': mask}}\ndef encoder():\n    return {text}\n"


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        (returned("missing"), ("the function failed: NameError",)),
        (HEAD + "def encoder(steps):\n    pass\n", ("takes no arguments", "the function failed: TypeError")),
        (returned("3"), ("expected a keras.Model, received int",)),
        (returned("keras.Model([x, mask], {'time': each})"), ("expected inputs among", "(None, None, 17)")),
        (returned("keras.Model({'mask': mask}, {'time': mask})"), ("always with x",)),
        (returned("keras.Model({'x': x, 'cloud': mask}, {'time': each})"), ("cloud",)),
        (returned("keras.Model(both, whole)"), ("expected the outputs global",)),
        (returned("keras.Model(both, {'time': whole})"), ("received {'time': (None, 3)}",)),
        (returned("keras.Model(both, {'global': ops.log(whole * 0 - 1)})"), ("not finite",)),
        (returned("keras.Model(both, {'global': whole - ops.max(whole, 0, keepdims=True)})"),
         ("alone and beside others",)),
        (returned("keras.Model(both, {'global': whole}), 'MIT'"), ("a dictionary of texts",)),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_a_settings_error(module, source, texts):
    with pytest.raises(ConfigError) as caught:
        CustomEncoder(module(source))
    told = f"{caught.value} {caught.value.hint}"
    assert "encoder = 'own:encoder'" in told
    for text in texts:
        assert text in told


def test_other_steps_and_other_embeddings_are_refused(module):
    fixed = GOOD.replace("(None, 17)", "(6, 17)").replace('"time": each', "")
    encoder = CustomEncoder(module(fixed))
    assert embed(encoder, series(steps=6)).shape == (5, 3)
    with pytest.raises(SchemaError, match="expected series of 6 steps"):
        embed(encoder, series(steps=4))
    with pytest.raises(ConfigError, match="expected an output 'time'"):
        embed(encoder, series(steps=6), "time")


def test_a_run_refuses_an_encoder_that_changed(module):
    """Other weights, and the same weights with other layers."""
    rng = np.random.default_rng(0)
    rows = [
        {"sample_id": i, "crop": f"crop{i % 2}", "lat": -12 - i / 100, "lon": -55.0, "start_month": 10,
         **{f"NDVI_{m:02d}": 0.3 + 0.4 * (i % 2) + rng.normal(0, 0.02) for m in range(4)}} for i in range(24)
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv("fields.csv", index=False)
    run = CliRunner()
    train = ["crop-type", "train", "fields.csv", "--encoder", module(GOOD), "--label", "crop", "--out", "RUN"]
    unnamed = ["crop-type", "predict", "RUN", "fields.csv", "--out", "classes.csv"]
    predict = [*unnamed, "--encoder", "own:encoder"]
    made = run.invoke(app, train)
    assert made.exit_code == 0, made.output
    assert "licence MIT, from own:encoder" in made.output
    assert "names code, the encoder own:encoder" in str(run.invoke(app, unnamed).exception)
    with trusted_code():
        assert run.invoke(app, unnamed).exit_code == 0
    assert run.invoke(app, predict).exit_code == 0
    assert (pd.read_csv("classes.csv")["class"] == [f"crop{i % 2}" for i in range(24)]).all()
    Path("classes.csv").unlink()
    for changed, said in (
        (GOOD.replace("seed=1", "seed=2"), "expected the encoder of the training"),
        (GOOD.replace("1 - mask", "2 - mask"), "does not embed the training series as it did"),
    ):
        module(changed)
        refused = run.invoke(app, predict)
        assert isinstance(refused.exception, ConfigError)
        assert said in str(refused.exception)
        assert not Path("classes.csv").exists()
