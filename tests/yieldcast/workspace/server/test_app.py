"""What holds for every answer."""

import re


def test_answers_are_closed_to_other_sites_and_kept_by_no_cache(ask):
    for path in ("/docs", "/openapi.json", "/api/v1/account", "/nothing-here"):
        headers = ask().get(path).headers
        assert re.match("default-src '(self|none)';", headers["Content-Security-Policy"])
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"


def test_refusals_are_json_with_an_error_and_a_hint(ask):
    answer = ask("Alpha").get("/api/v1/nothing-here")
    assert (answer.status_code, set(answer.json())) == (404, {"error", "hint", "rule"})
    assert ask("Alpha").delete("/api/v1/account").status_code == 405


def test_the_documentation_has_every_route_and_nothing_from_elsewhere(ask, app):
    schema, page = ask().get("/openapi.json").json(), ask().get("/docs").text
    for path, methods in schema["paths"].items():
        for method, about in methods.items():
            assert f"{method.upper()} {path}" in page
            assert about["description"], path
            assert "429" in about["responses"]
    for name in schema["components"]["schemas"]:
        assert f'id="{name}"' in page
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(schema["components"]["schemas"])
    assert not re.findall(r'(?:src|href)="(?!#|/)[^"]*"', page)
    assert "<script" not in page
    assert "style=" not in page
