"""The page ``/docs``: the routes of the OpenAPI schema as plain HTML, without scripts from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

_METHODS = ("get", "post", "put", "delete")


def page(schema: Mapping[str, Any]) -> str:
    """A schema as a page.

    Args:
        schema: OpenAPI 3.1, as ``/openapi.json`` has it.
    """
    about = schema["info"]
    body = "\n".join([*_routes(schema), *_models(schema)])
    title = escape(str(about["title"]))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="/static/icon.svg"><link rel="stylesheet" href="/static/page.css">'
        '<link rel="stylesheet" href="/static/dark.css" media="screen and (prefers-color-scheme: dark)">'
        "</head>\n"
        f'<body><main class="wide"><h1>{title}</h1><p>{escape(str(about.get("description", "")))}</p>'
        '<p>The same as data: <a href="/openapi.json">openapi.json</a>.</p>\n'
        f"{body}\n</main></body></html>\n"
    )


def _routes(schema: Mapping[str, Any]) -> Iterator[str]:
    yield "<h2>Routes</h2>"
    for path, methods in schema["paths"].items():
        for method in _METHODS:
            if method in methods:
                yield _route(path, method, methods[method])


def _route(path: str, method: str, about: Mapping[str, Any]) -> str:
    parts = [f"<h3><code>{method.upper()} {escape(path)}</code></h3>"]
    parts.append(f"<p>{escape(about.get('description') or about.get('summary', ''))}</p>")
    if rows := [_parameter(one) for one in about.get("parameters", [])]:
        parts.append(_table("Parameters", ("name", "where", "type"), rows))
    for kind, content in about.get("requestBody", {}).get("content", {}).items():
        parts.append(f"<p>Body, <code>{escape(kind)}</code>: {_type(content.get('schema', {}))}</p>")
    answers = [_answer(status, one) for status, one in about.get("responses", {}).items()]
    parts.append(_table("Answers", ("status", "meaning", "content"), answers))
    return "\n".join(parts)


def _parameter(about: Mapping[str, Any]) -> tuple[str, str, str]:
    return escape(about["name"]), escape(about["in"]), _type(about.get("schema", {}))


def _answer(status: str, about: Mapping[str, Any]) -> tuple[str, str, str]:
    kinds = [_type(one.get("schema", {})) or escape(kind) for kind, one in about.get("content", {}).items()]
    return escape(status), escape(about.get("description", "")), ", ".join(kinds)


def _models(schema: Mapping[str, Any]) -> Iterator[str]:
    yield "<h2>Contents</h2>"
    for name, about in sorted(schema.get("components", {}).get("schemas", {}).items()):
        yield f'<h3 id="{escape(name)}"><code>{escape(name)}</code></h3>'
        yield f"<p>{escape(about.get('description', ''))}</p>"
        fields = about.get("properties", {})
        if fields:
            rows = [
                (escape(key), _type(one), escape(one.get("description", ""))) for key, one in fields.items()
            ]
            yield _table("Fields", ("name", "type", "meaning"), rows)


def _type(about: Mapping[str, Any]) -> str:
    """What a value is, in a few words; models are links to their fields."""
    if "$ref" in about:
        name = escape(about["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if choices := about.get("anyOf", about.get("oneOf", [])):
        return " or ".join(_type(one) for one in choices)
    if "enum" in about or "const" in about:
        return " or ".join(escape(json.dumps(one)) for one in about.get("enum", [about.get("const")]))
    kind = about.get("type", "")
    if kind == "array":
        return f"list of {_type(about.get('items', {})) or 'anything'}"
    if kind == "object" and isinstance(about.get("additionalProperties"), Mapping):
        return f"names with {_type(about['additionalProperties']) or 'anything'}"
    return escape(f"{kind} ({about['format']})" if "format" in about else str(kind))


def _table(caption: str, heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    head = "".join(f'<th scope="col" class="text">{escape(one)}</th>' for one in heads)
    cells = ("".join(f'<td class="text wrap">{cell}</td>' for cell in row) for row in rows)
    lines = "".join(f"<tr>{line}</tr>" for line in cells)
    return (
        f'<div class="scroll" role="group" tabindex="0" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>"
    )
