"""A stand-in of IBGE: Localidades, Malhas, the tables' metadata and SIDRA's values.

    python ibge.py [--port N]

Settings: limit (values per request, 50000), years ([2005, ..., 2020]), modified ({"2015": "14/09/2023"} over
"01/01/2024"), revised ({"2015": 1.1}: factor on that year's production), parents (centroids of the parents of
the newest municipality, true), newest (whether PAM lists it, true), hide (codes without a centroid, []),
no_polygon (codes without a polygon, []), unlisted (codes that Localidades lacks, []), absent (codes that PAM
lacks, []), withheld (codes that PAM lists but leaves out of its values, []), whole (whether the country has
5,571 municipalities in 27 states, the newest with centroid and polygon, of which PAM lists 5,563; false),
months ([200609, ..., 202610]: of LSPA), month_modified ({"201401": "10/02/2014"} over "01/01/2024"),
estimate_factors ({"201401": 1.1}: factor on that month's production), labels (names of LSPA's categories by
code), refuse_values (whether ``/values`` answers 403, false).
Faults of its own: changed_column, short, wrong_year, label, null (the last V is null).
"""

from __future__ import annotations

import itertools
import json
from functools import lru_cache

import country
import numpy as np
from common import Reply, World, as_json, main

NEWEST = 5101837  # no polygon, no centroid, no microrregiao
PARENTS = {5107925: (-12.6, -55.9), 5106240: (-13.0, -54.9)}
TABLES = {
    1612: (81, "Produto das lavouras temporárias", 109, {
        2713: "Soja (em grão)", 2711: "Milho (em grão)", 2692: "Arroz (em casca)",
        2689: "Algodão herbáceo (em caroço)", 2696: "Cana-de-açúcar", 2716: "Trigo (em grão)",
        2702: "Feijão (em grão)", 2708: "Mandioca", 2714: "Sorgo (em grão)", 109179: "Girassol (em grão)",
        2715: "Tomate",
    }),
    5457: (782, "Produto das lavouras temporárias e permanentes", 8331, {
        40139: "Café (em grão) Total", 40151: "Laranja",
    }),
    839: (81, "Produto das lavouras temporárias", 109, {
        114253: "Milho (em grão) - 1ª safra", 114254: "Milho (em grão) - 2ª safra",
    }),
}  # fmt: skip
LSPA = 6588
# As table 6588 names them; 39431 and 39458 stand for the categories that nobody asks for.
LSPA_LABELS = {
    39429: "1.1 Algodão herbáceo (em caroço)", 39431: "1.2 Amendoim (1ª Safra)", 39432: "1.4 Arroz",
    39441: "1.13 Milho (1ª Safra)", 39442: "1.14 Milho (2ª Safra)", 39443: "1.17 Soja",
    39445: "1.19 Trigo", 39456: "7 Cana-de-açúcar", 39458: "9 Castanha-de-caju",
}  # fmt: skip
UNITS_OF_FEDERATION = {code: about[1] for code, about in country.STATES_OF_BRAZIL.items()}
VARIABLES = {
    35: ("Produção", "Toneladas", "1017"),
    36: ("Rendimento médio", "Quilogramas por Hectare", "1018"),
    109: ("Área plantada", "Hectares", "1006"),
    8331: ("Área plantada ou destinada à colheita", "Hectares", "1006"),
    216: ("Área colhida", "Hectares", "1006"),
    214: ("Quantidade produzida", "Toneladas", "1017"),
    112: ("Rendimento médio da produção", "Quilogramas por Hectare", "1018"),
}
LEVELS = {"1": ("Brasil", "Brasil"), "6": ("Município", "Município")}
# kg/ha in 2005, gained per year
LEVEL = {2713: (2600, 45), 2711: (4200, 110), 2692: (3000, 60), 2689: (3500, 40), 2696: (70000, 300)}


def places():
    newest = {"id": NEWEST, "name": "Boa Esperança do Norte", "uf": 51, "lat": None, "lon": None}
    return sorted([*country.municipalities(), newest], key=lambda p: p["id"])


PLACES = {p["id"]: p for p in places()}
WHOLE = {p["id"]: p for p in country.whole(NEWEST)}
# Those of the whole country that PAM lacks: in large states and small ones, the newest, an island.
NOT_IN_PAM = {1100205, 1400050, 1600030, 2206720, 2605459, 3100104, 4314548, NEWEST}


