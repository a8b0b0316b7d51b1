"""`yieldcast encoder`: weights to a file, series to embeddings."""

import numpy as np
import pytest
from typer.testing import CliRunner

from yieldcast.cli.app import app, main

RUN = CliRunner()


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random weights under the published names and in the published layout."""
    from safetensors.numpy import save_file

    from yieldcast.encoders.presto import PrestoEncoder
    from yieldcast.encoders.published import names_of_encoder

    encoder, rng = PrestoEncoder(), np.random.default_rng(4)
    encoder.build()
    arrays = {}
    for name, (variable, transposed) in names_of_encoder(encoder).items():
        values = rng.normal(scale=0.1, size=variable.shape).astype(np.float32)
        values = values[None] if name == "pos_embed" else values
        arrays[name] = np.ascontiguousarray(values.T) if transposed else values
    file = tmp_path_factory.mktemp("weights") / "published.safetensors"
    save_file(arrays, file, {"licence": "MIT", "source": "a test"})
    return file


@pytest.fixture
def series(tmp_path):
    rng = np.random.default_rng(5)
    file = tmp_path / "pixels.npz"
    np.savez(file, x=rng.random((3, 4, 17)), latlons=np.zeros((3, 2)), month=[1, 2, 3])
    return file


def test_import_then_embed(weights, series, tmp_path):
    """Converted weights give the embeddings of the published file, with and without steps."""
    keras_file, out, direct = (tmp_path / name for name in ("one.keras", "out.npz", "direct.npz"))
    made = RUN.invoke(app, ["encoder", "import", str(weights), "--out", str(keras_file)])
    assert made.exit_code == 0, made.output
    assert "licence MIT, from a test" in made.output
    for file, target in ((keras_file, out), (weights, direct)):
        command = [
            "encoder",
            "embed",
            "--weights",
            file,
            "--input",
            series,
            "--out",
            target,
            "--pool",
            "time",
        ]
        done = RUN.invoke(app, list(map(str, command)))
        assert done.exit_code == 0, done.output
        assert "licence MIT" in done.output
    found, same = np.load(out), np.load(direct)
    assert found["embedding"].shape == (3, 128)
    assert found["embedding_time"].shape == (3, 4, 128)
    for name in ("embedding", "embedding_time"):
        np.testing.assert_array_equal(found[name], same[name])


def test_nothing_is_written_from_bad_series(weights, tmp_path, capsys):
    bad, out = tmp_path / "bad.npz", tmp_path / "out.npz"
    np.savez(bad, x=np.zeros((3, 4, 16)), latlons=np.zeros((3, 2)), month=0)
    command = ["encoder", "embed", "--weights", str(weights), "--input", str(bad), "--out", str(out)]
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 5
    assert "17 bands" in capsys.readouterr().err
    assert not out.exists()
