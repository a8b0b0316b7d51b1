"""Units by grammar: values by hand, what is refused, and laws that hold for every unit."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yieldcast.errors import SchemaError
from yieldcast.importing.units import conversion, of_suffix, parse

# One value in the unit, worked by hand into ours.
RAIN = [
    ("mm", 1.0, ""), ("mm/month", 1.0, "month"), ("mm month-1", 1.0, "month"), ("mm/mês", 1.0, "month"),
    ("cm/month", 10.0, "month"), ("m", 1000.0, ""), ("cm", 10.0, ""), ("in", 25.4, ""),
    ("polegadas", 25.4, ""), ("kg m-2", 1.0, ""), ("kg/m²", 1.0, ""), ("L m⁻²", 1.0, ""),
    ("0.1 mm", 0.1, ""), ("10^-1 mm", 0.1, ""), ("m of water equivalent", 1000.0, ""),
    ("mm/day", 1.0, "day"), ("mm day**-1", 1.0, "day"), ("mm.day^-1", 1.0, "day"),
    ("mm day^{-1}", 1.0, "day"),
    ("mm d-1", 1.0, "day"), ("mm/dia", 1.0, "day"), ("mm por dia", 1.0, "day"), ("mm per day", 1.0, "day"),
    ("MM/DAY", 1.0, "day"), ("mm·d⁻¹", 1.0, "day"), ("kg m-2 day-1", 1.0, "day"), ("kg/(m2 day)", 1.0, "day"),
    ("m day**-1", 1000.0, "day"), ("mm/hr", 24.0, "day"), ("mm hr-1", 24.0, "day"), ("mm h**-1", 24.0, "day"),
    ("kg m-2 s-1", 86400.0, "day"), ("kg m**-2 s**-1", 86400.0, "day"), ("kg/m2/s", 86400.0, "day"),
    ("m s-1", 86_400_000.0, "day"), ("mm (3 h)-1", None, ""),
]  # fmt: skip
OTHERS = [
    ("degC", "degC", 25.0, 25.0), ("°C", "degC", 25.0, 25.0), ("º C", "degC", 25.0, 25.0),
    ("Celsius", "degC", 25.0, 25.0), ("degrees_celsius", "degC", 25.0, 25.0), ("graus C", "degC", 25.0, 25.0),
    ("C", "degC", 25.0, 25.0), ("deg C", "degC", 25.0, 25.0), ("0.1 degC", "degC", 250.0, 25.0),
    ("K", "degC", 298.15, 25.0), ("kelvins", "degC", 298.15, 25.0), ("degrees kelvin", "degC", 298.15, 25.0),
    ("0.1 K", "degC", 2981.5, 25.0), ("degF", "degC", 77.0, 25.0), ("°F", "degC", -40.0, -40.0),
    ("degrees_F", "degC", 212.0, 100.0), ("degC day", "degC day", 3.0, 3.0), ("K d", "degC day", 3.0, 3.0),
    ("J m-2", "MJ/m2", 18e6, 18.0), ("J m**-2", "MJ/m2", 18e6, 18.0), ("kJ/m²", "MJ/m2", 18e3, 18.0),
    ("cal cm-2", "MJ/m2", 100.0, 4.184), ("m/s", "m/s", 3.0, 3.0), ("m s**-1", "m/s", 3.0, 3.0),
    ("km/h", "m/s", 36.0, 10.0), ("knots", "m/s", 1.0, 1852 / 3600), ("kPa", "hPa", 101.3, 1013.0),
    ("mbar", "kPa", 1013.0, 101.3), ("%", "%", 40.0, 40.0), ("1", "%", 0.4, 40.0), ("g/kg", "%", 400.0, 40.0),
    ("cmol(c)/kg", "cmolc/kg", 8.0, 8.0), ("mmolc dm-3", "mol/m3", 8.0, 8.0), ("kg m-3", "kg/dm3", 1300, 1.3),
    ("kg/ha", "kg/ha", 3000.0, 3000.0), ("Kg/ha", "kg/ha", 3000.0, 3000.0), ("kg ha-1", "kg/ha", 3.0, 3.0),
    ("Quilogramas por Hectare", "kg/ha", 3000.0, 3000.0), ("t/ha", "kg/ha", 3.0, 3000.0),
    ("Mg ha-1", "kg/ha", 3.0, 3000.0), ("hg/ha", "kg/ha", 30000.0, 3000.0), ("g m-2", "kg/ha", 300.0, 3000.0),
    ("sc/ha", "kg/ha", 50.0, 3000.0), ("sacas por hectare", "kg/ha", 50.0, 3000.0), ("ha", "ha", 7.0, 7.0),
    ("acres", "ha", 100.0, 40.468564224), ("km2", "ha", 1.0, 100.0), ("mil ha", "ha", 2.0, 2000.0),
    ("t", "t", 1.0, 1.0), ("Toneladas", "t", 1.0, 1.0), ("mil t", "t", 2.0, 2000.0), ("1000 t", "t", 2, 2e3),
    ("Mil toneladas", "t", 2.0, 2000.0), ("milhões de t", "t", 2.0, 2e6), ("metric tons", "t", 1.0, 1.0),
    ("kg", "t", 500.0, 0.5), ("@/ha", "kg/ha", 100.0, 1500.0), ("degrees_north", "deg", 3.0, 3.0),
]  # fmt: skip


@pytest.mark.parametrize(("text", "factor", "per"), RAIN)
def test_rain_by_hand(text: str, factor: float | None, per: str) -> None:
    if factor is None:
        with pytest.raises(SchemaError, match="only expected in front"):
            conversion(text, "mm", accumulates=True)
        return
    found = conversion(text, "mm", accumulates=True)
    assert found.factor == pytest.approx(factor, rel=1e-12)
    assert (found.offset, found.per) == (0, per)


@pytest.mark.parametrize(("text", "to", "value", "expected"), OTHERS)
def test_other_units_by_hand(text: str, to: str, value: float, expected: float) -> None:
    assert conversion(text, to).of(value) == pytest.approx(expected, rel=1e-12, abs=1e-9)


def test_radiation_as_a_rate_and_as_an_amount() -> None:
    assert conversion("W m-2", "MJ/m2", accumulates=True) == pytest.approx((0.0864, 0, "day"))
    assert conversion("MJ/m2/day", "MJ/m2", accumulates=True) == pytest.approx((1, 0, "day"))
    assert conversion("MJ m-2", "MJ/m2", accumulates=True).per == ""


def test_bushels_and_sacks_need_their_crop() -> None:
    # 60 lb of 0.45359237 kg on 4046.8564224 m2: 67.2511 kg/ha; corn has 56 lb: 62.7677 kg/ha
    assert conversion("bu/ac", "kg/ha", "soybean").factor == pytest.approx(67.2511, abs=1e-4)
    assert conversion("bushels per acre", "kg/ha", "corn").factor == pytest.approx(62.7677, abs=1e-4)
    with pytest.raises(SchemaError, match=r"depends on the crop.*received none"):
        conversion("bu/ac", "kg/ha")
    with pytest.raises(SchemaError, match="received 'cassava'"):
        conversion("bu/ac", "kg/ha", "cassava")
    with pytest.raises(SchemaError, match="sacks of rice hold different weights"):
        conversion("sc/ha", "kg/ha", "rice")


@pytest.mark.parametrize(
    ("text", "to", "said"),
    [
        ("furlong/day", "mm", "'furlong' is not known"),
        ("mm/fortnight", "mm", r"'fortnight' is not known \(understood: mm\)"),
        ("kg m-2 s", "mm", "length or|expected a unit of length such as mm, or a rate of it, received"),
        ("mm/year", "mm", "received length per year"),
        ("W m-2", "mm", "expected a unit of length"),
        ("degC", "mm", "received temperature"),
        ("kg/ha", "t", "expected a unit of mass such as t, or a rate of it, received mass per length2"),
        ("ton/ha", "kg/ha", "a ton is 907, 1000 or 1016 kg"),
        ("kt", "m/s", "a knot or a thousand tonnes"),
        ("MG/HA", "kg/ha", "MG is one of Mg, mg"),
        ("mm-day", "mm", "not understood from '-day' on"),
        ("mm//day", "mm", "without a unit before it"),
        ("mm/", "mm", "ends with a sign"),
        ("(mm", "mm", "a bracket is not closed"),
        ("mm)", "mm", "not understood from"),
        ("Mil Reais", "t", r"'Reais' is not known \(understood: Mil\)"),
        ("mm2147483648", "mm", "the power"),
        ("10^999 mm", "mm", "the number"),
        ("0 mm", "mm", "a factor of 0"),
        ("(" * 5000, "mm", "longer than any unit"),
        ("", "mm", "a pure number"),
    ],
)
def test_what_is_refused_says_what_was_understood(text: str, to: str, said: str) -> None:
    with pytest.raises(SchemaError, match=said) as caught:
        conversion(text, to, accumulates=True)
    assert caught.value.hint


def test_units_at_the_end_of_a_name() -> None:
    suffixes = {
        "sc_ha": "sc/ha",
        "thousand_ha": "thousand ha",
        "MJ_m2": "MJ/m2",
        "degC": "degC",
        "m_s": "m/s",
    }
    assert {suffix: of_suffix(suffix) for suffix in suffixes} == suffixes
    assert conversion(of_suffix("bu_ac"), "kg/ha", "wheat").factor == pytest.approx(67.2511, abs=1e-4)


LENGTHS, TIMES = ("mm", "cm", "m", "inch"), ("s", "min", "h", "hr", "day", "dia", "d")
FORMS = ("{a}/{b}", "{a} {b}-1", "{a} {b}**-1", "{a}.{b}^-1", "{a} per {b}", "{a}/({b})", "{a} {b}⁻¹")


@given(st.sampled_from(LENGTHS), st.sampled_from(TIMES), st.sampled_from(FORMS), st.booleans())
def test_every_way_to_write_a_rate_is_the_same(length: str, time: str, form: str, upper: bool) -> None:
    text = form.format(a=length, b=time)
    found = conversion(text.upper() if upper else text, "mm", accumulates=True)
    expected = parse(length).factor * 1000 / parse(time).factor * 86400
    assert found.factor == pytest.approx(expected)
    assert found.per == "day"


@given(st.sampled_from([(a, b) for a, b, *_ in OTHERS]), st.floats(-1e4, 1e4))
def test_there_and_back_is_the_same_value(units: tuple[str, str], value: float) -> None:
    there, back = conversion(units[0], units[1]), conversion(units[1], units[0])
    assert back.of(there.of(value)) == pytest.approx(value, rel=1e-9, abs=1e-6)


@settings(max_examples=100)
@given(st.text(alphabet="mkghadKC°/*^.()-+ 0123456789_µ²⁻%", max_size=14) | st.text(max_size=12))
def test_any_text_is_understood_or_refused(text: str) -> None:
    try:
        unit = parse(text)
    except SchemaError:
        return
    assert unit.factor > 0
    assert all(power for _, power in unit.powers)
