"""`yieldcast crop-type tiles`: train, predict, and bad input that leaves nothing behind."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from yieldcast.cli.app import app, main
from yieldcast.tiles.synthetic import synthetic_patches, write_image, write_patches

RUN = CliRunner()
CLASSES = ["maize", "soybean", "rice", "wheat", "other"]


def call(*words):
    return RUN.invoke(app, ["crop-type", "tiles", *map(str, words)])


def refused(words, capsys, code=5):
    """What a command says that ends with this exit code."""
    with pytest.raises(SystemExit) as ended:
        main(["crop-type", "tiles", *map(str, words)])
    assert ended.value.code == code
    return " ".join(capsys.readouterr().err.split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Patches and nothing else."""
    made = tmp_path_factory.mktemp("tiles")
    write_patches(made / "patches", count=3, side=32)
    return made


def random_weights(file):
    """A file with the names and shapes of a published encoder."""
    from safetensors.numpy import save_file

    from yieldcast.tiles.published_resnet import published_names
    from yieldcast.tiles.resnet import resnet_encoder

    made = {}
    for name, variable in published_names(resnet_encoder()).items():
        values = np.asarray(variable)
        values = values.transpose(3, 2, 0, 1) if values.ndim == 4 else values
        made[f"backbone.{name}"] = np.ascontiguousarray(values)
    save_file(made, file, {"licence": "CC-BY-4.0"})
    return file


@pytest.mark.slow
def test_patches_become_a_run_and_a_run_becomes_a_map(folder):
    import rasterio

    weights = random_weights(folder / "weights.safetensors")
    train = (
        "train",
        folder / "patches",
        "--weights",
        weights,
        "--absent",
        "B10",
        "--epochs",
        2,
        "--batch",
        4,
    )
    result = call(*train, "--out", folder / "run", "--json", folder / "run.json", "--lang", "pt-BR")
    assert result.exit_code == 0, result.output
    assert "exatidão" in result.output
    record = json.loads((folder / "run.json").read_text())
    assert (record["classes"], record["absent"]) == (CLASSES, ["B10"])
    assert (record["weights"]["licence"], record["weights"]["prefix"]) == ("CC-BY-4.0", "backbone.")
    assert record["patches"]["countries"] == ["north", "south"]
    images, _ = synthetic_patches(1, 100, 5)
    image = images[0][:, :70].copy()
    image[:, 3, 4] = 0
    write_image(folder / "image.tif", image, nodata=0)
    done = ("predict", folder / "run", folder / "image.tif", "--side", 64, "--last-day", "2021-05-31")
    result = call(*done, "--out", folder / "class.tif", "--json", folder / "map-numbers.json")
    assert result.exit_code == 0, result.output
    with rasterio.open(folder / "class.tif") as file, rasterio.open(folder / "probability.tif") as chance:
        classes, probability = file.read(1), chance.read()
        assert (file.crs, file.nodata, json.loads(file.tags()["YIELDCAST_CLASSES"])) == (
            "EPSG:32721",
            0,
            CLASSES,
        )
        assert file.tags()["YIELDCAST_LAST_DAY"] == "2021-05-31"
        assert file.transform.almost_equals(chance.transform)
    assert classes.shape == (70, 100)
    assert (classes == 0).sum() == 1
    assert classes[3, 4] == 0
    known = classes > 0
    np.testing.assert_array_equal(classes[known], probability.argmax(axis=0)[known] + 1)
    np.testing.assert_allclose(probability.sum(axis=0)[known], 1, atol=1e-5)
    about = json.loads((folder / "map.json").read_text())
    assert sum(about["pixels"].values()) == 6999
    assert sum(about["hectares"].values()) == pytest.approx(69.99, rel=5e-3)
    assert json.loads((folder / "map-numbers.json").read_text())["pixels"] == about["pixels"]
    assert not list(folder.glob(".*"))
    write_image(folder / "bad.tif", image[:12], names=("B1",) * 12)
    result = call("predict", folder / "run", folder / "bad.tif", "--out", folder / "bad_class.tif")
    assert "each band once" in str(result.exception)
    assert not list(folder.glob("bad_*"))
    result = call(*train, "--out", folder / "run")
    assert "holds a run already" in str(result.exception)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--bands", "B1,B2,B3"), 5, "expected 3 bands (--bands), received 13"),
        (("--bands", "B2,B1,B3,B4,B5,B6,B7,B8,B8A,B9,B10,B11,B12"), 5, "received the description B1"),
        (("--unit", "1"), 5, "expected reflectance in unit 1"),
        (("--legend", "LEGEND"), 5, "others: 2 ("),
        (("--legend", "LEGEND", "--nodata", "2,3,4,5,0"), 5, "two classes or more"),
        (("--absent", "B13"), 2, "--absent: expected some of B1"),
        (("--nodata", "none"), 2, "--nodata: expected whole numbers"),
        (("--as-of", "2020-13-01"), 2, "--as-of: expected YYYY-MM-DD"),
        (("--as-of", "2020-01-01"), 5, "6 patches without it"),
        (("--weights", "no.safetensors"), 3, "no file no.safetensors"),
    ],
)
def test_bad_input_leaves_nothing(folder, options, code, message, capsys):
    (folder / "legend.csv").write_text("code,class\n1,maize\n9,wheat\n")
    given = [folder / "legend.csv" if one == "LEGEND" else one for one in options]
    words = ["train", folder / "patches", "--weights", "none", "--out", folder / "no", *given]
    assert message in refused(words, capsys, code)
    assert not (folder / "no").exists()


def test_a_prediction_needs_a_run_and_an_image(folder, capsys):
    image = folder / "patches" / "north" / "0000_image.tif"
    words = ["predict", folder / "none", image, "--out", folder / "no_class.tif"]
    assert "not a run" in refused(words, capsys, 6)
    words[2] = folder / "no.tif"
    assert "no file" in refused(words, capsys, 3)
    assert "multiple of 32" in refused([*words, "--side", 100], capsys, 2)
    assert not (folder / "no_class.tif").exists()
