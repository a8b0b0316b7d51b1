"""Pages from templates, in the reader's language and colours."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from babel.dates import format_skeleton
from babel.numbers import format_currency, get_currency_precision

from yieldcast import language
from yieldcast.errors import ConfigError
from yieldcast.language import Language
from yieldcast.workspace.scoring.measures import ACCURACY
from yieldcast.workspace.server import wording

if TYPE_CHECKING:
    from jinja2 import Environment
    from starlette.requests import Request
    from starlette.responses import Response

LANGUAGE_COOKIE, THEME_COOKIE = "yieldcast_language", "yieldcast_theme"
_YEAR_S = 365 * 24 * 3600
# Nothing but style, script and pictures of this server (CSP 3, W3C working draft of 2025); the other headers
# come from `headers`.
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
}
# Where the file of dark colours applies, by theme.
THEMES: dict[str | None, str] = {
    "light": "not all", "dark": "screen", None: "screen and (prefers-color-scheme: dark)"
}  # fmt: skip


@dataclass(frozen=True)
class Reader:
    """Who looks at a page.

    Args:
        words: language.
        theme: "light" or "dark"; None for that of the system.
        path: of the page.
        query: of the page, without language and theme.
    """

    words: Language
    theme: str | None
    path: str
    query: Mapping[str, str]

    def address(self, **changes: str) -> str:
        """The page with other parameters."""
        return f"{self.path}?{urlencode({**self.query, **changes})}"


def reader_of(request: Request) -> Reader:
    """Language and theme that a request asks for; what is unknown is passed over.

    The language is that of ``?lang=``, else of the cookie, else the first of Accept-Language that is there.
    """
    asked = [request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE)]
    accepted = _accepted(request.headers.get("accept-language", ""))
    found = (_language(tag) for tag in [*asked, *accepted] if tag)
    words = next((one for one in found if one is not None), language.of("en"))
    themes = (request.query_params.get("theme"), request.cookies.get(THEME_COOKIE))
    theme = next((one for one in themes if one in ("light", "dark")), None)
    query = {name: value for name, value in request.query_params.items() if name not in ("lang", "theme")}
    return Reader(words, theme, request.url.path, query)


def _accepted(header: str) -> list[str]:
    """Tags of Accept-Language, the most wanted first (RFC 9110, section 12.5.4)."""
    weighted = []
    for part in header[:500].split(","):
        tag, _, weight = part.strip().partition(";q=")
        try:
            quality = float(weight) if weight else 1.0
        except ValueError:
            continue
        if tag and tag != "*" and quality > 0:
            weighted.append((-quality, tag))
    return [tag for _, tag in sorted(weighted, key=lambda pair: pair[0])]


def _language(tag: str) -> Language | None:
    try:
        return language.of(tag)
    except ConfigError:
        return None


@cache
def environment() -> Environment:
    """Templates; every value is escaped, a name that a page does not know is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("yieldcast.workspace.server"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return made


def respond(
    request: Request, template: str, context: Mapping[str, Any], status: int = 200, path: str | None = None
) -> Response:
    """A page.

    Args:
        request: that it answers.
        template: name of its file.
        context: what it shows, beside the reader and what all pages know.
        status: of HTTP.
        path: where the page can be read again, if the request was a form.
    """
    from starlette.responses import HTMLResponse

    reader = reader_of(request)
    reader = reader if path is None else replace(reader, path=path, query={})
    shown = {**_tools(reader), **context, "reader": reader}
    answer = HTMLResponse(environment().get_template(template).render(shown), status, SECURITY_HEADERS)
    remember(request, answer, reader)
    return answer


def remember(request: Request, answer: Response, reader: Reader) -> None:
    """Keep the language and the colours that were asked for in the address."""
    chosen = {
        LANGUAGE_COOKIE: reader.words.tag if _language(request.query_params.get("lang", "")) else None,
        THEME_COOKIE: reader.theme if request.query_params.get("theme") == reader.theme else None,
    }
    for name, value in chosen.items():
        if value:
            answer.set_cookie(name, value, max_age=_YEAR_S, samesite="lax")


def _tools(reader: Reader) -> dict[str, Any]:
    """What every template can call, in the language of the reader."""
    words = reader.words
    return {
        "words": words,
        "_": words.gettext,
        "ngettext": words.ngettext,
        "said": words.said,
        "number": words.number,
        "percent": words.percent,
        "day": words.date,
        "compute": lambda pflop: wording.compute_text(pflop, words),
        "three_digits": lambda value: wording.three_digits(value, words),
        "share": lambda value: wording.score_text(value, ACCURACY, words),
        "moment": lambda when: moment(when, words),
        "money": lambda amount, currency: money(amount, currency, words),
        "languages": [language.of(tag) for tag in language.tags()],
        "dark_media": THEMES[reader.theme],
        "themes": THEMES,
    }


def moment(when: dt.datetime | None, words: Language) -> str:
    """A day with its time in UTC: "2026-12-31 23:59 UTC"; an en dash for None."""
    if when is None:
        return "–"
    utc = when.replace(tzinfo=dt.UTC) if when.tzinfo is None else when.astimezone(dt.UTC)
    return f"{words.date(utc.date())} {format_skeleton('Hm', utc, locale=words.locale)} UTC"


def money(amount: Decimal | float | None, currency: str, words: Language) -> str:
    """An amount with its currency, without cents where there are none: "€2,859,000", "€0.25"."""
    if amount is None:
        return "–"
    exact = Decimal(str(amount)).normalize()
    decimals = max(0, -int(exact.as_tuple().exponent))
    digits = max(decimals, get_currency_precision(currency)) if decimals else 0
    pattern = words.locale.currency_formats["standard"].pattern
    shape = pattern.replace(".00", f".{'0' * digits}" if digits else "")
    written: str = format_currency(exact, currency, format=shape, locale=words.locale, currency_digits=False)
    return written


def static_folder() -> Any:
    """The folder of style and script."""
    return files("yieldcast.workspace.server") / "static"
