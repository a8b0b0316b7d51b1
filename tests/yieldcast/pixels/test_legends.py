"""Legends and rare classes: nothing is merged silently."""

import numpy as np
import pytest

from yieldcast.errors import ConfigError, SchemaError
from yieldcast.pixels.legends import Legend, merge_rare, read_legend, refuse_others


@pytest.fixture
def legend(tmp_path):
    file = tmp_path / "legend.csv"
    file.write_text(
        "code,crop,group\n1101060000,maize,cereals\n1101010001,wheat,cereals\n20,ignore,ignore\n30,,\n"
    )
    return file


def test_codes_become_classes(legend):
    read = read_legend(legend, "code", "crop", "group")
    found = read.of(np.array(["1101060000", "20", "30", "", "1101010001"]))
    assert found.tolist() == ["maize", "", "", "", "wheat"]
    assert read.parents["1101060000"] == "cereals"


def test_unknown_codes_and_columns_are_refused(legend, tmp_path):
    read = read_legend(legend, "code", "crop")
    with pytest.raises(SchemaError, match=r"received 2 others: 7 \(2\), 8 \(1\)"):
        read.of(np.array(["7", "7", "8", "20"]))
    with pytest.raises(ConfigError, match="no column level"):
        read_legend(legend, "code", "level")
    twice = tmp_path / "twice.csv"
    twice.write_text("code,crop\n1,a\n1,b\n")
    with pytest.raises(SchemaError, match="each code once"):
        read_legend(twice, "code", "crop")


def test_rare_classes_are_merged_and_named():
    labels = np.repeat(["maize", "rye", "oats", "flax", ""], [5, 2, 2, 1, 3])
    into_rest = merge_rare(labels, 3)
    assert into_rest.counts == {"maize": 5, "other": 5}
    assert into_rest.merged == {"flax": ("other", 1), "oats": ("other", 2), "rye": ("other", 2)}
    by_parent = merge_rare(labels, 3, parents={"rye": "cereals", "oats": "cereals"})
    assert by_parent.counts == {"cereals": 4, "maize": 5}
    assert by_parent.merged["flax"] == ("", 1)  # a rest of one sample is too rare itself
    assert merge_rare(labels, 3, into="").counts == {"maize": 5}
    assert merge_rare(labels, 1).merged == {}
    with pytest.raises(ConfigError, match="at least 1"):
        merge_rare(labels, 0)


def test_a_rare_parent_goes_into_the_rest():
    labels = np.repeat(["maize", "rye", "flax"], [5, 2, 2])
    made = merge_rare(labels, 4, parents={"rye": "cereals"})
    assert made.counts == {"maize": 5, "other": 4}
    assert made.merged == {"flax": ("other", 2), "rye": ("other", 2)}
    assert Legend({"1": "a"}, {}).of(np.array(["1"])).tolist() == ["a"]


def test_labels_outside_the_legend_are_refused():
    refuse_others(np.array(["a", ""]), ["a", "b"], "table")
    with pytest.raises(SchemaError, match=r"received others: c \(2\)"):
        refuse_others(np.array(["c", "a", "c"]), ["a", "b"], "table")
