import pytest

from yieldcast.errors import SchemaError
from yieldcast.variables import resolve


@pytest.mark.parametrize(
    ("column", "name", "factor", "layer"),
    [
        ("yield_kg_ha", "yield_kg_ha", 1.0, ""),
        ("yield_t_ha", "yield_kg_ha", 1000.0, ""),
        ("tmax_degC", "tmax_degC", 1.0, ""),
        ("cec_mmolc_kg_0_30cm", "cec_cmolc_kg", 0.1, "0_30cm"),  # 10 mmol are 1 cmol
        ("ph_h2o_5cm", "ph_h2o", 1.0, "5cm"),
        ("bulk_density_kg_m3_200cm", "bulk_density_kg_dm3", 0.001, "200cm"),  # 1 m3 = 1000 dm3
        ("gdd10_degC_day", "gdd_10_degC_day", 1.0, ""),
        ("gdd_8_30_degC_day", "gdd_8_30_degC_day", 1.0, ""),
    ],
)
def test_a_column_name_gives_quantity_factor_and_layer(column, name, factor, layer):
    found = resolve(column)
    assert (found.quantity.name, found.factor, found.layer) == (name, factor, layer)


@pytest.mark.parametrize("column", ["source", "tmean_degC", "yielding", "clay_pct", "is_state_capital"])
def test_unknown_names_are_extra_columns(column):
    assert resolve(column) is None


@pytest.mark.parametrize(
    ("column", "hint"), [("yield", "yield_UNIT"), ("tmax", "tmax_UNIT"), ("precipitation", "the units mm")]
)
def test_a_missing_unit_is_an_error_that_says_what_to_do(column, hint):
    with pytest.raises(SchemaError) as caught:
        resolve(column)
    assert hint in caught.value.hint
