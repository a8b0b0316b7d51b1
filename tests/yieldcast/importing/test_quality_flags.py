"""Quality flags: words, numbers, bits of HLS Fmask, ranks of MOD13; unknown ones are refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from yieldcast.errors import SchemaError
from yieldcast.importing.columns import ImportLog
from yieldcast.importing.quality_flags import clear_flags


def read(heading, flags, values=None, log=None):
    cells = pd.Series(
        [str(flag) for flag in flags], name=heading, index=range(2, len(flags) + 2), dtype=object
    )
    value = np.full(len(flags), 0.5) if values is None else np.array(values)
    return clear_flags(cells, "ndvi.csv", value, log or ImportLog(), "vegetation").tolist()


@pytest.mark.parametrize(
    ("heading", "flags", "expected"),
    [
        ("quality", ["clear", "Cloud", "shadow", "good"], [True, False, False, True]),
        ("Qualidade", ["limpo", "Nuvem", "sombra de nuvem"], [True, False, False]),
        ("clear", [1, 0], [True, False]),
        ("Cloud", [1, 0], [False, True]),
        ("clear", ["True", "False"], [True, False]),
        # 0 and 64, 128, 192 (aerosol) are clear; cirrus, cloud, adjacent, shadow, snow, water, fill are not
        ("Fmask", [0, 64, 192, 1, 2, 4, 8, 16, 32, 66, 255], [True] * 3 + [False] * 8),
        ("SummaryQA", [0, 1, 2, 3, -1], [True] + [False] * 4),
        ("SCL", [4, 5, 3, 9], [True, True, False, False]),
    ],
)
def test_meaning(heading, flags, expected):
    assert read(heading, flags) == expected


def test_zero_and_one_without_a_telling_name_are_told_by_the_index():
    log = ImportLog()
    assert read("quality", [0, 0, 1, 1], [0.7, 0.6, 0.2, 0.3], log) == [True, True, False, False]
    assert read("flag", [0, 0, 1, 1], [0.2, 0.3, 0.7, 0.6], log) == [False, False, True, True]
    assert log.warnings[0][1] == ("quality: 0 read as clear, by mean indices of 0.65 for 0 and 0.25 for 1")


@pytest.mark.parametrize(
    ("heading", "flags", "expected"),
    [
        ("quality", ["clear", "blurry"], "line 3, column 'quality'.*received 'blurry'"),
        ("quality", [0, 7], "received '7'"),
        ("fmask", [0, 300], "bits of HLS Fmask, 0 to 255"),
        ("clear", [1, ""], "line 3, column 'clear' is empty"),
        ("cloud", [0, 35], "received '35'"),
        ("quality", [0, 1], "flags whose meaning is clear"),  # the same index for both
        ("quality", ["clear", 1], "whole numbers, or words"),
    ],
)
def test_refused(heading, flags, expected):
    with pytest.raises(SchemaError, match=expected):
        read(heading, flags)
