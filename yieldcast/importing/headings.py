"""What the heading of a column says: quantity and unit, in English or Portuguese, in any case."""

from __future__ import annotations

import re

from calendars import names
from yieldcast import variables
from yieldcast.errors import SchemaError
from yieldcast.importing import units
from yieldcast.variables import QUANTITIES, Column, Kind, Quantity

# Names of columns without a unit, by `key`. The first name wins where a file has several.
LATITUDE = ("latitude_deg", "lat", "latitude", "latitude_decimal")
LONGITUDE = ("longitude_deg", "lon", "longitude", "long", "lng", "longitude_decimal")
NAME = ("name", "nome", "nm_mun", "nm_municip", "nome_municipio", "municipio", "nm_municipio", "name_muni",
        "municipality_name", "nome_do_municipio")  # fmt: skip
STATE = ("state", "uf", "province", "sigla_uf", "sg_uf", "estado", "abbrev_state", "nm_uf", "cd_uf",
         "unidade_da_federacao")  # fmt: skip
CROP = ("crop", "cultura", "produto", "lavoura", "product", "produto_das_lavouras_temporarias",
        "produto_das_lavouras_permanentes", "produto_das_lavouras_temporarias_e_permanentes")  # fmt: skip
YEAR = ("harvest_year", "year", "ano", "safra", "ano_safra", "season", "ano_agricola")
VALUE = ("valor", "value")
VARIABLE = ("variavel", "variable")
MEASURE = ("unidade_de_medida", "unidade", "measure")
UNIT = ("unit", *STATE)
REFERENCE = ("reference", "estimate_month", "survey")
PUBLIC = ("public_from", "published")
SOWING = ("sowing_date", "sowing", "sown", "date_sown", "planting_date", "planting", "planted",
          "seeding_date", "semeadura", "data_semeadura", "data_de_semeadura", "data_da_semeadura",
          "plantio", "data_plantio", "data_de_plantio", "data_do_plantio")  # fmt: skip
HARVEST = ("harvest_date", "harvest", "harvested", "date_harvested", "harvest_day", "colheita",
           "data_colheita", "data_de_colheita", "data_da_colheita")  # fmt: skip
# Of a field: the code of its municipality, and a column that may have the code or the name.
MUNICIPALITY_CODE = ("municipality_code", "code_muni", "cd_mun", "codigo_ibge", "cod_ibge", "ibge",
                     "ibge_code", "geocodigo", "geocode", "codigo_municipio", "cod_municipio", "cod_mun",
                     "cd_municipio", "codigo_do_municipio", "codigo_ibge_do_municipio", "id_municipio",
                     "fips", "geoid", "part_of")  # fmt: skip
MUNICIPALITY = ("municipality", "municipio", "nome_municipio", "municipality_name", "district", "county")
DATE = ("date", "day", "data", "dia", "time", "acquisition_date", "observation_date", "sensing_date",
        "datetime", "data_da_imagem", "data_imagem")  # fmt: skip
LAST_DAY = ("date_end", "end_date", "last_day", "date_to", "data_final", "data_fim")
QUALITY = ("quality_flag", "quality", "flag", "qa", "qc", "clear", "is_clear", "clear_sky", "valid",
           "is_valid", "good", "usable", "cloud", "cloudy", "clouds", "is_cloud", "cloud_mask",
           "cloud_flag", "nuvem", "nuvens", "com_nuvem", "mascara_nuvem", "limpo", "valido", "qualidade",
           "sinalizador", "fmask", "hls_fmask", "fmask_qa", "qa_fmask", "qa_pixel", "summaryqa",
           "summary_qa", "pixel_reliability", "scl", "quality_class", "status")  # fmt: skip
# Of units of daily weather that are no places.
WEATHER_UNIT = ("weather_unit", "unit", "unit_id", "unidade", "station", "station_id", "estacao",
                "codigo_estacao", "cell", "cell_id", "grid_cell", "celula", "region", "regiao",
                "health_region", "zone", "zona")  # fmt: skip