@lru_cache(maxsize=4096)
def season(code, year):
    """Mean daily rain (mm) and maximum (degC) from October to February before the harvest."""
    place = PLACES.get(code) or WHOLE[code]
    days = np.arange(f"{year - 1}-10-01", f"{year}-03-01", 3, dtype="datetime64[D]")
    at = ([place["lat"]], [place["lon"]], days)
    return float(country.rain_mm(*at).mean()), float(country.tmax_degC(*at).mean())


def harvest(code, year, product):
    """Planted and harvested area (ha), production (t) as whole numbers, before symbols."""
    start, rise = LEVEL.get(product, (2000, 20))
    rain, tmax = season(code, year)
    index = (code * 7 + product) % 97
    per_ha = start + rise * (year - 2005) + start * (0.08 * (rain - 4) - 0.03 * (tmax - 31) + index / 400)
    planted = 500 + (code * 13 + product * 5 + year * 3) % 4000
    harvested = planted - planted // 50
    return planted, harvested, round(max(per_ha, 100) * harvested / 1000)


def value(code, year, variable, product, factor=1.0):
    """What stands in V, symbols sprinkled in by the code's last digits."""
    if code == NEWEST:
        return "..."
    mark = (code + product) % 11
    if mark == 3:
        return "-"  # not grown here
    if mark == 5 and year % 5 == 0:
        return "X"
    if mark == 7 and year % 4 == 0:
        return ".."
    planted, harvested, tonnes = harvest(code, year, product)
    tonnes = round(tonnes * factor)
    if mark == 9 and year % 3 == 0:
        harvested, tonnes = 3, 0  # a rounded zero
    if variable in (109, 8331):
        return str(planted)
    return str({216: harvested, 214: tonnes, 112: round(1000 * tonnes / harvested)}[variable])


def estimate(state, month, variable, product, factor=1.0):
    """A cell of LSPA: "-" where a product is not grown; January to March carry the same projection."""
    if (state + product) % 7 == 3:
        return "-"
    if state == 14 and product == 39443:
        return "..." if month % 100 < 6 else "X" if variable == 35 else "..."
    year, number = divmod(month, 100)
    start, rise = {39443: (2600, 45), 39441: (4200, 110), 39456: (70000, 300)}.get(product, (2000, 20))
    per_ha = start + rise * (year - 2005) + 10 * max(number, 3) + state
    planted = 1000 + 100 * state + product % 50
    harvested = planted - planted // 50
    tonnes = round(per_ha * factor * harvested / 1000)
    return str({109: planted, 216: harvested, 35: tonnes, 36: round(1000 * tonnes / harvested)}[variable])


