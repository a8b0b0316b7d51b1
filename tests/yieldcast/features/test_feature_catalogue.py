"""The table of features: each once, in the docs as in the code, and in Portuguese."""

from __future__ import annotations

from pathlib import Path

from yieldcast import language
from yieldcast.features.feature_catalogue import as_markdown, catalogue, static_features, summary_features

PAGE = Path(__file__).parents[3] / "docs" / "user_guide" / "features.md"


def test_the_docs_have_the_table_of_the_code():
    text = PAGE.read_text(encoding="utf-8")
    assert as_markdown() in text, "replace the table of the page with feature_catalogue.as_markdown()"


def test_every_feature_says_once_what_it_is_in_both_languages():
    features, words = catalogue(), language.of("pt-BR")
    assert len({one.name for one in features}) == len(features)
    for one in features:
        for text in (one.meaning, one.window):
            assert text
            same = {"Latitude", "Longitude", "pH"}
            assert words.gettext(text) != text or any(word in text for word in same), text
    assert {one.group for one in features} == {"weather", "vegetation", "soil", "place", "history"}


def test_names_of_a_store_are_its_own():
    soil, longitude = static_features(("soc_g_kg_30_100cm", "longitude_deg"))
    assert (soil.group, soil.unit, soil.meaning) == ("soil", "g/kg", "Organic carbon")
    assert longitude.group == "place"
    names = [one.name for one in summary_features(("evi_max", "ndvi_sowing"))]
    assert names == [
        "evi_max_this_season", "ndvi_sowing_this_season", "evi_max_last_season", "ndvi_sowing_last_season",
    ]  # fmt: skip
