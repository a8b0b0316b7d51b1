"""Invoices: what is charged, months, rounding, numbers that stay."""

import datetime as dt
from decimal import Decimal

import pytest

from yieldcast.errors import ConfigError
from yieldcast.workspace.scoring.invoices import Charge, invoices, money

D = Decimal


def charge(
    submission, day, contributor="7", state="done", price="25.005", owner_fault=False, hour=12, currency="EUR"
):
    when = dt.datetime(2026, *day, hour, 30, tzinfo=dt.UTC)
    return Charge(
        submission, contributor, f"Team {contributor}", when, state, owner_fault, D(price), currency
    )


def test_submissions_that_reached_the_queue_are_charged_by_contributor_and_month():
    found = invoices(
        [
            charge("1", (11, 30)),
            charge("2", (11, 3), state="stopped"),
            charge("3", (11, 4), state="failed"),
            charge("4", (11, 5), state="refused"),
            charge("5", (11, 6), state="failed", owner_fault=True),
            charge("6", (12, 1)),
            charge("7", (11, 9), contributor="3", state="queued"),
        ]
    )
    rows = [(one.number, one.submissions, one.not_charged, one.amount) for one in found]
    assert rows == [
        ("2026-11-3-EUR", 1, 0, D("25.01")),
        ("2026-11-7-EUR", 3, 2, D("75.02")),  # 3 x 25.005 = 75.015, rounded once
        ("2026-12-7-EUR", 1, 0, D("25.01")),
    ]


def test_numbers_do_not_change_with_later_submissions_or_names():
    early = invoices([charge("1", (11, 2))])
    later = invoices([charge("2", (11, 9)), charge("1", (11, 2)), charge("3", (11, 3), "2")])
    assert early[0].number in {one.number for one in later}


def test_a_month_is_that_of_utc():
    zone = dt.timezone(dt.timedelta(hours=-3))
    late = dt.datetime(2026, 11, 30, 22, 0, tzinfo=zone)  # 1 December, 01:00 UTC
    one = Charge("1", "7", "Team", late, "done", False, D(10), "EUR")
    assert invoices([one])[0].month == "2026-12"


def test_a_month_without_a_charge_has_no_invoice():
    assert invoices([charge("1", (11, 2), state="refused")]) == ()


def test_money_has_the_smallest_unit_of_its_currency():
    assert money(D("0.125"), "BRL") == D("0.13")
    assert money(D("2.5"), "JPY") == D("3")
    with pytest.raises(ConfigError, match="code of a currency"):
        money(D(1), "euro")


def test_another_currency_has_its_own_invoice():
    found = invoices([charge("1", (11, 2)), charge("2", (11, 9), currency="BRL", price="140")])
    assert [(one.number, one.amount) for one in found] == [
        ("2026-11-7-BRL", D("140.00")), ("2026-11-7-EUR", D("25.01")),
    ]  # fmt: skip
