"""CONAB's stand-in: the two text files, cp1252, padded fields, point and comma as decimal marks.

Content faults (of either file): tabs, changed_header, short_line, few_rows, units (area in ha), one_column.
"""

from __future__ import annotations

import common

SERIES = "ano_agricola;dsc_safra_previsao;uf;produto;id_produto;"
SURVEYS = "ano_agricola;safra;uf;produto;id_produto;id_levantamento;dsc_levantamento;"
NUMBERS = "area_plantada_mil_ha;producao_mil_t;produtividade_mil_ha_mil_t"
STATES = (
    "AC", "AL", "AM", "AP", "BA", "CE", "DF", "ES", "GO", "MA", "MG", "MS", "MT", "PA", "PB", "PE", "PI",
    "PR", "RJ", "RN", "RO", "RR", "RS", "SC", "SE", "SP", "TO",
)  # fmt: skip
# (product, id, safras, winter crop)
PRODUCTS = [
    ("SOJA", 4744, ["UNICA"], False),
    ("MILHO", 4742, ["1ª SAFRA", "2ª SAFRA", "3ª SAFRA"], False),
    ("FEIJAO", 8380, ["1ª SAFRA", "2ª SAFRA", "3ª SAFRA"], False),
    ("ALGODAO EM PLUMA", 4586, ["UNICA"], False),
    ("TRIGO", 4747, ["UNICA"], True),
]


def number(value, style):
    text = f"{value:.1f}"
    return text.replace(".", ",") if style % 5 == 0 else text


def season(year, winter):
    return str(year) if winter else f"{year - 1}/{year % 100:02d}"


def values(year, place, product, safra):
    """Area (thousand ha), production (thousand t) and yield (t/ha) by formula, as CONAB rounds them."""
    area = round(20 + 3 * place + 50 * product + 10 * safra + (year - 2000), 1)
    rate = 1 + 0.5 * product + 0.02 * (year - 2000) + 0.01 * place
    return area, round(area * rate, 1), round(round(area * rate, 1) / area, 1)


def rows(years, surveys):
    for year in years:
        for p, (product, code, safras, winter) in enumerate(PRODUCTS):
            for s, safra in enumerate(safras):
                for i, state in enumerate(STATES):
                    area, production, rate = values(year, i, p, s)
                    head = [season(year, winter), safra, state, product, str(code)]
                    for survey in surveys:
                        more = [] if survey is None else [str(survey), f"{survey}º LEVANTAMENTO"]
                        yield [*head, *more, *(number(v, i + s) for v in (area, production, rate))]


def text_of(header, lines, fault):
    kind = (fault or {}).get("kind")
    lines = [list(line) for line in lines]
    if kind == "units":
        for line in lines:
            line[-3] = str(round(1000 * float(line[-3].replace(",", "."))))
    if kind == "few_rows":
        lines = lines[:100]
    # padded as the real file is
    text = [header] + [";".join(cell.ljust(12) for cell in line) for line in lines]
    if kind == "changed_header":
        text[0] = header.replace("uf;", "estado;")
    if kind == "short_line":
        text[-1] = text[-1][: len(text[-1]) // 2]
    whole = "\r\n".join([*text, ""])
    return whole.replace(";", "\t") if kind == "tabs" else whole


class Conab(common.World):
    def __init__(self):
        super().__init__()
        self.settings = {"extra": []}  # lines added to the series, for a test's own rows

    def control(self, request):
        if request.path.endswith("/reset"):
            self.settings["extra"] = []
        return super().control(request)

    def answer(self, request: common.Request) -> common.Reply:
        # the real server turns away what does not look like a browser
        if not request.headers.get("user-agent", "").startswith("Mozilla/"):
            return common.Reply(403, common.HTML, "text/html")
        name = request.path.rsplit("/", 1)[1]
        if name == "SerieHistoricaGraos.txt":
            lines = [*rows(range(2008, 2019), [None]), *self.settings["extra"]]
            text = text_of(SERIES + NUMBERS, lines, request.fault)
        elif name == "LevantamentoGraos.txt":
            text = text_of(SURVEYS + NUMBERS, rows([2025, 2026], [1, 2, 3, 12, 99]), request.fault)
        else:
            return common.Reply(404, common.HTML, "text/html")
        return common.ranged(common.Reply(200, text.encode("cp1252"), "text/plain"), request.headers)


if __name__ == "__main__":
    common.main(Conab())
