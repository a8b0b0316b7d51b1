"""What contributors owe: a price for each submission that reached the queue, by contributor and month.

The rule: a submission is charged if its archive was accepted into the queue, whatever its model then did
there (it failed, ran out of its time, memory or compute). It is not charged if the archive was refused, if
it never left the state "received", or if it failed for a reason on the owner's side.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from itertools import groupby

from babel.numbers import get_currency_precision

from yieldcast.errors import ConfigError

NOT_CHARGED = ("received", "refused")  # states of a submission before and outside of the queue


@dataclass(frozen=True)
class Charge:
    """A submission as the invoices see it.

    Args:
        submission: its identifier.
        contributor: its identifier, which stays when a name changes.
        name: under which the owner shows the contributor.
        queued_at: when it reached the queue, UTC.
        state: of the submission.
        owner_fault: whether it failed on the owner's side.
        price: of a submission at that time, 0 or more.
        currency: of the price, ISO 4217 code.
    """

    submission: str
    contributor: str
    name: str
    queued_at: dt.datetime
    state: str
    owner_fault: bool
    price: Decimal
    currency: str

    @property
    def is_charged(self) -> bool:
        """Whether the contributor owes it."""
        return self.state not in NOT_CHARGED and not self.owner_fault


@dataclass(frozen=True)
class Invoice:
    """What a contributor owes for a month.

    Args:
        number: the same however often invoices are made: month, contributor and currency, e.g.
            "2026-12-7-EUR".
        month: "YYYY-MM" in UTC.
        contributor, name: see `Charge`.
        submissions: that are charged.
        not_charged: that are not.
        amount: rounded to the smallest unit of the currency, halves up.
        currency: ISO 4217 code.
    """

    number: str
    month: str
    contributor: str
    name: str
    submissions: int
    not_charged: int
    amount: Decimal
    currency: str


def money(amount: Decimal, currency: str) -> Decimal:
    """An amount in the smallest unit of a currency, halves up: 0.01 of the euro, 1 of the yen.

    Raises:
        ConfigError: not an ISO 4217 code.
    """
    if len(currency) != 3 or not currency.isascii() or not currency.isupper():
        raise ConfigError(
            f"expected the code of a currency, received {currency!r}", "Three capitals, for example EUR."
        )
    return amount.quantize(Decimal(1).scaleb(-get_currency_precision(currency)), rounding=ROUND_HALF_UP)


def invoices(charges: Iterable[Charge]) -> tuple[Invoice, ...]:
    """The invoices of all months with submissions that are charged, by month and name.

    Where an owner changed the currency within a month, a contributor gets one invoice in each.

    Args:
        charges: of all submissions, in any order.

    Raises:
        ConfigError: not a currency.
    """
    found = [
        _invoice(month, list(ones)) for (month, *_), ones in groupby(sorted(charges, key=_key), key=_key)
    ]
    in_order = sorted(found, key=lambda one: (one.month, one.name, one.currency))
    return tuple(one for one in in_order if one.submissions)


def _key(charge: Charge) -> tuple[str, str, str]:
    return charge.queued_at.astimezone(dt.UTC).strftime("%Y-%m"), charge.contributor, charge.currency


def _invoice(month: str, charges: list[Charge]) -> Invoice:
    charged = [one for one in charges if one.is_charged]
    first = charges[0]
    amount = money(sum((one.price for one in charged), Decimal(0)), first.currency)
    return Invoice(
        f"{month}-{first.contributor}-{first.currency}", month, first.contributor, first.name,
        len(charged), len(charges) - len(charged), amount, first.currency,
    )  # fmt: skip
