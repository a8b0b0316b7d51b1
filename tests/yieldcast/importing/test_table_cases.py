"""Tables in the shapes that people bring, where the files with them lie beside this checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from yieldcast.data.store import Tables
from yieldcast.errors import SchemaError
from yieldcast.importing.columns import ImportLog
from yieldcast.importing.files import read_tables

CASES = Path(__file__).parents[3] / ".." / "shared" / "cases"
PLAIN = 2686.0
READ = {
    "01/yields.csv": 2686.5,
    "10/yields_sc.csv": 2688.0,
    "10/yields_bu.csv": pytest.approx(2683.3, abs=0.1),
    **dict.fromkeys(
        ["02/yields_sorriso_right.csv", "03/yields.csv", "04/yields_footer.csv", "04/yields_labelrow.csv",
         "04/yields_sep.csv", "04/yields_title.csv", "05/yields.csv", "06/places.csv", "06/yields.csv",
         "06/yields_excel_text.csv", "06/yields_quote.csv", "07/places_bom.csv",
         "07/places_cp1252_ascii_head.csv",
         "07/places_cr.csv", "07/places_latin1.csv", "07/places_mojibake.csv", "07/places_utf16.csv",
         "08/places_fullstate.csv", "08/places_lower.csv", "08/places_ufcode.csv", "08/yields_pt.csv",
         "08/yields_soja.csv", "11/yields.csv", "11/yields_date.csv", "11/yields_float.csv",
         "12/yields_e.csv",
         "12/yields_nbsp.csv", "12/yields_nd.csv", "14/yields.csv", "15/places.csv", "40/CLAY.csv",
         "40/layer_dash.csv", "40/sumover.csv"],
        PLAIN,
    ),
}  # fmt: skip
REFUSED = {
    "02/yields_sorriso.csv": "600 .decimal point. or 600000 .decimal comma.",
    "02/yields_b.csv": "decimal sign or thousands",
    "02/yields_c.csv": "decimal sign or thousands",
    "06/yields_sci.csv": "expected codes of the places table",
    "08/yields_basedosdados.csv": "expected a unit in its name",
    "10/yields_nounit.csv": "expected a unit in its name",
    "10/yields_sc_as_kg.csv": "are these sacks",
    "12/yields.csv": "received -9999",
    "13/yields.csv": "once, received",
    "16/yields.csv": "received 1 others: '51'",
    "40/mapped_clay.csv": "expected 0 to 100 %",
    "40/nodata.csv": "received -32768",
}
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not beside this checkout")


def read(case: str) -> tuple[Tables, ImportLog]:
    files = {name: CASES / "base" / f"{name}.csv" for name in ("places", "yields", "soil")}
    files["soil" if case.startswith("40") else Path(case).stem.split("_")[0]] = CASES / case
    return read_tables(files["places"], files["yields"], CASES / "base" / "weather.nc", files["soil"])


@pytest.mark.parametrize("case", READ)
def test_read(case: str) -> None:
    tables, _ = read(case)
    first = tables.yields.sel(crop="soybean", municipality=1100015, harvest_year=2005)
    assert float(first.yield_kg_ha) == READ[case]
    assert tables.static.state.values.tolist()[:2] == ["RO", "PR"]
    if not case.startswith("15"):
        assert "Cuiabá" in tables.static.name.values.tolist()


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    with pytest.raises(SchemaError, match=REFUSED[case]) as caught:
        read(case)
    assert caught.value.hint


def test_a_table_of_sidra_with_years_as_columns() -> None:
    yields = read("04/yields.csv")[0].yields.yield_kg_ha.sel(crop="soybean", municipality=1100015)
    assert yields.harvest_year.values.tolist() == [2016, 2017, 2018]
    assert yields.values.tolist() == [3176, 2895, 3079]
