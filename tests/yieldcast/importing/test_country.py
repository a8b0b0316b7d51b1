"""The country of a user's places: states by name or number, and codes of another state."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from yieldcast.errors import SchemaError
from yieldcast.importing.columns import ImportLog
from yieldcast.importing.country import country_of

CODES = ["1100015", "5107925", "5103403", "4104808"]


def places(states, codes=CODES):
    arrays = {"code": np.array(codes), "state": np.array(states)}
    return xr.Dataset({name: ("municipality", values) for name, values in arrays.items()})


@pytest.mark.parametrize("states", [["RO", "MT", "mt", "PR"], ["11", "51", "Mato Grosso", "paraná"]])
@pytest.mark.parametrize("digits", [7, 6])
def test_states_by_code_name_or_number(states, digits):
    log = ImportLog()
    found, static = country_of(places(states, [code[:digits] for code in CODES]), None, log)
    assert found.name == "Brazil"
    assert static["state"].values.tolist() == ["RO", "MT", "MT", "PR"]
    assert not log.warnings


def test_a_code_of_another_state_is_refused():
    with pytest.raises(
        SchemaError, match="received '5107925' with the state 'MS': codes that begin with 51 are of MT"
    ):
        country_of(places(["RO", "MS", "MT", "PR"]), None, ImportLog())
    with pytest.raises(SchemaError, match=r"no state has such codes .1 such places: 9907925"):
        country_of(
            places(["RO", "MT", "MT", "PR"], ["1100015", "9907925", "5103403", "4104808"]), None, ImportLog()
        )


def test_places_of_another_country_have_none():
    log = ImportLog()
    found, static = country_of(
        places(["MS", "AL", "MS", "AL"], ["28001", "01001", "28003", "01005"]), None, log
    )
    assert found.name == ""
    assert static["state"].values.tolist() == ["MS", "AL", "MS", "AL"]
    assert log.warnings[0][2] == 4
