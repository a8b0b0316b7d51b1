"""The table of collections: scale, offset and clouds by hand."""

import numpy as np
import pytest

from data_fetchers.stac.collections import (
    CATALOGUES,
    COLLECTIONS,
    baseline,
    clear,
    collection,
    in_series_units,
    offset_of,
)
from yieldcast.errors import ConfigError, FetchError
from yieldcast.pixels.series_bands import BAND_OF

S2 = "sentinel-2-l2a"


def test_every_row_of_the_table_is_usable():
    for about in COLLECTIONS.values():
        assert set(about.bands) <= set(BAND_OF)
        assert set(about.ids) <= set(CATALOGUES)
        assert about.licence
        assert about.attribution
        assert bool(about.flags) == bool(about.flag_assets)
    assert {one.url[:8] for one in CATALOGUES.values()} == {"https://"}


@pytest.mark.parametrize(
    ("properties", "item", "offset"),
    [
        ({"s2:processing_baseline": "04.00"}, "S2A_22LCH_20220301_0_L2A", -0.1),
        ({"s2:processing_baseline": "05.11"}, "S2A_22LCH_20200301_0_L2A", -0.1),
        ({"s2:processing_baseline": "03.01"}, "S2A_22LCH_20210301_0_L2A", 0.0),
        ({"s2:processing_baseline": "05.00", "earthsearch:boa_offset_applied": True}, "x", 0.0),
        ({"s2:processing_baseline": "05.00", "earthsearch:boa_offset_applied": False}, "x", -0.1),
        ({"processing:version": "05.10"}, "x", -0.1),
        ({}, "S2B_MSIL2A_20220101T133219_N0301_R081_T22LCH_20220101T160000", 0.0),
        ({"s2:product_uri": "S2B_MSIL2A_20220201T1_N0400_R081_T22LCH_2.SAFE"}, "x", -0.1),
    ],
)
def test_the_offset_follows_the_processing_baseline(properties, item, offset):
    assert offset_of(S2, properties, item) == offset


def test_sentinel_2_without_a_baseline_is_refused_and_others_need_none():
    with pytest.raises(FetchError, match="processing baseline"):
        offset_of(S2, {"s2:processing_baseline": "new"}, "x")
    assert offset_of("hls2-s30", {}, "x") == 0.0
    assert baseline({}, "HLS.S30.T22LCH.2020007T133221.v2.0") is None


@pytest.mark.parametrize(
    ("name", "band", "stored", "offset", "expected"),
    [
        (S2, "B4", 2000, -0.1, 1000),  # (2000 - 1000) / 10000 = 0.1
        (S2, "B4", 2000, 0.0, 2000),
        (S2, "B4", 500, -0.1, -500),
        (S2, "B4", 65535, 0.0, np.nan),  # saturated: not a possible reflectance
        ("hls2-l30", "B8A", 3215, 0.0, 3215),
        ("modis-13Q1-061", "NDVI", 8123, 0.0, 0.8123),
        ("sentinel-1-rtc", "VV", 0.1, 0.0, -10.0),  # 10 log10(0.1)
        ("sentinel-1-rtc", "VH", 0.0, 0.0, np.nan),
        ("cop-dem-glo-30", "elevation", 412.5, 0.0, 412.5),
    ],
)
def test_values_in_the_units_of_a_series(name, band, stored, offset, expected):
    found = in_series_units(band, np.array([stored], np.float32), COLLECTIONS[name], offset)
    assert found == pytest.approx([expected], rel=1e-5, nan_ok=True)


def test_clouds():
    seen, ground = clear("SCL", np.arange(12), 0)
    assert np.flatnonzero(seen).tolist() == list(range(1, 12))
    assert np.flatnonzero(ground).tolist() == [4, 5, 6, 7, 11]
    # bits: 1 cloud, 2 adjacent, 3 shadow hide the ground; 4 snow, 5 water, 6-7 aerosol do not; 255 is fill
    fmask = np.array([0, 0b10, 0b100, 0b1000, 0b10000, 0b100000, 0b11000000, 0b11100010, 255], np.uint8)
    seen, ground = clear("Fmask", fmask, 255)
    assert ground.tolist() == [True, False, False, False, True, True, True, False, False]
    assert seen.tolist() == [True] * 8 + [False]
    seen, ground = clear("reliability", np.array([0, 1, 2, 3, 255], np.uint8), 255)
    assert ground.tolist() == [True, True, False, False, False]


def test_unknown_collections_say_what_there_is():
    with pytest.raises(ConfigError, match="landsat") as caught:
        collection("landsat")
    assert S2 in caught.value.hint
    with pytest.raises(ConfigError) as caught:
        collection("sentinel-1-grd")
    assert "sentinel-1-rtc" in caught.value.hint
