"""crop-series: tables of pixel series to arrays without gaps, and the places in both parts."""

import numpy as np
import pandas as pd
import pytest

from yieldcast.errors import LeakageError, SchemaError
from yieldcast.workspace.tasks.options import DataOptions
from yieldcast.workspace.tasks.prepare import prepare
from yieldcast.workspace.tasks.task import read_group, read_inputs, read_public, read_target


def table(path, seed=0, rows=40, south=0.0, **changes):
    rng = np.random.default_rng(seed)
    label = np.array(["corn", "rice", "soybean"])[np.arange(rows) % 3]
    level = 0.3 + 0.1 * (np.arange(rows) % 3)
    frame = {"sample_id": np.arange(rows), "lat": south + np.arange(rows) * 0.01, "lon": 5.0, "label": label,
             "start_month": 4, "elevation": 20.0 + np.arange(rows), "geo_group": "NL"}  # fmt: skip
    frame |= {f"NDVI_{k:02d}": level + 0.05 * k + rng.normal(0, 0.02, rows) for k in range(4)}
    frame |= {f"B8_{k:02d}": 2500 + rng.normal(0, 200, rows) for k in range(4)}
    pd.DataFrame({**frame, **changes}).to_csv(path, index=False)
    return path


@pytest.fixture
def holdout(tmp_path):
    return table(tmp_path / "b.csv", seed=1, rows=9, south=10.0)


def test_series_have_their_bands_in_order_and_elevation_as_static_input(tmp_path, holdout):
    task = prepare("crop-series", table(tmp_path / "a.csv"), holdout, tmp_path / "data")
    assert task.inputs == {"series": (4, 2), "static": (1,)}
    assert task.input_names == {"series": ("B8 (x10000)", "NDVI (1)"), "static": ("elevation (m)",)}
    assert task.outputs == ("corn", "rice", "soybean")
    assert task.filled == {}
    frame = pd.read_csv(tmp_path / "a.csv")
    inputs = read_inputs(tmp_path, task, "training")
    np.testing.assert_allclose(inputs["series"][:, 2, 1], frame["NDVI_02"], rtol=1e-6)
    np.testing.assert_allclose(inputs["static"][:, 0], frame["elevation"])
    assert read_target(tmp_path, task, "training")[:4].tolist() == [0, 1, 2, 0]
    assert len(set(read_group(tmp_path, task, "training").tolist())) == 40  # each place


def test_gaps_are_filled_on_the_line_between_neighbours(tmp_path, holdout):
    values = np.full((40, 4), 0.5)
    values[0] = [0.2, np.nan, 0.4, np.nan]
    values[1] = np.nan
    gaps = {f"NDVI_{k:02d}": values[:, k] for k in range(4)}
    elevation = np.where(np.arange(40) == 0, np.nan, 100.0)
    path = table(tmp_path / "a.csv", **gaps, elevation=elevation)
    task = prepare("crop-series", path, holdout, tmp_path / "data")
    inputs = read_inputs(tmp_path, task, "training")
    np.testing.assert_allclose(inputs["series"][0, :, 1], [0.2, 0.3, 0.4, 0.4], rtol=1e-6)
    np.testing.assert_allclose(inputs["series"][1, :, 1], 0.5)
    assert inputs["static"][0, 0] == 100
    assert task.filled == {"series": ("NDVI",), "static": ("elevation",)}


def test_a_table_without_elevation_has_one_input(tmp_path):
    paths = [table(tmp_path / f"{k}.csv", k, 30, 10.0 * k, elevation=np.nan) for k in range(2)]
    assert prepare("crop-series", *paths, tmp_path / "data").inputs == {"series": (4, 2)}


def test_a_place_in_both_parts_is_refused_or_told(tmp_path):
    training, holdout = table(tmp_path / "a.csv"), table(tmp_path / "b.csv", seed=1, rows=9)
    with pytest.raises(LeakageError, match=r"9 groups .* have rows in"):
        prepare("crop-series", training, holdout, tmp_path / "data")
    told = []
    prepare("crop-series", training, holdout, tmp_path / "data", DataOptions(allow_shared_groups=True),
            notice=told.append)  # fmt: skip
    assert "9 groups" in told[0]


def test_the_same_series_elsewhere_is_a_leak(tmp_path):
    training = table(tmp_path / "a.csv")
    frame = pd.read_csv(training).head(5).assign(lat=lambda one: one["lat"] + 30)
    frame.to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(LeakageError, match="received 5 that are in both"):
        prepare("crop-series", training, tmp_path / "b.csv", tmp_path / "data")


def test_a_group_column_divides(tmp_path, holdout):
    training = table(tmp_path / "a.csv")
    with pytest.raises(LeakageError, match=r"1 groups .* have rows in"):
        prepare("crop-series", training, holdout, tmp_path / "data", DataOptions(group="geo_group"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"start_month": 5}, "months"),
        ({f"NDVI_{k:02d}": np.nan for k in range(4)} | {f"EVI_{k:02d}": 0.5 for k in range(4)}, "bands"),
        ({"label": ""}, "a label for every series"),
        ({"label": "flax"}, "9 rows: flax"),
    ],
)
def test_a_holdout_made_otherwise_is_refused(tmp_path, changes, said):
    training, holdout = table(tmp_path / "a.csv"), table(tmp_path / "b.csv", 1, 9, 10.0, **changes)
    with pytest.raises(SchemaError, match=said):
        prepare("crop-series", training, holdout, tmp_path / "data")


def test_a_table_without_labels_is_refused(tmp_path, holdout):
    frame = pd.read_csv(holdout).rename(columns={"label": "what"})
    frame.to_csv(tmp_path / "c.csv", index=False)
    with pytest.raises(SchemaError, match="a column of labels"):
        prepare("crop-series", table(tmp_path / "a.csv"), tmp_path / "c.csv", tmp_path / "data")


def test_the_page_shows_mean_curves_and_no_place(tmp_path, holdout):
    prepare("crop-series", table(tmp_path / "a.csv", rows=60), holdout, tmp_path / "data")
    page = read_public(tmp_path)
    curve = next(one for one in page["statistics"] if one["class"] == "rice" and one["input"] == "series")
    assert len(curve["steps"]) == 4
    assert not any("lat" in name or "lon" in name for one in page["inputs"].values() for name in one["names"])
