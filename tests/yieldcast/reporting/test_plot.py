"""Figures for notebooks: what is drawn is what the tables hold."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from factories import synthetic_forecast
from matplotlib.colors import to_rgb

import yieldcast
from yieldcast import Run, Store, plot
from yieldcast.data import synthetic
from yieldcast.errors import ConfigError, MissingDataError, RunError, SchemaError
from yieldcast.forecasting.table import QUANTILES
from yieldcast.reporting.choropleth import NO_VALUE, class_limits

OLD = Path(__file__).parents[2] / "old_files"
CODES = np.array([4_100_001, 4_100_002, 4_100_003, 5_100_001])  # PR, PR, PR, MT


def square(x, y, hole=False):
    outline = [[x, y], [x + 1, y], [x + 1, y + 1], [x, y + 1], [x, y]]
    inner = [[x + a, y + b] for a, b in ((0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8), (0.2, 0.2))]
    return [outline, inner] if hole else [outline]


@pytest.fixture
def forecast():
    return synthetic_forecast(CODES, ["Um", "Dois", "Três", "Quatro"], ["PR", "PR", "PR", "MT"])


@pytest.fixture
def mesh(tmp_path):
    """Two squares side by side in PR, a third one with a hole, one in MT, and one without a forecast."""
    shapes = {
        4_100_001: {"type": "Polygon", "coordinates": square(0, 0)},
        4_100_002: {"type": "Polygon", "coordinates": square(1, 0)},
        4_100_003: {"type": "MultiPolygon", "coordinates": [square(2, 0, hole=True), square(40, 0)[:1]]},
        5_100_001: {"type": "Polygon", "coordinates": square(0, 1)},
        5_100_009: {"type": "Polygon", "coordinates": square(1, 1)},
    }
    features = [
        {"type": "Feature", "properties": {"code": code, "state": str(code)[:2]}, "geometry": geometry}
        for code, geometry in shapes.items()
    ]
    shapes[4_100_003]["coordinates"][1] = [
        [[40, 0], [40.1, 0], [40.1, 0.1], [40, 0.1], [40, 0]]
    ]  # a small island far out
    path = tmp_path / "mesh.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def part(axes, name):
    (found,) = (one for one in axes.collections if one.get_gid() == name)
    return found


def rgb(axes, name):
    return np.array([to_rgb(colour) for colour in part(axes, name).get_facecolor()])


def lightness(colours):
    return np.asarray(colours) @ [0.2126, 0.7152, 0.0722]


def test_plot_is_a_lazy_attribute_of_the_package():
    assert "plot" in dir(yieldcast)
    assert yieldcast.plot.map is plot.map
    code = (
        "import sys, yieldcast; from yieldcast import plot\n"
        "assert not {'tensorflow', 'keras', 'matplotlib', 'geopandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_map_has_a_path_per_municipality_and_grey_where_there_is_no_forecast(forecast, mesh):
    axes = plot.map(forecast, mesh).axes[0]
    coloured, others = part(axes, "values"), part(axes, "no value")
    assert (len(coloured.get_paths()), len(others.get_paths())) == (4, 1)
    median = forecast["yield_kg_ha"].sel(quantile=0.5).values
    np.testing.assert_allclose(coloured.get_array(), median)
    np.testing.assert_allclose(rgb(axes, "no value"), [to_rgb(NO_VALUE)])
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["no forecast"]  # most sides are nobody's neighbour: no borders are told apart


def test_colours_of_a_map_become_lighter_as_the_yield_rises(forecast, mesh):
    forecast["yield_kg_ha"][:] = np.array([[1000.0], [2000.0], [3000.0], [4000.0]])
    figure = plot.map(forecast, mesh)
    figure.canvas.draw()  # matplotlib maps values to colours when it draws
    shades = lightness(rgb(figure.axes[0], "values"))
    assert (np.diff(shades) > 0).all()
    narrow = forecast.copy(deep=True)
    narrow["probability_low"][:] = [0.1, 0.3, 0.5, 0.7]
    figure = plot.map(narrow, mesh, "probability_low")
    figure.canvas.draw()
    assert (np.diff(lightness(rgb(figure.axes[0], "values"))) < 0).all()  # likely is dark


def test_a_hole_stays_empty_and_the_frame_leaves_out_a_small_island(forecast, mesh):
    axes = plot.map(forecast, mesh).axes[0]
    path = part(axes, "values").get_paths()[2]
    assert len(path.vertices) == 15  # outline, hole, island; each closed
    outline, hole = path.vertices[:5], path.vertices[5:10]

    def turns(ring):
        x, y = ring.T
        return np.sign((x[:-1] * y[1:] - x[1:] * y[:-1]).sum())

    assert (turns(outline), turns(hole)) == (1, -1)
    assert axes.get_xlim() == pytest.approx((-0.03, 3.03))
    assert axes.get_ylim() == pytest.approx((-0.02, 2.02))
    assert axes.get_aspect() == pytest.approx(1 / np.cos(np.radians(1.0)))


def test_borders_run_where_states_end(tmp_path):
    """Six by six squares; the upper three rows are another state."""
    codes = [(41 if y < 3 else 51) * 100_000 + 10 * y + x for y in range(6) for x in range(6)]
    features = [
        {"type": "Feature", "properties": {"code": code, "state": str(code)[:2]},
         "geometry": {"type": "Polygon", "coordinates": square(code % 10, code // 10 % 10)}}
        for code in codes
    ]  # fmt: skip
    path = tmp_path / "mesh.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    table = synthetic_forecast(np.sort(codes))
    axes = plot.map(table, path).axes[0]
    sides = {
        frozenset((round(x), round(y)) for x, y in side)
        for side in part(axes, "state borders").get_segments()
    }
    around = {frozenset({(k, y), (k + 1, y)}) for k in range(6) for y in (0, 3, 6)}
    around |= {frozenset({(x, k), (x, k + 1)}) for k in range(6) for x in (0, 6)}
    assert sides == around
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["no forecast", "state border"]


def test_a_map_names_units_sources_missing_boundaries_and_synthetic_data(forecast, mesh):
    figure = plot.map(forecast, mesh, "width90", lang="pt")
    assert figure.axes[1].get_ylabel() == "Amplitude do intervalo de 90% (kg/ha)"
    assert figure.get_suptitle().startswith("DADOS SINTÉTICOS: Soja, safra 2017/18")
    assert figure.get_supxlabel() == "synthetic; no data owner"
    more = synthetic_forecast(np.append(CODES, 5_100_010), [*"abcde"], ["PR", "PR", "PR", "MT", "MT"])
    notes = plot.map(more, mesh).get_supxlabel().split("\n")
    assert notes == [
        "Municipalities with a forecast and without boundaries, not shown: 1",
        "synthetic; no data owner",
    ]


def test_a_value_that_some_forecasts_lack_is_grey_and_the_legend_says_so(forecast, mesh):
    forecast["probability_low"][0] = np.nan
    axes = plot.map(forecast, mesh, "probability_low").axes[0]
    assert len(part(axes, "values").get_paths()) == 3
    assert axes.get_legend().get_texts()[0].get_text() == "no forecast, or not known"
    forecast["probability_low"][:] = np.nan
    with pytest.raises(MissingDataError, match="probability_low"):
        plot.map(forecast, mesh, "probability_low")


def test_departure_and_change_are_differences_of_medians(forecast, mesh):
    median = forecast["yield_kg_ha"].sel(quantile=0.5).values
    figure = plot.map(forecast, mesh, "departure")
    expected = median - forecast["mean_5y_public_kg_ha"].values
    np.testing.assert_allclose(part(figure.axes[0], "values").get_array(), expected)
    limits = part(figure.axes[0], "values").norm.boundaries
    np.testing.assert_allclose(limits, -limits[::-1])  # as many classes above zero as below
    earlier = forecast.isel(municipality=[0, 1, 2]).assign_attrs(as_of="2017-10-15")
    earlier["yield_kg_ha"] = earlier["yield_kg_ha"] - 100.0
    figure = plot.map(forecast, mesh, "change", previous=earlier)
    np.testing.assert_allclose(part(figure.axes[0], "values").get_array(), [100.0] * 3, rtol=1e-3)
    assert figure.axes[1].get_ylabel() == "Change of the median since 2017-10-15 (kg/ha)"


def test_classes_have_round_limits_over_the_middle_of_the_values():
    values = np.concatenate([np.linspace(2_000, 4_000, 999), [90_000.0]])
    np.testing.assert_array_equal(class_limits(values), np.arange(2_250, 4_000, 250))
    assert len(class_limits(np.full(5, 3_000.0))) > 1
    np.testing.assert_array_equal(class_limits(np.array([-30.0, 400.0]), True)[[0, -1]], [-300, 300])


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"boundaries": None}, ConfigError, "needs the boundaries"),
        ({"value": "mean"}, ConfigError, "expected a value to map of median, departure.*received 'mean'"),
        ({"value": "change"}, ConfigError, "needs an earlier forecast"),
        ({"lang": "de"}, ConfigError, "expected a language of en, pt-BR, received 'de'"),
        ({"boundaries": Path("nowhere.geojson")}, MissingDataError, "nowhere.geojson"),
    ],
)
def test_a_map_refuses(forecast, mesh, change, error, text):
    with pytest.raises(error, match=text):
        plot.map(**{"forecast": forecast, "boundaries": mesh, **change})


def test_a_map_refuses_another_season_a_table_that_is_no_forecast_and_a_mesh_without_polygons(
    forecast, mesh, tmp_path
):
    other = forecast.assign_attrs(harvest_year=2017)
    with pytest.raises(ConfigError, match="earlier forecast"):
        plot.map(forecast, mesh, "change", previous=other)
    with pytest.raises(SchemaError):
        plot.map(forecast.drop_vars("yield_kg_ha"), mesh)
    empty = tmp_path / "empty.geojson"
    empty.write_text('{"type": "FeatureCollection", "features": []}')
    with pytest.raises(SchemaError, match="at least one polygon"):
        plot.map(forecast, empty)


def test_figures_show_themselves_in_a_notebook_and_leave_pyplot_alone(forecast, mesh):
    before = set(sys.modules)
    figure = plot.map(forecast, mesh)
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert "matplotlib.pyplot" not in set(sys.modules) - before


def test_without_matplotlib_the_error_names_the_extra(forecast, mesh, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ConfigError, match="matplotlib") as error:
        plot.map(forecast, mesh)
    assert "yieldcast[report]" in error.value.hint


def backtest():
    """Two harvest years, two leads; pooled RMSE of the forecast: sqrt((300**2 + 400**2) / 2) = 353.6."""
    rows = []
    for year, ours in ((2017, 300.0), (2018, 400.0)):
        for lead in (6, 0):
            for model, error in (("forecast", ours), ("last_public", 500.0), ("mine", 450.0)):
                rows.append(
                    {"crop": "soybean", "harvest_year": year, "lead_months": lead, "model": model, "n": 10,
                     "rmse_kg_ha": error, "crps_kg_ha": error / 2,
                     "coverage90": 0.9 if model == "forecast" else None}
                )  # fmt: skip
    return rows


def test_skill_by_lead_pools_years_and_names_models_units_and_years():
    figure = plot.skill_by_lead(backtest(), "soybean")
    (axes,) = figure.axes
    lines = {line.get_label(): line for line in axes.lines}
    np.testing.assert_allclose(lines["forecast"].get_xydata(), [[6, 353.5534], [0, 353.5534]], rtol=1e-6)
    np.testing.assert_allclose(lines["last_public"].get_ydata(), [500.0, 500.0])
    assert axes.get_xlim()[0] > axes.get_xlim()[1]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("months before the end of harvest", "RMSE (kg/ha)")
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["forecast", "last public yield", "mine"]
    assert figure.get_suptitle() == "Soybean: skill by lead time, harvest years 2017-2018"


def test_skill_by_lead_reads_a_file_and_marks_a_synthetic_one(tmp_path):
    file = tmp_path / "synthetic-backtest.json"
    file.write_text(json.dumps(backtest()))
    figure = plot.skill_by_lead(file, "soybean", "coverage90", "pt")
    assert figure.get_suptitle() == ("DADOS SINTÉTICOS: Soja: desempenho por antecedência, safras 2017-2018")
    assert figure.axes[0].get_ylabel() == "parte dentro do intervalo de 90%"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["previsão"]


def test_skill_by_lead_refuses(tmp_path):
    with pytest.raises(ConfigError, match="expected a score of rmse_kg_ha, crps_kg_ha, coverage90"):
        plot.skill_by_lead(backtest(), "soybean", "rmse")
    with pytest.raises(MissingDataError, match="'corn'"):
        plot.skill_by_lead(backtest(), "corn")
    with pytest.raises(MissingDataError, match="cannot read"):
        plot.skill_by_lead(tmp_path / "none.json", "soybean")
    for text, message in (("{", "not JSON"), ("[1]", "list of rows"), ('[{"crop": "soybean"}]', "skill")):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(SchemaError, match=message):
            plot.skill_by_lead(tmp_path / "bad.json", "soybean")


@pytest.fixture(scope="module")
def country(tmp_path_factory):
    tables = synthetic.country(seed=5, municipalities=4, first_harvest_year=2010, harvest_years=9)
    store = Store.write(tmp_path_factory.mktemp("country"), tables, {})
    static = tables.static
    return store, synthetic_forecast(
        static["municipality"].values, static["name"].values.tolist(), static["state"].values.tolist()
    )


def test_a_place_shows_public_and_later_yields_the_fan_and_the_baselines(country):
    store, table = country
    row = table.isel(municipality=1)
    figure = plot.place(table, store, int(row["municipality"]))
    (axes,) = figure.axes
    lines = {line.get_label(): line for line in axes.lines}
    past = (
        store.yields["yield_kg_ha"]
        .sel(crop="soybean", municipality=row["municipality"])
        .dropna("harvest_year")
    )
    public = past.sel(harvest_year=past["harvest_year"] <= 2016)
    np.testing.assert_array_equal(lines["yield, public on 2017-11-15"].get_xdata(), public["harvest_year"])
    np.testing.assert_allclose(lines["yield, public on 2017-11-15"].get_ydata(), public.values)
    later = lines["yield, published later"]
    assert set(later.get_xdata()) <= {2017, 2018}
    assert later.get_markerfacecolor() == "white"
    quantiles = dict(zip(QUANTILES, row["yield_kg_ha"].values.tolist(), strict=True))
    bars = [one for one in axes.containers if one.get_label().startswith("forecast")]
    assert [one.get_label() for one in bars] == [f"forecast: {n}% interval" for n in (90, 80, 50)]
    ends = [(one[0].get_y(), one[0].get_y() + one[0].get_height()) for one in bars]
    expected = [(quantiles[a], quantiles[b]) for a, b in ((0.05, 0.95), (0.1, 0.9), (0.25, 0.75))]
    np.testing.assert_allclose(ends, expected)
    assert [one[0].get_zorder() for one in bars] == sorted(one[0].get_zorder() for one in bars)
    shades = lightness([to_rgb(one[0].get_facecolor()) for one in bars])
    assert (np.diff(shades) < 0).all()  # the likelier, the darker
    assert lines["mean of five public years"].get_ydata() == pytest.approx(
        [row["mean_5y_public_kg_ha"].item()]
    )
    assert axes.get_ylabel() == "Yield (kg/ha)"
    low, high = axes.get_ylim()
    assert low < quantiles[0.05] < quantiles[0.95] < high
    name = f"{row['name'].item()} ({row['state'].item()})"
    assert figure.get_suptitle().startswith(f"{name}\nSYNTHETIC DATA: Soybean, season 2017/18")


def test_a_place_is_found_by_code_text_and_by_its_only_name(country):
    store, table = country
    row = table.isel(municipality=2)
    titles = {
        plot.place(table, store, key).get_suptitle()
        for key in (row["municipality"].item(), row["code"].item(), row["name"].item())
    }
    assert len(titles) == 1
    with pytest.raises(ConfigError, match="received 'Nowhere'"):
        plot.place(table, store, "Nowhere")
    table = table.assign_coords(name=("municipality", ["Bom Jesus"] * table.sizes["municipality"]))
    with pytest.raises(ConfigError, match="the name of "):
        plot.place(table, store, "Bom Jesus")


@pytest.mark.parametrize(("place", "lang"), [("all", "en"), ("PR", "pt"), ("Dois", "en"), (5_100_001, "pt")])
def test_a_waterfall_ends_at_the_median(place, lang):
    table = synthetic_forecast(CODES, ["Um", "Dois", "Três", "Quatro"], ["PR"] * 3 + ["MT"], parts=True)
    if place in ("all", "PR"):
        row = table["aggregate"].values.tolist().index(place)
        median = round(float(table["aggregate_yield_kg_ha"].values[row, 3]))
    else:
        median = round(float(table["yield_kg_ha"].values[1 if place == "Dois" else 3, 3]))
    figure = plot.waterfall(table, place, lang)
    (axes,) = figure.axes
    texts = [one.get_text() for one in axes.texts]
    values = [int(text.replace(",", "").replace(".", "")) for text in texts]
    assert sum(values[:-1]) == values[-1] == median
    words = [one.get_text() for one in axes.get_yticklabels()]
    assert words[0] == ("Level of recent years" if lang == "en" else "Nível dos anos recentes")
    assert len(words) == len(values) == 6  # two parts are 0
    ends = np.cumsum(values[:-1])
    for bar, before, after in zip(axes.patches, ends[:-1], ends[1:], strict=True):
        assert sorted((bar.get_x(), bar.get_x() + bar.get_width())) == sorted((before, after))


def test_a_waterfall_needs_parts_and_a_place(forecast):
    with pytest.raises(MissingDataError, match="has no parts"):
        plot.waterfall(forecast)
    with pytest.raises(ConfigError, match="received 'XX'"):
        plot.waterfall(synthetic_forecast(parts=True), "XX")


def test_a_place_without_history_says_whose_baselines_are_shown(country):
    store, table = country
    table = table.copy(deep=True).assign_attrs(crop="wheat")
    table["own_history"][:] = 0
    table["low_threshold_kg_ha"][:] = np.nan
    figure = plot.place(table, store, int(table["municipality"][0]), "pt")
    assert figure.get_supxlabel().startswith("Poucas produtividades publicadas próprias")
    assert not any("publicada até" in line.get_label() for line in figure.axes[0].lines)


def test_learning_curves_show_every_member_the_median_and_the_best_epochs():
    run = Run.open(OLD / "run")
    figure = plot.learning_curves(run)
    losses, validation = figure.axes
    histories = [np.genfromtxt(run.history_path(k), delimiter=",", names=True) for k in (1, 2, 3)]
    assert len(losses.lines) == 4
    assert len(validation.lines) == 5
    for axes, column in ((losses, "loss"), (validation, "val_loss")):
        for line, history in zip(axes.lines, histories, strict=False):
            np.testing.assert_allclose(line.get_ydata(), history[column])
            np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
        np.testing.assert_allclose(
            axes.lines[3].get_ydata(), np.median([history[column] for history in histories], axis=0)
        )
    best = [(record["best_epoch"], record["best_validation_loss"]) for record in run.records()]
    np.testing.assert_allclose(validation.lines[4].get_xydata(), best)
    assert losses.get_ylabel() == "Loss on training rows (huber)"
    assert figure.get_suptitle() == "SYNTHETIC DATA: Soybean, 3 members, harvest years 2011-2013"


def test_the_median_ends_where_the_first_member_stops(tmp_path):
    run = Run.open(copytree(OLD / "run", tmp_path / "run"))
    text = run.history_path(2).read_text().splitlines()
    run.history_path(2).write_text("\n".join(text[:3]))
    losses, _ = plot.learning_curves(run).axes
    assert [len(line.get_ydata()) for line in losses.lines] == [3, 2, 3, 2]


def test_learning_curves_refuse_a_run_without_members_and_a_damaged_history(tmp_path):
    run = Run.open(copytree(OLD / "run", tmp_path / "run"))
    for text in ("epoch,loss\n1,2\n", "epoch,loss,val_loss\n1,x,2\n", "epoch,loss,val_loss\n"):
        run.history_path(2).write_text(text)
        with pytest.raises(RunError, match="member_002"):
            plot.learning_curves(run)
    with pytest.raises(RunError, match="no finished member"):
        plot.learning_curves(replace(run, path=tmp_path))
