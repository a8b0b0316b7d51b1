"""Lists of bulletins, and two side by side, from forecasts in round numbers."""

import pytest
from factories import synthetic_forecast

from yieldcast.errors import ConfigError, MissingDataError
from yieldcast.operations.bulletin_list import compared, listed
from yieldcast.operations.bulletins import write_bulletin


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two dates of soybean 2018, one of them again, and one date of corn."""
    folder = tmp_path_factory.mktemp("bulletins")
    for as_of, crop, shift in (
        ("2017-11-15", "soybean", 0.0), ("2018-02-15", "soybean", -200.0), ("2018-02-15", "soybean", -300.0),
        ("2018-02-15", "corn", 0.0),
    ):  # fmt: skip
        write_bulletin(folder, synthetic_forecast(as_of=as_of, crop=crop, shift_kg_ha=shift))
    return folder


def test_bulletins_are_listed_by_season_and_date(root):
    rows = listed(root)
    assert [(row["crop"], row["as_of"], row["number"]) for row in rows] == [
        ("corn", "2018-02-15", 1), ("soybean", "2017-11-15", 1), ("soybean", "2018-02-15", 1),
        ("soybean", "2018-02-15", 2),
    ]  # fmt: skip
    forecast = synthetic_forecast(as_of="2017-11-15")
    low, _, _, median, _, _, high = forecast["aggregate_yield_kg_ha"].values[0].tolist()
    one = rows[1]
    found = [one[name] for name in ("low_kg_ha", "median_kg_ha", "high_kg_ha")]
    assert found == pytest.approx([low, median, high], abs=0.05)
    assert (one["yields_known_to"], one["weather_known_to"], one["synthetic"]) == (2016, "2017-10", True)
    assert one["path"] == str(root / "soybean-2018" / "2017-11-15")
    assert listed(root / "soybean-2018") == rows[1:]  # one season's folder


def test_a_damaged_bulletin_is_left_out_by_name(root, tmp_path):
    write_bulletin(tmp_path, synthetic_forecast())
    [row] = listed(tmp_path)
    (tmp_path / "soybean-2018" / row["as_of"] / "issue.json").write_text("{")
    told = []
    with pytest.raises(MissingDataError, match="no bulletin that can be read"):
        listed(tmp_path, told.append)
    assert "is damaged" in told[0]


def test_two_bulletins_are_compared_in_order_of_their_dates(root):
    names = "2017-11-15", "soybean-2018/2018-02-15-2"
    one, other = compared(root, names), compared(root, names[::-1])
    assert one.to_json() == other.to_json()
    assert (one.before, one.now) == ("2017-11-15", "2018-02-15")
    assert one.aggregates[0].change_kg_ha == pytest.approx(-300, abs=1)
    with pytest.raises(MissingDataError, match="which are 2"):  # a date of two crops
        compared(root, ("2018-02-15", "2017-11-15"))
    with pytest.raises(ConfigError, match="one season"):
        compared(root, ("corn-2018/2018-02-15", "2017-11-15"))
    with pytest.raises(MissingDataError, match="no bulletin"):
        compared(root, ("2011-01-01", "2017-11-15"))