class Ibge(World):
    def set_of(self, name, default):
        return self.settings.get(name, default)

    @property
    def whole(self):
        return self.set_of("whole", False)

    def all_places(self):
        return WHOLE if self.whole else PLACES

    def in_pam(self):
        """Places that the tables of PAM list."""
        absent = NOT_IN_PAM if self.whole else set(self.set_of("absent", []))
        absent |= set() if self.set_of("newest", True) else {NEWEST}
        return {code: p for code, p in self.all_places().items() if code not in absent}

    def answer(self, request):
        path, fault = request.path, (request.fault or {}).get("kind", "")
        if path == "/api/v1/localidades/municipios":
            return as_json(
                [self.place(p) for c, p in self.all_places().items() if c not in self.set_of("unlisted", [])]
            )
        if path == "/api/v1/localidades/estados":
            return as_json([{"id": uf, "sigla": s[0], "nome": s[1]} for uf, s in country.STATES.items()])
        if path == "/api/v4/malhas/paises/BR/metadados":
            return as_json(self.centroids())
        if path.startswith("/api/v4/malhas/estados/"):
            return self.mesh(int(path.rsplit("/", 1)[1]), request.query)
        if path.startswith("/api/v3/agregados/"):
            table, what = path.split("/")[4:6]
            if int(table) == LSPA:
                return self.lspa(path.split("/")[5:], request.query, fault)
            if int(table) not in TABLES:
                return as_json({"statusCode": 404}, 404)
            if what == "localidades":
                return as_json(self.localities(path.split("/")[6]))
            if len(path.split("/")) > 6:  # values of the newer interface
                words, query = path.split("/")[6:], request.query
                (classification,), (inside,) = query["classificacao"], query["localidades"]
                key, codes = classification[:-1].split("[")
                level, places = inside[:-1].split("[", 1)
                places = "in n3 " + places[3:-1] if places.startswith("N3") else places
                asked = ["t", table, level.lower(), places, "v", words[2].replace("|", ","), "p", words[0]]
                assert query["view"] == ["flat"]
                return self.values([*asked, f"c{key}", codes], fault)
            return as_json(self.labels(int(table), fault) if what == "metadados" else self.periods())
        if path.startswith("/values/") and self.set_of("refuse_values", False):
            return Reply(403, b"Forbidden", "text/plain")
        if path.startswith(f"/values/t/{LSPA}/"):
            words = path[len("/values/") :].strip("/").split("/")
            return self.lspa_values(dict(zip(words[::2], words[1::2], strict=True)), fault)
        if path.startswith("/values/"):
            return self.values(path[len("/values/") :].strip("/").split("/"), fault)
        return Reply(404, b"nao encontrado", "text/plain")

    def place(self, p):
        abbreviation, name, region, region_short, region_name = country.STATES_OF_BRAZIL[p["uf"]]
        unit = {
            "id": p["uf"], "sigla": abbreviation, "nome": name,
            "regiao": {"id": region, "sigla": region_short, "nome": region_name},
        }  # fmt: skip
        meso = {"id": p["uf"] * 100 + 1, "nome": "Meso", "UF": unit}
        micro = {"id": p["uf"] * 1000 + 1, "nome": "Micro", "mesorregiao": meso}
        between = {"id": p["uf"] * 100 + 1, "nome": "Intermediária", "UF": unit}
        return {
            "id": p["id"], "nome": p["name"], "microrregiao": None if p["id"] == NEWEST else micro,
            "regiao-imediata": {
                "id": p["uf"] * 10000 + 1, "nome": "Imediata", "regiao-intermediaria": between,
            },
        }  # fmt: skip

    def centroids(self):
        hidden = {*(() if self.whole else (NEWEST,)), *self.set_of("hide", [])}
        centres = {c: (p["lat"], p["lon"]) for c, p in self.all_places().items() if c not in hidden}
        # The mesh of the real country knows them; here they are not in Localidades.
        centres |= PARENTS if self.set_of("parents", True) and not self.whole else {}
        return [
            {
                "id": str(code), "nivel-geografico": "municipio",
                "centroide": {"latitude": lat, "longitude": lon},
                "area": {"dimensao": "1900.5", "unidade": {"nome": "quilômetros quadrados", "id": "km²"}},
                "regiao-limitrofe": [
                    {"latitude": lat - 0.2, "longitude": lon - 0.2},
                    {"latitude": lat + 0.2, "longitude": lon + 0.2},
                ],
            }
            for code, (lat, lon) in centres.items()
        ]  # fmt: skip

    def mesh(self, uf, query):
        if query.get("formato") != ["application/vnd.geo+json"]:
            return Reply(200, b'<svg xmlns="http://www.w3.org/2000/svg"></svg>', "image/svg+xml")
        without = {*(() if self.whole else (NEWEST,)), *self.set_of("no_polygon", [])}
        features = [
            {
                "type": "Feature", "properties": {"codarea": str(code)},
                "geometry": {"type": "Polygon", "coordinates": [country.square(p["lat"], p["lon"])]},
            }
            for code, p in reversed(self.all_places().items())
            if p["uf"] == uf and code not in without
        ]  # fmt: skip
        if not features:
            return as_json({"message": "not found"}, 404)
        return as_json({"type": "FeatureCollection", "features": features})

    def localities(self, level):
        assert level == "N6"
        about = {"id": "N6", "nome": "Município"}
        return [
            {"id": str(code), "nome": f"{p['name']} - {country.STATES_OF_BRAZIL[p['uf']][0]}", "nivel": about}
            for code, p in self.in_pam().items()
        ]

    def labels(self, table, fault):
        classification, name, planted, products = TABLES[table]
        labels = list(products.values())
        labels = labels[1:] + labels[:1] if fault == "label" else labels
        return {
            "id": table, "nome": name, "URL": f"https://sidra.ibge.gov.br/tabela/{table}",
            "pesquisa": "Produção Agrícola Municipal", "assunto": "Lavouras",
            "periodicidade": {"frequencia": "anual", "inicio": 1974, "fim": self.years()[-1]},
            "nivelTerritorial": {"Administrativo": ["N1", "N3", "N6"], "Especial": [], "IBGE": []},
            "variaveis": [
                {"id": v, "nome": VARIABLES[v][0], "unidade": VARIABLES[v][1], "sumarizacao": []}
                for v in (planted, 216, 214, 112)
            ],
            "classificacoes": [
                {
                    "id": classification, "nome": name,
                    "sumarizacao": {"status": True, "excecao": [214, 112]},
                    "categorias": [
                        {"id": code, "nome": label, "unidade": None, "nivel": 1}
                        for code, label in zip(products, labels, strict=True)
                    ],
                }
            ],
        }  # fmt: skip

    def lspa(self, words, query, fault):
        """The newer interface: labels, periods, and values as rows."""
        if words[0] == "metadados":
            labels = {**LSPA_LABELS, **{int(k): v for k, v in self.set_of("labels", {}).items()}}
            return as_json({
                "id": LSPA, "nome": "Área plantada, área colhida, produção e rendimento médio, por mês",
                "pesquisa": "Levantamento Sistemático da Produção Agrícola",
                "periodicidade": {"frequencia": "mensal", "inicio": 200609, "fim": self.months()[-1]},
                "variaveis": [
                    {"id": v, "nome": VARIABLES[v][0], "unidade": VARIABLES[v][1], "sumarizacao": []}
                    for v in (109, 216, 35, 36)
                ],
                "classificacoes": [{
                    "id": 48, "nome": "Produto das lavouras",
                    "categorias": [
                        {"id": code, "nome": name, "unidade": None, "nivel": 2} for code, name in
                        labels.items()
                    ],
                }],
            })  # fmt: skip
        if words == ["periodos"]:
            dates = self.set_of("month_modified", {})
            return as_json([
                {"id": str(m), "literals": [str(m)], "modificacao": dates.get(str(m), "01/01/2024")}
                for m in self.months()
            ])  # fmt: skip
        assert query["view"] == ["flat"]
        assert query["localidades"] == ["N3[all]"]
        (classification,) = query["classificacao"]
        asked = {"n3": "all", "p": words[1], "v": words[3].replace("|", ","), "c48": classification[3:-1]}
        return self.lspa_values(asked, fault)

    def months(self):
        every = [100 * y + m for y in range(2006, 2027) for m in range(1, 13)]
        return self.set_of("months", [m for m in every if 200609 <= m <= 202610])

    def lspa_values(self, asked, fault):
        first, _, last = asked["p"].partition("-")
        shift = 1 if fault == "wrong_year" else 0
        national = "n1" in asked
        places = {1: "Brasil"} if national else UNITS_OF_FEDERATION
        axes = {
            "Brasil" if national else "Unidade da Federação": list(places.items()),
            "Variável": [(int(v), VARIABLES[int(v)][0]) for v in asked["v"].split(",")],
            "Mês": [(m + shift, f"mês {m}") for m in self.months() if int(first) <= m <= int(last or first)],
            "Produto das lavouras": [(int(c), LSPA_LABELS[int(c)]) for c in asked["c48"].split(",")],
        }
        count = int(np.prod([len(axis) for axis in axes.values()]))
        if count > self.set_of("limit", 50_000):
            text = f"Quantidade de valores solicitados: {count} excedeu o limite: 50000"
            return Reply(400, text.encode(), "text/plain; charset=utf-8")
        header = {"NC": "Nível Territorial (Código)", "NN": "Nível Territorial", "MC": "Unidade (Código)"}
        header |= {"MN": "Unidade de Medida", "V": "Valor"}
        for i, label in enumerate(axes, 1):
            header |= {f"D{i}C": f"{label} (Código)", f"D{i}N": label}
        rows = [header]
        for cell in itertools.product(*axes.values()):
            place, variable, month, product = (code for code, _ in cell)
            factor = self.set_of("estimate_factors", {}).get(str(month), 1.0)
            text = "123456" if national else estimate(place, month, variable, product, factor)
            row = {"NC": "3", "NN": "Unidade da Federação", "MC": VARIABLES[variable][2]}
            row |= {"MN": VARIABLES[variable][1], "V": text}
            for i, (code, name) in enumerate(cell, 1):
                row |= {f"D{i}C": str(code), f"D{i}N": name}
            rows.append(row)
        if fault == "short":
            rows = rows[:-3]
        if fault == "changed_column":
            rows = [{("VALOR" if k == "V" else k): v for k, v in row.items()} for row in rows]
        return Reply(200, json.dumps(rows, ensure_ascii=False).encode())

    def years(self):
        return self.set_of("years", list(range(2005, 2021)))

    def periods(self):
        dates = self.set_of("modified", {})
        return [
            {"id": str(y), "literals": [str(y)], "modificacao": dates.get(str(y), "01/01/2024")}
            for y in self.years()
        ]

    def values(self, words, fault):
        asked = dict(zip(words[::2], words[1::2], strict=True))
        table = int(asked.pop("t"))
        axes = [self.axis(table, key, wanted, fault) for key, wanted in asked.items() if key not in "hfadm"]
        count = int(np.prod([len(axis[1]) for axis in axes]))
        limit = self.set_of("limit", 50_000)
        if count > limit:
            text = f"Quantidade de valores solicitados: {count} excedeu o limite: {limit}"
            return Reply(400, text.encode(), "text/plain; charset=utf-8")
        level = next(key[1:] for key in asked if key[0] == "n")
        header = {
            "NC": "Nível Territorial (Código)", "NN": "Nível Territorial", "MC": "Unidade de Medida (Código)",
            "MN": "Unidade de Medida", "V": "Valor",
        }  # fmt: skip
        for i, (label, _) in enumerate(axes, 1):
            header |= {f"D{i}C": f"{label} (Código)", f"D{i}N": label}
        order = {label.split(" ")[0]: i for i, (label, _) in enumerate(axes)}
        rows = [header]
        for flat in np.ndindex(*[len(axis[1]) for axis in axes]):
            cell = [axis[1][i] for axis, i in zip(axes, flat, strict=True)]
            variable, year = cell[order["Variável"]][0], cell[order["Ano"]][0]
            place, product = cell[order[LEVELS[level][0]]][0], cell[order["Produto"]][0]
            factor = self.set_of("revised", {}).get(str(year), 1.0)
            text = value(place, year, variable, product, factor) if level == "6" else "123456"
            row = {"NC": level, "NN": LEVELS[level][1], "MC": VARIABLES[variable][2]}
            row |= {"MN": VARIABLES[variable][1], "V": text}
            for i, (code, name) in enumerate(cell, 1):
                row |= {f"D{i}C": str(code), f"D{i}N": name}
            rows.append(row)
        if fault == "short":
            rows = rows[:-3]
        if fault == "null":
            rows[-1]["V"] = None
        if fault == "changed_column":
            rows = [{("VALOR" if k == "V" else k): v for k, v in row.items()} for row in rows]
        return Reply(200, json.dumps(rows, ensure_ascii=False).encode())

    def axis(self, table, key, wanted, fault):
        """Label, and (code, name) of each place, variable, year or product that a key asks for."""
        classification, label, planted, products = TABLES[table]
        codes = [int(w) for w in wanted.split(",")] if wanted.replace(",", "").isdigit() else None
        if key[0] == "n":
            return LEVELS[key[1:]][0], self.territories(key, wanted, codes)
        if key == "v":
            allowed = (planted, 216, 214, 112)
            return "Variável", [(v, VARIABLES[v][0]) for v in allowed if v in codes]
        if key == "p":
            first, _, last = wanted.partition("-")
            years = codes or list(range(int(first), int(last) + 1))
            shift = 1 if fault == "wrong_year" else 0
            return "Ano", [(y + shift, str(y + shift)) for y in years if y in self.years()]
        if key == f"c{classification}":
            return label, [(c, products[c]) for c in codes]
        raise ValueError(f"unknown key {key}")

    def territories(self, key, wanted, codes):
        if key == "n1":
            return [(1, "Brasil")]
        states = [int(uf) for uf in wanted.removeprefix("in n3 ").split(",")] if " " in wanted else None
        return [
            (code, f"{p['name']} - {country.STATES_OF_BRAZIL[p['uf']][0]}")
            for code, p in self.in_pam().items()
            if (codes is None or code in codes) and (states is None or p["uf"] in states)
            if code not in self.set_of("withheld", [])
        ]


if __name__ == "__main__":
    main(Ibge())