SENSOR = ("sensor", "satellite", "platform", "product", "satelite", "plataforma", "instrument")
ROLES = frozenset(
    (*LATITUDE, *LONGITUDE, *NAME, *UNIT, *CROP, *YEAR, *VALUE, *VARIABLE, *MEASURE, *REFERENCE, *PUBLIC,
     *SOWING, *HARVEST, *MUNICIPALITY_CODE, *MUNICIPALITY, *DATE, *LAST_DAY, *QUALITY)
)  # fmt: skip
_IN_BRACKETS = re.compile(r"(?P<words>.*?)\s*[(\[](?P<unit>[^()\[\]]+)[)\]]\s*")
_OF_CROPS = ("sack", "bushel")  # dimensions of units whose weight depends on the crop


def key(name: str) -> str:
    """A heading in lower case without accents, its words joined by underscores: ``Cód. Município`` becomes
    ``cod_municipio``."""
    return names.plain(name).replace(" ", "_")


def column_of(name: str, kind: Kind) -> Column | None:
    """What a heading says; None where it names no quantity, or one in a unit that is not understood.

    Args:
        name: ``yield_kg_ha``, ``yield_sc_ha``, ``Área colhida (Hectares)``, ``Clay_pct_0-30cm``.
        kind: the table.

    Raises:
        SchemaError: a quantity without its unit, or in a unit of another dimension.
    """
    if kind not in ("yields", "soil"):
        return variables.resolve(name)
    for heading in dict.fromkeys((name, key(name))):
        try:
            if (found := variables.resolve(heading)) is not None:
                return found
        except SchemaError:
            if heading.startswith(tuple(q.base for q in QUANTITIES.values() if q.kind == kind)):
                raise
    quantity, unit = _parts(name) if kind == "yields" else (None, "")
    if quantity is None:
        return None
    if not unit:
        raise SchemaError(
            f"column {name!r}: expected a unit in its name, received none",
            f"Rename it {quantity.name}, if {quantity.units} is its unit.",
        )
    try:
        dimensions = dict(units.parse(unit).powers)
    except SchemaError:
        return None
    factor = units.conversion(unit, quantity.units, crop="soybean").factor
    of_crop = any(dimension in dimensions for dimension in _OF_CROPS)
    return Column(quantity, 1.0, unit=unit) if of_crop else Column(quantity, factor)


def reason(name: str) -> str:
    """Why the unit in a heading of yields is not understood; empty for other headings."""
    quantity, unit = _parts(name)
    try:
        if quantity is not None:
            units.parse(unit)
    except SchemaError as error:
        return f"{name}: {error}"
    return ""


def _parts(name: str) -> tuple[Quantity | None, str]:
    """Quantity of yields and unit of a heading."""
    if found := _IN_BRACKETS.fullmatch(name):
        return _quantity(found["words"]), found["unit"]
    words = names.plain(name).split()
    for count in range(len(words), 0, -1):
        quantity = _quantity(" ".join(words[:count]))
        if quantity is not None:
            rest = "_".join(words[count:])
            return quantity, units.of_suffix(rest) if rest else ""
    return None, ""


def _quantity(words: str) -> Quantity | None:
    base = names.quantity(words)
    return next((q for q in QUANTITIES.values() if q.kind == "yields" and q.base == base), None)


def split_unit(name: str) -> tuple[str, str]:
    """Name and unit of a heading of weather: ``Temperatura máxima (°C)`` is ``temperatura_maxima``, ``°C``; a
    heading without brackets stays as it is, its spaces as underscores, without a unit."""
    if found := _IN_BRACKETS.fullmatch(name):
        return key(found["words"]), found["unit"].strip()
    return "_".join(names.plain(name).split()) if not name.isascii() else "_".join(name.split()), ""
