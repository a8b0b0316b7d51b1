"""Drawings: where their marks lie, and that no text in them becomes a tag."""

import math
import re
import xml.etree.ElementTree as ET

import pytest

from yieldcast import language
from yieldcast.workspace.server import charts

ENGLISH = language.of("en")


def numbers(drawing, tag, name):
    return [float(one.get(name)) for one in ET.fromstring(str(drawing)).iter(tag) if one.get(name)]


@pytest.mark.parametrize(
    ("share", "largest", "width"), [(0.1, 0.4, 25.0), (0.5, 0.4, 100.0), (-1.0, 1.0, 0.0), (0.3, 0.0, 0.0)]
)
def test_a_bar_is_as_long_as_its_share_of_the_largest(share, largest, width):
    assert numbers(charts.share_bar(share, largest), "rect", "width") == [100.0, width]


def test_a_whisker_lies_on_the_axis_of_its_table():
    drawing = charts.whisker(0.85, 0.8, 0.9, (0.8, 1.0))
    assert numbers(drawing, "circle", "cx") == [4 + 124 * 0.25]
    (path,) = (one.get("d") for one in ET.fromstring(str(drawing)).iter("path"))
    assert re.findall(r"M([\d.]+) 3", path) == ["4.0", "66.0"]
    assert charts.whisker(math.nan, 0.8, 0.9, (0.8, 1.0)) == ""


def test_the_axis_spans_all_intervals():
    assert charts.axis_of([(0.8, 0.9), (math.nan, 0.95), (0.6, 0.7)]) == (0.6, 0.95)
    assert charts.axis_of([]) == (0.0, 1.0)


def test_a_learning_curve_has_a_point_for_each_epoch_and_round_ticks():
    lines = [charts.Line("a", [1.0, 0.5, 0.25]), charts.Line("b", [1.2, math.nan, 0.4])]
    drawing = charts.learning_curve(lines, "Loss <b>", ENGLISH, best=3)
    root = ET.fromstring(str(drawing))
    assert root.get("aria-label") == "Loss <b>"
    first, second = (one.get("points").split() for one in root.iter("polyline"))
    assert (len(first), len(second)) == (3, 2)
    texts = [one.text for one in root.iter("text")]
    assert texts == ["0.25", "0.50", "0.75", "1.00", "1.25", "1", "2", "3", "epoch"]
    height = {text: float(one.get("y")) for text, one in zip(texts, root.iter("text"), strict=True)}
    # 1.0 lies as far below 1.25 as the label of 1.0 below that of 1.25
    assert float(first[0].split(",")[1]) == pytest.approx(height["1.00"] - 4, abs=0.11)
    (mark,) = (one for one in root.iter("line") if one.get("class") == "mark")
    assert mark.get("x1") == first[2].split(",")[0]


@pytest.mark.parametrize("values", [[0.3], [0.0, 0.0], [5.0, 5.0], [-2.0, 1e6], [1e-9, 2e-9]])
def test_any_losses_can_be_drawn(values):
    drawing = charts.learning_curve([charts.Line("a", values)], "Loss", ENGLISH)
    heights = [float(p.split(",")[1]) for p in re.findall(r'points="([^"]+)"', drawing)[0].split()]
    assert all(0 <= height <= 280 for height in heights)


def test_nothing_is_drawn_without_losses():
    assert charts.learning_curve([charts.Line("a", [math.nan])], "Loss", ENGLISH) == ""


def test_a_course_fills_its_height():
    (points,) = re.findall(r'points="([^"]+)"', charts.spark([0.0, 1.0, 0.5], (0.0, 1.0)))
    assert points == "2.0,22.0 60.0,2.0 118.0,12.0"
