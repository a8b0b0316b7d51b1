"""The page about the risk of fields."""

from __future__ import annotations

import numpy as np
import pytest

from yieldcast.reporting.field_report import Section, field_page


@pytest.fixture
def section():
    return Section(
        "wheat", ["2 fields <b>"], (["classifier", "accuracy"], [["forest", "0.700"]]),
        (["", "low"], [["low", "2"]]), [(0.25, 0.5, 2)],
        np.array([-53.0, -54.0]), np.array([-25.0, -24.0]), np.array([0.0, np.nan]),
    )  # fmt: skip


def test_facts_figures_and_escapes(section):
    page = field_page([section], synthetic=False)
    assert "SYNTHETIC" not in page
    assert "2 fields &lt;b&gt;" in page
    assert 'cx="65.0" cy="130.0"' in page  # P(low) 0.25 across, 0.5 upwards, of 260 pixels
    assert 'cx="260.0" cy="260.0" r="2" fill="#2b6cb0"' in page  # east and south; P(low) 0
    assert 'cx="0.0" cy="0.0" r="2" fill="#9aa5b1"' in page  # unknown
    assert "http" not in page  # nothing is loaded


def test_synthetic_pages_say_so_in_title_and_text(section):
    page = field_page([section], synthetic=True)
    assert "(synthetic)</title>" in page
    assert "SYNTHETIC DATA" in page
