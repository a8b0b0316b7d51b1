"""What a model costs its user in a year: the licence, and what its errors cost; exact decimals throughout.

error rate = 1 - accuracy; misclassified area = monitored area x error rate; its cost = that area x cost of a
misclassified km2; licence = price per km2 and year x monitored area; total = both. The user's own method
stands beside it, with its accuracy and its yearly cost. Money is computed in `Decimal`, so that a table can
be checked by hand to the last cent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from yieldcast.errors import SchemaError

ONE = Decimal(1)


@dataclass(frozen=True)
class CostModel:
    """The area that a user monitors, and what an error costs there.

    Args:
        monitored_km2: area, km2, above 0.
        misclassification_cost_per_km2: of a km2 whose class is wrong, per year, 0 or more.
        internal_accuracy: share of right classes, 0 to 1, of the method that the user has.
        internal_cost: of that method per year, 0 or more.
    """

    monitored_km2: Decimal
    misclassification_cost_per_km2: Decimal
    internal_accuracy: Decimal
    internal_cost: Decimal

    def __post_init__(self) -> None:
        _check_amount("monitored_km2", self.monitored_km2)
        if not self.monitored_km2:
            raise SchemaError("monitored_km2: expected an area above 0 km2, received 0")
        _check_amount("misclassification_cost_per_km2", self.misclassification_cost_per_km2)
        _check_amount("internal_cost", self.internal_cost)
        _check_share("internal_accuracy", self.internal_accuracy)


@dataclass(frozen=True)
class AnnualCost:
    """The yearly cost of one approach, in the currency of the cost model.

    Args:
        accuracy, error_rate: 0 to 1; they add up to 1.
        misclassified_km2: area whose class is wrong.
        misclassification_cost: of that area.
        licence_cost: price of the model times the monitored area; of the internal method its own cost.
        total: the two costs together.
    """

    accuracy: Decimal
    error_rate: Decimal
    misclassified_km2: Decimal
    misclassification_cost: Decimal
    licence_cost: Decimal
    total: Decimal


def annual_cost(model: CostModel, accuracy: Decimal, price_per_km2: Decimal) -> AnnualCost:
    """The yearly cost of a model.

    Args:
        model: area and cost of errors.
        accuracy: share of right classes, 0 to 1.
        price_per_km2: licence per km2 and year, 0 or more.

    Raises:
        SchemaError: an accuracy or a price outside of its range, or not finite.
    """
    _check_amount("price_per_km2", price_per_km2)
    return _cost(model, accuracy, price_per_km2 * model.monitored_km2)


def internal_cost(model: CostModel) -> AnnualCost:
    """The yearly cost of the method that the user has."""
    return _cost(model, model.internal_accuracy, model.internal_cost)


def _cost(model: CostModel, accuracy: Decimal, licence: Decimal) -> AnnualCost:
    _check_share("accuracy", accuracy)
    error = ONE - accuracy
    area = model.monitored_km2 * error
    errors = area * model.misclassification_cost_per_km2
    return AnnualCost(accuracy, error, area, errors, licence, errors + licence)


@dataclass(frozen=True)
class CostRow:
    """An approach beside the internal one.

    Args:
        cost: at the accuracy itself.
        low, high: total cost at the upper and at the lower end of the accuracy's interval.
        difference: total minus that of the internal method; below 0 where the model saves money.
        difference_low, difference_high: the same for `low` and `high`.
    """

    cost: AnnualCost
    low: Decimal
    high: Decimal
    difference: Decimal
    difference_low: Decimal
    difference_high: Decimal


def cost_row(
    model: CostModel, accuracy: Decimal, interval: tuple[Decimal, Decimal], price_per_km2: Decimal
) -> CostRow:
    """The yearly cost of a model with its range, and the difference to the internal method.

    The range holds the error of the accuracy on the holdout only, not that of the other inputs.

    Args:
        model, accuracy, price_per_km2: see `annual_cost`.
        interval: lower and upper end of the accuracy's interval, 0 to 1.

    Raises:
        SchemaError: see `annual_cost`; also an interval that does not hold the accuracy.
    """
    if not interval[0] <= accuracy <= interval[1]:
        raise SchemaError(
            f"expected an interval that holds the accuracy {accuracy}, received {interval[0]} to "
            f"{interval[1]}"
        )
    cost, internal = annual_cost(model, accuracy, price_per_km2), internal_cost(model).total
    low, high = (annual_cost(model, end, price_per_km2).total for end in reversed(interval))
    return CostRow(cost, low, high, cost.total - internal, low - internal, high - internal)


@dataclass(frozen=True)
class PriceChoice:
    """What choosing by the licence price alone costs, against choosing by the total.

    Args:
        cheapest: name of the approach with the lowest licence.
        best: name of the one with the lowest total.
        licence_saving: what the cheapest licence saves per year.
        more_misclassified_km2: area that it misclassifies more; below 0 where it is less.
        more_misclassification_cost: cost of that area.
        extra_cost: total of the cheapest minus total of the best, 0 or more.
    """

    cheapest: str
    best: str
    licence_saving: Decimal
    more_misclassified_km2: Decimal
    more_misclassification_cost: Decimal
    extra_cost: Decimal


def choice_by_price(costs: Mapping[str, AnnualCost]) -> PriceChoice | None:
    """What choosing by the licence price alone costs; None without approaches.

    Of equal licences the one with the lower total is taken, of equal totals the first one.

    Args:
        costs: yearly cost of each approach that has a licence, by name.
    """
    if not costs:
        return None
    best = min(costs, key=lambda name: costs[name].total)
    cheapest = min(costs, key=lambda name: (costs[name].licence_cost, costs[name].total))
    one, other = costs[cheapest], costs[best]
    return PriceChoice(
        cheapest,
        best,
        other.licence_cost - one.licence_cost,
        one.misclassified_km2 - other.misclassified_km2,
        one.misclassification_cost - other.misclassification_cost,
        one.total - other.total,
    )


def _check_amount(name: str, value: Decimal) -> None:
    if not value.is_finite() or value < 0:
        raise SchemaError(f"{name}: expected a number of 0 or more, received {value}")


def _check_share(name: str, value: Decimal) -> None:
    if not value.is_finite() or not 0 <= value <= 1:
        raise SchemaError(f"{name}: expected a share from 0 to 1, received {value}")
