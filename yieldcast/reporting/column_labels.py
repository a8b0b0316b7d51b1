"""Heading, unit and meaning of every column of the exported tables, in English and Portuguese.

The keys are the column names in GeoPackage and GeoJSON: English in both languages, and different within their
first ten characters, because a Shapefile made from them keeps only those.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class ColumnLabel(NamedTuple):
    """Unit (empty for none) of a column; its heading and its meaning in English and Portuguese."""

    unit: str
    heading: tuple[str, str]
    meaning: tuple[str, str]


def _quantile(percent: int) -> ColumnLabel:
    return ColumnLabel(
        "kg/ha",
        (f"Forecast: {percent} % quantile", f"Previsão: quantil de {percent} %"),
        (
            f"the yield lies below this value with a probability of {percent} %",
            f"o rendimento fica abaixo deste valor com probabilidade de {percent} %",
        ),
    )


def _production(heading: tuple[str, str], name: tuple[str, str]) -> ColumnLabel:
    return ColumnLabel(
        "t",
        (f"Production: {heading[0]}", f"Produção: {heading[1]}"),
        (
            f"{name[0]} of the forecast yield times the planted area, if that area is planted again",
            f"{name[1]} do rendimento previsto vezes a área plantada, se essa área for plantada de novo",
        ),
    )


class PartLabel(NamedTuple):
    """Short name of a part of the median and its meaning, in English and Portuguese."""

    name: tuple[str, str]
    meaning: tuple[str, str]


# Keys as in `forecasting.parts`
PART_LABELS: Mapping[str, PartLabel] = {
    "level": PartLabel(
        ("level of recent years", "nível dos anos recentes"),
        (
            "published yields of recent years without the effect of their weather, drawn to those of the "
            "neighbours where they are few or scattered",
            "rendimentos publicados dos anos recentes sem o efeito das condições meteorológicas, aproximados "
            "dos rendimentos dos vizinhos onde são poucos ou irregulares",
        ),
    ),
    "trend": PartLabel(
        ("trend", "tendência"),
        (
            "growth from the level of recent years to the harvest year",
            "crescimento do nível dos anos recentes até o ano da colheita",
        ),
    ),
    "water_so_far": PartLabel(
        ("water so far", "água até o momento"),
        (
            "effect of the crop's water balance to the newest public day, the rest of the season as usual",
            "efeito do balanço hídrico da cultura até o último dia publicado, com o restante da safra na "
            "média histórica",
        ),
    ),
    "weather_to_come": PartLabel(
        ("weather to come", "condições meteorológicas futuras"),
        (
            "effect of a forecast departure of the coming weather from the usual",
            "efeito de uma anomalia prevista das condições meteorológicas futuras",
        ),
    ),
    "official": PartLabel(
        ("official estimate", "estimativa oficial"),
        (
            "by how much the newest public estimate of the state moves the forecast",
            "quanto a última estimativa publicada da UF desloca a previsão",
        ),
    ),
    "network": PartLabel(
        ("network", "rede neural"),
        (
            "what the network adds, as far as it was right in years that it had not seen",
            "o que a rede neural acrescenta, na medida em que acertou em anos que não tinha visto",
        ),
    ),
    "trees": PartLabel(
        ("boosted trees", "árvores (boosting)"),
        (
            "what boosted trees add, as far as they were right in years that they had not seen",
            "o que as árvores acrescentam, na medida em que acertaram em anos que não tinham visto",
        ),
    ),
    "calibration": PartLabel(
        ("calibration", "calibração"),
        (
            "part of the median error of forecasts recomputed for past years",
            "parte do erro mediano das previsões refeitas para anos passados",
        ),
    ),
    "remainder": PartLabel(
        ("rest of the whole", "restante do total"),
        (
            "median of the country or state minus the other parts, which are means of its municipalities",
            "mediana do país ou da UF menos os demais componentes, que são médias dos municípios",
        ),
    ),
}


def _part(label: PartLabel) -> ColumnLabel:
    heading = (f"Part of the median: {label.name[0]}", f"Componente da mediana: {label.name[1]}")
    return ColumnLabel("kg/ha", heading, label.meaning)


_NAMES = {
    "code": ColumnLabel(
        "",
        ("Municipality code", "Código do município"),
        ("its code in the statistics", "seu código nas estatísticas oficiais"),
    ),
    "name": ColumnLabel("", ("Municipality", "Município"), ("its name", "nome do município")),
    "level": ColumnLabel("", ("Level", "Nível"), ("country or state", "país ou unidade da federação (UF)")),
    "aggregate": ColumnLabel(
        "",
        ("Country or state", "País ou UF"),
        (
            "weighted by planted area; its interval is not the sum of the municipalities' intervals, because "
            "their errors are correlated",
            "ponderado pela área plantada; o intervalo não é a soma dos intervalos dos municípios, porque os "
            "erros são correlacionados",
        ),
    ),
    "state": ColumnLabel("", ("State", "UF"), ("state", "unidade da federação")),
    "region": ColumnLabel("", ("Region", "Região"), ("region of the country", "grande região")),
    "crop": ColumnLabel("", ("Crop", "Cultura"), ("crop", "cultura")),
    "harvest_year": ColumnLabel(
        "",
        ("Harvest year", "Ano da colheita"),
        ("year of the harvest: 2018 is the season 2017/18", "ano da colheita: 2018 é a safra 2017/18"),
    ),
    "as_of": ColumnLabel(
        "",
        ("As of", "Data da edição"),
        (
            "date of the bulletin: nothing published later was used",
            "data de referência do boletim: nada publicado depois dela foi usado",
        ),
    ),
    "synthetic": ColumnLabel(
        "",
        ("Synthetic data", "Dados sintéticos"),
        (
            "yes: made-up numbers that show the method and say nothing about any place",
            "sim: números inventados, que mostram o método e nada dizem sobre lugar algum",
        ),
    ),
    "municipalities": ColumnLabel(
        "", ("Municipalities", "Municípios"), ("number of municipalities", "número de municípios")
    ),
}
_YIELDS = {
    "yield_p50_kg_ha": ColumnLabel(
        "kg/ha",
        ("Forecast: median", "Previsão: mediana"),
        (
            "the yield lies above and below this value with equal probability",
            "rendimento médio previsto: ficar acima ou abaixo deste valor é igualmente provável",
        ),
    ),
    "yield_mean_kg_ha": ColumnLabel(
        "kg/ha",
        ("Forecast: mean", "Previsão: média"),
        ("mean of the forecast yield", "média do rendimento previsto"),
    ),
    **{f"yield_p{percent:02d}_kg_ha": _quantile(percent) for percent in (5, 10, 25, 75, 90, 95)},
    "width90_kg_ha": ColumnLabel(
        "kg/ha",
        ("Width of the 90 % interval", "Amplitude do intervalo de 90 %"),
        ("95 % quantile minus 5 % quantile", "quantil de 95 % menos quantil de 5 %"),
    ),
    "anomaly_kg_ha": ColumnLabel(
        "kg/ha",
        ("Departure from the five-year mean", "Anomalia em relação à média de cinco anos"),
        ("forecast median minus the mean of five years", "mediana prevista menos a média de cinco anos"),
    ),
    "anomaly_pct": ColumnLabel(
        "%",
        ("Departure from the five-year mean", "Anomalia em relação à média de cinco anos"),
        (
            "the same departure, in percent of the mean of five years",
            "a mesma diferença, em porcentagem da média de cinco anos",
        ),
    ),
    "prob_low_pct": ColumnLabel(
        "%",
        ("Probability of a low yield", "Probabilidade de rendimento baixo"),
        (
            "probability that the yield lies below the limit of a low yield",
            "probabilidade de o rendimento ficar abaixo do limite de rendimento baixo",
        ),
    ),
    "low_limit_kg_ha": ColumnLabel(
        "kg/ha",
        ("Limit of a low yield", "Limite de rendimento baixo"),
        (
            "lowest tercile of the municipality's last ten public yields",
            "tercil inferior dos dez últimos rendimentos publicados do município",
        ),
    ),
}
_BASELINES = {
    "last_public_kg_ha": ColumnLabel(
        "kg/ha",
        ("Last public yield", "Último rendimento publicado"),
        (
            "yield of the newest harvest year that was public on the date of the bulletin",
            "rendimento do ano de colheita mais recente publicado até a data de referência",
        ),
    ),
    "mean_5y_kg_ha": ColumnLabel(
        "kg/ha",
        ("Mean of five years", "Média de cinco anos"),
        ("mean of the five newest public yields", "média dos cinco últimos rendimentos publicados"),
    ),
    "trend_10y_kg_ha": ColumnLabel(
        "kg/ha",
        ("Trend of ten years", "Tendência de dez anos"),
        (
            "straight line fitted to ten public yields, extended to the harvest year",
            "reta ajustada a dez rendimentos publicados, prolongada até o ano da colheita",
        ),
    ),
    "level_trend_kg_ha": ColumnLabel(
        "kg/ha",
        ("Level and trend", "Nível e tendência"),
        (
            "expected from published yields alone",
            "esperado só com os rendimentos publicados",
        ),
    ),
    "official_mean_kg_ha": ColumnLabel(
        "kg/ha",
        ("Mean of five years at the official estimate", "Média de cinco anos ajustada à estimativa oficial"),
        (
            "mean of five years times the official estimate of the state over the state's mean of five years",
            "média de cinco anos vezes a estimativa oficial da UF dividida pela média de cinco anos da UF",
        ),
    ),
    "own_history": ColumnLabel(
        "",
        ("Own history", "Histórico próprio"),
        (
            "no: the municipality has too few public yields; those of its state were used",
            "não: faltam rendimentos publicados do município; foram usados os da UF",
        ),
    ),
}
_OFFICIAL = {
    "official_kg_ha": ColumnLabel(
        "kg/ha",
        ("Official estimate", "Estimativa oficial"),
        (
            "newest official estimate of the state that was public on the date of the bulletin",
            "última estimativa oficial da UF publicada até a data de referência",
        ),
    ),
    "official_source": ColumnLabel(
        "",
        ("Official estimate: source", "Estimativa oficial: fonte"),
        ("who estimated", "quem estimou"),
    ),
    "official_reference": ColumnLabel(
        "",
        ("Official estimate: month", "Estimativa oficial: mês"),
        ("month that the estimate is of", "mês a que a estimativa se refere"),
    ),
    "official_public_from": ColumnLabel(
        "",
        ("Official estimate: public from", "Estimativa oficial: publicada em"),
        ("day on which it was published", "dia da publicação"),
    ),
}
_PARTS = {f"part_{name}_kg_ha": _part(label) for name, label in PART_LABELS.items()}
_SEASON = {
    "observed_pct": ColumnLabel(
        "%",
        ("Season observed", "Parte da safra observada"),
        (
            "share of the season's months whose weather was public on the date of the bulletin",
            "parte dos meses da safra com dados meteorológicos publicados até a data de referência",
        ),
    ),
    "rain_pct": ColumnLabel(
        "%",
        ("Rain so far, of normal", "Chuva até agora, em relação ao normal"),
        (
            "rain of the observed months; 100 is the mean of the known years",
            "chuva dos meses observados; 100 é a média dos anos conhecidos",
        ),
    ),
    "tmax_anomaly_degC": ColumnLabel(
        "°C",
        ("Maximum temperature so far, departure", "Temperatura máxima até agora, anomalia"),
        (
            "observed months minus the mean of the known years",
            "meses observados menos a média dos anos conhecidos",
        ),
    ),
    "area_planted_ha": ColumnLabel(
        "ha",
        ("Planted area", "Área plantada"),
        (
            "newest public planted area; harvested area where the planted area is not known",
            "última área plantada publicada; a colhida onde não se conhece a plantada",
        ),
    ),
    "prod_p50_t": _production(("median", "mediana"), ("median", "mediana")),
    "prod_p05_t": _production(("5 % quantile", "quantil de 5 %"), ("5 % quantile", "quantil de 5 %")),
    "prod_p95_t": _production(("95 % quantile", "quantil de 95 %"), ("95 % quantile", "quantil de 95 %")),
    "window_start": ColumnLabel(
        "",
        ("Season: first day", "Início da safra"),
        (
            "first day of the months that the forecast uses",
            "primeiro dia dos meses considerados na previsão",
        ),
    ),
    "window_end": ColumnLabel(
        "",
        ("Season: last day", "Fim da safra"),
        ("last day of the same months", "último dia dos mesmos meses"),
    ),
    "latitude_deg": ColumnLabel("°", ("Latitude", "Latitude"), ("north is positive", "positiva ao norte")),
    "longitude_deg": ColumnLabel("°", ("Longitude", "Longitude"), ("east is positive", "positiva a leste")),
}
COLUMNS: Mapping[str, ColumnLabel] = {
    **_NAMES, **_YIELDS, **_PARTS, **_BASELINES, **_OFFICIAL, **_SEASON,
}  # fmt: skip
