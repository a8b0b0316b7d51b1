"""Names of crops and states, as people write them."""

from __future__ import annotations

import pytest

import calendars
from calendars import country, names
from calendars.calendar import Calendar


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("soja", "soybean"), ("Soja (em grão)", "soybean"), ("SOJA EM GRAO", "soybean"),
        ("Soybeans", "soybean"),
        ("milho 2ª safra", "corn_second"), ("1.9 Milho (em grão) 2ª Safra", "corn_second"),
        ("Milho 1a. safra", "corn_first"), ("corn_second", "corn_second"), ("Milho (em grão)", "corn"),
        ("Cana-de-açúcar", "sugarcane"), ("Algodão herbáceo (em caroço)", "cotton"), ("maize", "corn"),
        ("Café (em grão) Total", "coffee"), ("Arroz (em casca)", "rice"),
        ("quinoa", None), ("milho silagem", None), ("Café (em grão) Arábica", None), ("", None),
    ],
)  # fmt: skip
def test_crops(text: str, key: str | None) -> None:
    assert names.crop(text) == key


def test_no_two_crops_have_the_same_name() -> None:
    spelled = [
        names.plain(name) for _, known in names._crops() for name in dict.fromkeys(map(names.plain, known))
    ]
    assert len(spelled) == len(set(spelled))
    assert {crop: names.crop(crop) for crop in calendars.brazil().crops} == {
        c: c for c in calendars.brazil().crops
    }


@pytest.mark.parametrize(
    ("text", "code"),
    [("mt", "MT"), ("Mato Grosso", "MT"), ("MATO GROSSO DO SUL", "MS"), ("Rondonia", "RO"), ("51", "MT"),
     (" São Paulo ", "SP"), ("Norte", None), ("99", None), ("", None)],
)  # fmt: skip
def test_states(text: str, code: str | None) -> None:
    assert country.default().state(text) == code


def test_a_calendar_may_call_a_crop_by_another_name() -> None:
    brazil = calendars.brazil()
    assert brazil.row("soja", "MT") == brazil.row("soybean", "MT")
    assert brazil.with_months({"soja": 7}).steps("soybean") == 7
    rows = {
        ("soja", region): type(row)(region, "soja", *row_dates(row), row.months)
        for (crop, region), row in brazil.rows.items()
        if crop == "soybean"
    }
    mine = Calendar(rows)
    assert mine.row("soybean", "MT").crop == "soja"
    assert mine.window("soybean", "MT", 2018).tolist() == brazil.window("soybean", "MT", 2018).tolist()
    with pytest.raises(calendars.UnknownKeyError):
        mine.row("corn", "MT")


def row_dates(row: calendars.Row) -> tuple[calendars.DayMonth, ...]:
    return row.planting_start, row.planting_end, row.harvest_start, row.harvest_end
