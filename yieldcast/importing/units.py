"""Units read by grammar: ``mm day**-1``, ``kg m-2 s-1``, ``mm/dia``, ``°C``, ``sc/ha``, ``mil t``.

A unit is a product of symbols with whole powers, divided by others, with at most one number in front. Each
symbol stands for a factor and powers of length, mass, time, temperature and amount. Months, years, sacks and
bushels are dimensions of their own, because their factors depend on the date and on the crop.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import SchemaError

Value = TypeVar("Value", float, NDArray[np.floating])
Powers = tuple[tuple[str, int], ...]

DAY_s = 86400.0
_LONGEST = 100  # characters
_WATER_kg_m3 = 1000.0  # 1 kg of rain on 1 m2 is 1 mm high (WMO-No. 8, part I, 6.1.2)
_POUND_kg = 0.45359237  # international pound and inch, both exact (NIST SP 811, B.8)
_INCH_m = 0.0254
# Pounds of a bushel: USDA ERS, Agricultural Handbook 697 (1992), table 1.
_BUSHEL_lb = {
    "soybean": 60, "wheat": 60, "corn": 56, "corn_first": 56, "corn_second": 56, "sorghum": 56, "rye": 56,
    "barley": 48, "rice": 45, "oats": 32,
}  # fmt: skip
_SACK_kg = 60.0  # trade unit of Brazil for grain and coffee (Conab, units of its price series)
# Rice and peanuts are traded in sacks of 50 or 60 and of 25 or 30 kg, by region.
_OTHER_SACKS = ("rice", "peanut", "groundnut")


class Unit(NamedTuple):
    """A unit as it was understood.

    Args:
        text: as written.
        factor: to kg, m, s, K and mol.
        zero: temperature of its zero in K; 0 for units that are no temperature scale.
        powers: power of each dimension, sorted by name, none 0.
    """

    text: str
    factor: float
    zero: float
    powers: Powers

    def __str__(self) -> str:
        over = [f"{name}{power if power > 1 else ''}" for name, power in self.powers if power > 0]
        under = [f"{name}{-power if power < -1 else ''}" for name, power in self.powers if power < 0]
        return " ".join(over or ["a pure number"]) + "".join(f" per {name}" for name in under)


class Conversion(NamedTuple):
    """How values become another unit: ``value * factor + offset``, and for rates times the interval.

    Args:
        factor: multiplies the values.
        offset: is added then.
        per: the interval of a rate, which the values must still be multiplied with: so many days, or so many
            months; empty for an amount or a state.
    """

    factor: float
    offset: float = 0.0
    per: Literal["", "day", "month"] = ""

    def of(self, values: Value) -> Value:
        """Values in the new unit; of a rate, values for one day or one month."""
        return values * self.factor + self.offset


def _made(**powers: int) -> Powers:
    return tuple(sorted(powers.items()))


_LENGTH, _MASS, _TIME, _NUMBER = _made(length=1), _made(mass=1), _made(time=1), _made()
_AREA, _VOLUME = _made(length=2), _made(length=3)
_ENERGY = _made(length=2, mass=1, time=-2)
_PREFIXES = {
    "µ": 1e-6, "μ": 1e-6, "m": 1e-3, "c": 1e-2, "d": 1e-1, "h": 1e2, "k": 1e3, "M": 1e6, "G": 1e9,
}  # fmt: skip
# Symbols with prefixes: which prefixes, factor of the plain symbol, powers.
_PREFIXED = (
    ("m", "µμmcdk", 1.0, _LENGTH), ("g", "µμmcdhkMG", 1e-3, _MASS), ("t", "kM", 1e3, _MASS),
    ("J", "kMG", 1.0, _ENERGY), ("W", "mkM", 1.0, _made(length=2, mass=1, time=-3)),
    ("Pa", "hkM", 1.0, _made(length=-1, mass=1, time=-2)), ("L", "mdh", 1e-3, _VOLUME),
    ("mol", "µμmc", 1.0, _made(amount=1)), ("cal", "k", 4.184, _ENERGY),
)  # fmt: skip
_WORDS: tuple[tuple[str, float, Powers], ...] = (
    ("metre metres meter meters metro metros", 1.0, _LENGTH),
    ("millimetre millimetres millimeter millimeters milimetro milimetros", 1e-3, _LENGTH),
    ("centimetre centimetres centimeter centimeters centimetro centimetros", 1e-2, _LENGTH),
    ("in inch inches pol polegada polegadas", _INCH_m, _LENGTH),
    ("ft foot feet", 12 * _INCH_m, _LENGTH),
    ("mi mile miles", 63360 * _INCH_m, _LENGTH),
    ("ha hectare hectares", 1e4, _AREA),
    ("ac acre acres", 4046.8564224, _AREA),
    ("kilogram kilograms quilo quilos quilograma quilogramas kgs", 1.0, _MASS),
    ("gram grams grama gramas", 1e-3, _MASS),
    ("tonne tonnes tonelada toneladas", 1e3, _MASS),
    ("quintal quintals quintais", 100.0, _MASS),
    ("lb lbs pound pounds libra libras", _POUND_kg, _MASS),
    ("@ arroba arrobas", 15.0, _MASS),
    ("cwt", 100 * _POUND_kg, _MASS),
    ("s sec secs second seconds seg segundo segundos", 1.0, _TIME),
    ("min minute minutes minuto minutos", 60.0, _TIME),
    ("h hr hrs hour hours hora horas", 3600.0, _TIME),
    ("d day days dia dias", DAY_s, _TIME),
    ("week weeks semana semanas", 7 * DAY_s, _TIME),
    ("month months mon mo mês mes meses", 1.0, _made(month=1)),
    ("year years yr yrs ano anos", 1.0, _made(year=1)),
    ("bu bushel bushels", 1.0, _made(bushel=1)),
    ("sc scs saca sacas saco sacos sack sacks", 1.0, _made(sack=1)),
    ("kn knot knots", 1852 / 3600, _made(length=1, time=-1)),
    ("mph", 63360 * _INCH_m / 3600, _made(length=1, time=-1)),
    ("kmh kph", 1 / 3.6, _made(length=1, time=-1)),
    ("bar", 1e5, _made(length=-1, mass=1, time=-2)),
    ("mb mbar millibar millibars", 100.0, _made(length=-1, mass=1, time=-2)),
    ("joule joules", 1.0, _ENERGY),
    ("watt watts", 1.0, _made(length=2, mass=1, time=-3)),
    ("litre litres liter liters litro litros l", 1e-3, _VOLUME),
    ("% percent pct porcento porcentagem", 1e-2, _NUMBER),
    ("ppm", 1e-6, _NUMBER),
    ("degree degrees deg", 1.0, _made(angle=1)),
    ("thousand thousands mil milhar milhares", 1e3, _NUMBER),
    ("million millions milhão milhões milhao milhoes", 1e6, _NUMBER),
)
_CELSIUS_K, _FAHRENHEIT_K = 273.15, 459.67 * 5 / 9  # BIPM, SI brochure, section 2.3.1; NIST SP 811, B.8
_SCALES = (
    ("degC celsius C oC centigrade", 1.0, _CELSIUS_K),
    ("K kelvin kelvins degK", 1.0, 0.0),
    ("degF fahrenheit F", 5 / 9, _FAHRENHEIT_K),
)
_UNCLEAR = {
    "kt": "kt is a knot or a thousand tonnes: write knot, or thousand t",
    "ton": "a ton is 907, 1000 or 1016 kg: write t for 1000 kg",
    "tons": "a ton is 907, 1000 or 1016 kg: write t for 1000 kg",
}
_TEMPERATURE = _made(temperature=1)


def _symbols() -> dict[str, Unit]:
    found: dict[str, Unit] = {}
    for symbol, prefixes, factor, powers in _PREFIXED:
        for prefix in ("", *prefixes):
            text = prefix + symbol
            found[text] = Unit(text, factor * _PREFIXES.get(prefix, 1.0), 0.0, powers)
    for words, factor, powers in _WORDS:
        found |= {word: Unit(word, factor, 0.0, powers) for word in words.split()}
    for words, factor, zero in _SCALES:
        found |= {word: Unit(word, factor, zero, _TEMPERATURE) for word in words.split()}
    return {text: unit for text, unit in found.items() if text not in _UNCLEAR}


_SYMBOLS = _symbols()
_DEGREES = re.compile(
    r"(?:[°º˚]|\bdegrees?|\bdeg|\bgraus?)[\s_.]*(celsius|centigrade|kelvin|fahrenheit|c|k|f)(?![^\W_])", re.I
)
_REPLACED: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\bdegrees?_(?:north|south|east|west)\b", re.I), "deg"),
    (re.compile(r"mol\(c\)|molc\b", re.I), "mol"),
    (re.compile(r"\bof\s+water(?:\s+equivalent)?|\bw\.\s?e\.", re.I), ""),
    (re.compile(r"\bmetric\s+tons?\b", re.I), "t"),
    (re.compile(r"\bpor\s*cento\b", re.I), "%"),
    (re.compile(r"(?<=[^\W\d])\s+(?:de|of)\s+(?=[^\W\d])", re.I), " "),
)
_SUPERSCRIPTS = str.maketrans("⁻⁺⁰¹²³⁴⁵⁶⁷⁸⁹−", "-+0123456789-")
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?:(?:\*\*|\^)(?P<to>[+-]?\d+))?"
    r"|(?P<per>/|÷|\b(?:per|por)\b)"
    r"|(?P<name>[^\W\d_]+|[%@])(?P<power>(?:\*\*|\^)?\{?\(?[+-]?\d+\)?\}?)?"
    r"|(?P<times>\*|·|\.|×|_)|(?P<open>\()|(?P<close>\)))",
    re.I,
)


def parse(text: str) -> Unit:
    """The unit that a text stands for.

    Args:
        text: such as ``mm day-1``, ``kg/ha``, ``0.1 mm``, ``m s**-1``, ``Mil toneladas``. As in CF, ``a/b c``
            is a times c, divided by b; ``a/b/c`` and ``a/(b c)`` divide by both.

    Raises:
        SchemaError: a symbol that is not known or not clear, or another grammar; it says what was understood.
    """
    if len(text) > _LONGEST:
        raise SchemaError(f"units {text[:_LONGEST]!r}...: longer than any unit", "Correct the units.")
    plain = text.strip().rstrip(".").translate(_SUPERSCRIPTS)
    plain = _DEGREES.sub(lambda found: f" deg{found[1][0].upper()} ", plain)
    for pattern, new in _REPLACED:
        plain = pattern.sub(new, plain)
    reader = _Reader(text, plain)
    factor, powers, scale = reader.product()
    if not reader.ended:
        raise reader.refused(f"not understood from {plain[reader.position :].strip()!r} on")
    if not 1e-30 < factor < 1e30:
        raise reader.refused(f"a factor of {factor:g}")
    whole = tuple(sorted((name, power) for name, power in powers.items() if power))
    # The zero of a scale counts only for a plain temperature: degC day and degC/m are differences.
    zero = scale if whole == _TEMPERATURE and reader.factors == 1 else 0.0
    return Unit(text, factor, zero, whole)


def of_suffix(suffix: str) -> str:
    """A unit as it is written at the end of a column's name, in the grammar: ``sc_ha`` becomes ``sc/ha``,
    ``thousand_ha`` stays a product."""
    first, *others = suffix.split("_")
    if first.lower() in ("thousand", "million", "mil"):
        first, others = " ".join([first, *others[:1]]), others[1:]
    return "/".join([first, *others])


def conversion(text: str, to: str, crop: str = "", accumulates: bool = False) -> Conversion:
    """How values in one unit become another one of the same dimension.

    Mass of water on an area counts as its height (``kg m-2`` is mm), bushels and sacks by the crop.

    Args:
        text: the unit of the values.
        to: the unit wanted; for what accumulates that of an amount (``mm``, ``MJ/m2``).
        crop: for units that depend on it, by the names of crops in yieldcast.
        accumulates: accept rates too (``mm/day``, ``W m-2`` for ``MJ/m2``).

    Raises:
        SchemaError: not understood, another dimension, or a unit that needs the crop.
    """
    unit, wanted = _of_crop(parse(text), crop), _of_crop(parse(to), crop)
    if wanted.powers == _LENGTH:
        unit = _height_of_water(unit)
    factor = unit.factor / wanted.factor
    if unit.powers == wanted.powers:
        return Conversion(factor, (unit.zero - wanted.zero) / wanted.factor)
    if accumulates and _times(unit.powers, "time") == wanted.powers:
        return Conversion(factor * DAY_s, per="day")
    if accumulates and _times(unit.powers, "month") == wanted.powers:
        return Conversion(factor, per="month")
    rate = ", or a rate of it" if accumulates else ""
    raise SchemaError(
        f"units {text!r}: expected a unit of {wanted} such as {to}{rate}, received {unit}",
        "Convert the values, or correct their units.",
    )


def _times(powers: Powers, name: str) -> Powers:
    """Powers times the first power of a dimension that divides them; unchanged where it does not."""
    counted = dict(powers)
    if counted.get(name, 0) < 0:
        counted[name] += 1
    return tuple(sorted((key, power) for key, power in counted.items() if power))


def _height_of_water(unit: Unit) -> Unit:
    powers = Counter(dict(unit.powers))
    if powers["mass"] != 1 or powers["length"] != -2:
        return unit
    del powers["mass"]
    powers["length"] = 1
    return unit._replace(factor=unit.factor / _WATER_kg_m3, powers=tuple(sorted(powers.items())))


def _of_crop(unit: Unit, crop: str) -> Unit:
    """The unit with its sacks and bushels in kg."""
    powers = Counter(dict(unit.powers))
    factor = unit.factor
    for name, kg in (("sack", _sack_kg), ("bushel", _bushel_kg)):
        power = powers.pop(name, 0)
        if power:
            factor *= kg(unit.text, crop) ** power
            powers["mass"] += power
    whole = tuple(sorted((name, power) for name, power in powers.items() if power))
    return unit._replace(factor=factor, powers=whole)


def _sack_kg(text: str, crop: str) -> float:
    if crop.lower().startswith(_OTHER_SACKS):
        raise SchemaError(
            f"units {text!r}: sacks of {crop} hold different weights by region", "Give the values in kg/ha."
        )
    return _SACK_kg


def _bushel_kg(text: str, crop: str) -> float:
    pounds: Mapping[str, int] = _BUSHEL_lb
    if crop.lower() not in pounds:
        received = f"received {crop!r}" if crop else "received none"
        raise SchemaError(
            f"units {text!r}: the weight of a bushel depends on the crop: expected one of "
            f"{', '.join(pounds)}, {received}",
            "Give the values in kg/ha.",
        )
    return pounds[crop.lower()] * _POUND_kg


class _Reader:
    """Reads a text token by token.

    Args:
        text: as the user wrote it, for errors.
        plain: with signs and words in one form.
    """

    def __init__(self, text: str, plain: str) -> None:
        self.text, self.plain, self.position = text, plain, 0
        self.known: list[str] = []
        self.factors = 0

    @property
    def ended(self) -> bool:
        return not self.plain[self.position :].strip()

    def product(self) -> tuple[float, Counter[str], float]:
        """Factor, powers, and zero of the last scale, up to the end or a closing bracket."""
        factor, powers, zero = 1.0, Counter[str](), 0.0
        sign, awaited = 1, True
        for kind, token in self._tokens():
            if kind in ("per", "times"):
                # A unit may begin with "per", but no sign may follow another one.
                if awaited and (kind == "times" or self.known or sign < 0):
                    raise self.refused(f"{token[0].strip()!r} without a unit before it")
                sign, awaited = -1 if kind == "per" else 1, True
                continue
            size, own, zero = self._group() if kind == "open" else self._one(kind, token)
            if not 1e-99 < size < 1e99:
                raise self.refused(f"a factor of {size:g}")
            factor *= size**sign
            for name, power in own.items():
                powers[name] += sign * power
            sign, awaited = 1, False
        if awaited and (self.known or sign < 0):
            raise self.refused("it ends with a sign")
        return factor, powers, zero

    def _group(self) -> tuple[float, Counter[str], float]:
        """What a bracket holds, after its opening sign."""
        found = self.product()
        if not self.plain[self.position :].lstrip().startswith(")"):
            raise self.refused("a bracket is not closed")
        self.position = self.plain.index(")", self.position) + 1
        return found

    def _one(self, kind: str, token: re.Match[str]) -> tuple[float, Counter[str], float]:
        """A number, which stands only in front, or a symbol with its power."""
        if kind != "number":
            return self._symbol(token)
        if self.known:
            raise self.refused("a number is only expected in front")
        return self._number(token), Counter(), 0.0

    def _tokens(self) -> Iterator[tuple[str, re.Match[str]]]:
        """Kind and match of each token; it stops before a closing bracket and before what is no token."""
        while not self.ended:
            token = _TOKEN.match(self.plain, self.position)
            if token is None or token["close"]:
                return
            self.position = token.end()
            yield str(token.lastgroup if token["number"] is None else "number"), token

    def _number(self, token: re.Match[str]) -> float:
        try:
            return float(float(token["number"]) ** int(token["to"] or 1))
        except (OverflowError, ZeroDivisionError, ValueError):
            raise self.refused(f"the number {token[0].strip()}") from None

    def _symbol(self, token: re.Match[str]) -> tuple[float, Counter[str], float]:
        name = token["name"]
        unit = self._known(name)
        power = int(re.sub(r"[*^{}()]", "", token["power"])) if token["power"] else 1
        if power == 0 or abs(power) > 4:
            raise self.refused(f"the power {power} of {name}")
        self.known.append(name)
        self.factors += 1
        powers = Counter({key: own * power for key, own in unit.powers})
        return unit.factor**power, powers, unit.zero if power == 1 else 0.0

    def _known(self, name: str) -> Unit:
        if name.lower() in _UNCLEAR:
            raise self.refused(_UNCLEAR[name.lower()])
        if name in _SYMBOLS:
            return _SYMBOLS[name]
        alike = {key: unit for key, unit in _SYMBOLS.items() if key.lower() == name.lower()}
        if len({unit[1:] for unit in alike.values()}) > 1:
            raise self.refused(f"{name} is one of {', '.join(sorted(alike))}: write it in its own case")
        if not alike:
            raise self.refused(f"{name!r} is not known")
        return next(iter(alike.values()))

    def refused(self, reason: str) -> SchemaError:
        """The error, with what was understood so far."""
        understood = f" (understood: {', '.join(self.known)})" if self.known else ""
        return SchemaError(
            f"units {self.text!r}: {reason}{understood}",
            "Write units such as mm, mm/day, kg m-2 s-1, degC, K, MJ/m2, kg/ha, t/ha.",
        )
