"""Codes of places in the forms that spreadsheets and statistical offices give them."""

from __future__ import annotations

import pytest

from yieldcast.errors import SchemaError
from yieldcast.importing.codes import Codes, code_column, code_text, ends_in_check_digit
from yieldcast.importing.columns import ImportLog

IBGE = Codes(["5107925", "1100015", "4104808"])
FORMS = ["1100015", "1100015.0", '="1100015"', '"1100015"', "'1100015", "1.100015E+06", " 1100015 "]


@pytest.mark.parametrize("text", FORMS)
def test_forms_of_one_code(text):
    assert code_text(text) == "1100015"
    assert IBGE.rows([text], "f.csv").tolist() == [0]


@pytest.mark.parametrize("text", ["A1.0", "01.5", "1.5", "x", "1.10E+06"])
def test_other_texts_stay(text):
    assert code_text(text) == text


def test_leading_zeros_are_kept():
    assert code_text("01001.0") == "01001"


def test_check_digit_by_hand():
    # 110001: 1x2 + 0x1 + 0x2 + 0x1 + 1x2 + 1x1 = 5 -> check digit 5
    assert ends_in_check_digit("1100015")
    assert not ends_in_check_digit("1100014")


def test_codes_without_their_check_digit_are_joined_and_counted():
    log = ImportLog()
    assert IBGE.rows(["110001", "110001", "510792"], "f.csv", log, "yields").tolist() == [0, 0, 2]
    assert log.warnings == [("yields", "codes joined without their check digit, first 110001 as 1100015", 2)]
    assert Codes(["10082", "10025"]).rows(["1008"], "f.csv").tolist() == [1]
    assert Codes(["110001", "510792"]).rows(["5107925"], "f.csv").tolist() == [1]


@pytest.mark.parametrize(
    ("places", "code"),
    [
        (["10082", "10025", "01008"], "1008"),  # a leading zero may be lost as well
        (["11001", "11002", "11003"], "1100"),  # these end in no check digit
        (["110001", "510792"], "5107924"),  # not the check digit
        (["1100015", "5107925"], "1.10E+06"),
    ],
)
def test_a_code_that_may_be_another_place_is_refused(places, code):
    with pytest.raises(SchemaError, match=code.replace("+", r"\+")) as caught:
        Codes(places).rows([code], "f.csv")
    assert caught.value.hint


@pytest.mark.parametrize("name", ["CD_GEOCMU", "cd_mun", "Codigo_IBGE", "codarea", "ID", "GEOCODIGO"])
def test_names_of_the_column(name):
    assert code_column(["Nome", name], "f.csv") == name


def test_id_is_a_code_only_where_nothing_else_is():
    assert code_column(["id", "CD_MUN"], "f.csv") == "CD_MUN"
    assert code_column(["Nome"], "f.csv", needed=False) is None
    with pytest.raises(SchemaError, match="expected a column"):
        code_column(["Nome"], "f.csv")
