"""Text and HTML of a summary: columns, several lines, escaping."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from yieldcast.data.summary import summary_html, summary_text

ROWS = [("tables", "static\nweather"), ("written", "2026-01-02"), ("by", "A & B <b>")]


def test_text_has_a_title_and_values_in_one_column() -> None:
    assert summary_text("Store x", ROWS) == (
        "Store x\n  tables   static\n           weather\n  written  2026-01-02\n  by       A & B <b>"
    )


def test_text_without_rows_is_the_title() -> None:
    assert summary_text("Store x", []) == "Store x"


def test_html_is_one_balanced_table_and_escapes_its_text() -> None:
    page = summary_html('"Store" <x>', ROWS)
    opened: list[str] = []
    seen: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            opened.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert opened.pop() == tag

        def handle_data(self, data: str) -> None:
            seen.append(data)

    reader = Reader()
    reader.feed(page)
    reader.close()
    assert not opened
    assert seen == ['"Store" <x>', "tables", "static\nweather", "written", "2026-01-02", "by", "A & B <b>"]
    assert page.count("<table") == 1
    assert "<b>" not in page


def test_html_loads_nothing_and_leaves_the_colours_to_the_notebook() -> None:
    page = summary_html("Store x", ROWS)
    assert not re.search(r"https?:|url\(|<script|<style|src=", page)
    assert set(re.findall(r"(?<![-\w])color: ([^;]+);", page)) == {"inherit"}
    assert set(re.findall(r"background: ([^;]+);", page)) == {"transparent"}
