"""Figures: scatter of a run and skill by lead time, as PNG files that repeat exactly."""

from __future__ import annotations

import resource
import sys

import numpy as np
import pytest
from factories import SKILL_MODELS, synthetic_skill

from yieldcast.errors import ConfigError, MissingDataError, SchemaError
from yieldcast.reporting.figures import scatter_png, skill_png


@pytest.mark.parametrize("lang", ["en", "pt"])
def test_scatter_is_a_picture_and_repeats_exactly(tmp_path, lang):
    before, rng = set(sys.modules), np.random.default_rng(0)
    target = rng.uniform(500, 4000, 3000)
    prediction = target + rng.normal(0, 300, 3000)
    files = [tmp_path / "a.png", tmp_path / "b.png"]
    for file in files:
        scatter_png(file, prediction, target, "soja $2018$ [%]", lang)
    first, second = (file.read_bytes() for file in files)
    assert first == second
    assert first.startswith(b"\x89PNG")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png"]
    assert "matplotlib.pyplot" not in set(sys.modules) - before


@pytest.fixture
def drawn(monkeypatch):
    """Figures that were saved, in order."""
    from matplotlib.figure import Figure

    figures, save = [], Figure.savefig

    def keep(figure, *more, **options):
        figures.append(figure)
        return save(figure, *more, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    return figures


def test_scatter_has_equal_axes_dense_points_on_top_and_labels_in_the_language(drawn, tmp_path):
    target = np.array([1000.0] * 5 + [3000.0])
    scatter_png(tmp_path / "a.png", target, target + 100, "t", "pt")
    axes = drawn[0].axes[0]
    assert axes.get_aspect() == 1
    assert axes.get_xlim() == axes.get_ylim()
    assert (axes.get_xlabel(), axes.get_ylabel()) == (
        "Produtividade observada (kg/ha)", "Produtividade prevista (kg/ha)",
    )  # fmt: skip
    np.testing.assert_array_equal(axes.collections[0].get_array(), [1, 5, 5, 5, 5, 5])
    (diagonal,) = axes.lines
    np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())


def test_a_single_point_can_be_drawn(tmp_path):
    assert scatter_png(tmp_path / "one.png", [2000.0], [2000.0], "one").stat().st_size > 1000


def test_scatter_refuses(tmp_path, monkeypatch):
    file = tmp_path / "a.png"
    with pytest.raises(ConfigError, match="en, pt"):
        scatter_png(file, [1.0], [1.0], "t", "de")
    for prediction, target in (([1.0, np.nan], [1.0, 2.0]), ([1.0], [1.0, 2.0]), ([], [])):
        with pytest.raises(SchemaError, match="finite predictions"):
            scatter_png(file, prediction, target, "t")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ConfigError, match="matplotlib") as error:
        scatter_png(file, [1.0], [1.0], "t")
    assert "yieldcast[report]" in error.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_leaves_the_earlier_figure(tmp_path):
    file = tmp_path / "a.png"
    scatter_png(file, [1.0, 2.0], [1.0, 2.0], "t")
    before = file.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(MissingDataError):
            scatter_png(file, [1.0, 3.0], [1.0, 2.0], "t")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert file.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
    with pytest.raises(MissingDataError):
        scatter_png(tmp_path / "nowhere" / "a.png", [1.0], [1.0], "t")


def test_the_figure_is_a_picture_and_repeats_exactly(tmp_path):
    for name in ("a.png", "b.png"):
        assert skill_png(tmp_path / name, synthetic_skill(), "soybean $2018$ [%]") == tmp_path / name
    first, second = ((tmp_path / name).read_bytes() for name in ("a.png", "b.png"))
    assert first == second
    assert first.startswith(b"\x89PNG")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png"]
    # one lead only, and lines without uncertainty, can be drawn too
    rows = [r for r in synthetic_skill(leads=(0,)) if r["coverage90"] is None]
    assert skill_png(tmp_path / "c.png", rows, "one").stat().st_size > 1000


def test_the_figure_shows_each_score_of_each_model(drawn, tmp_path):
    skill_png(tmp_path / "a.png", synthetic_skill(), "t")
    rmse, _, coverage = drawn[0].axes
    assert sorted(one.get_label() for one in rmse.lines) == sorted(SKILL_MODELS)
    (ours,) = [one for one in rmse.lines if one.get_label() == "forecast"]
    np.testing.assert_allclose(ours.get_xydata(), [[6, 560], [3, 530], [0, 500]])
    assert rmse.get_xlim()[0] > rmse.get_xlim()[1]  # time runs to the right: the longest lead is on the left
    assert all(tick == int(tick) for tick in rmse.get_xticks())
    assert [one.get_label() for one in coverage.lines][:2] == ["forecast", "climatology"]
