"""Federated averaging: Flower's FedAvg, with checks of what sites send, and a state that is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from yieldcast.errors import SchemaError
from yieldcast.workspace.federated.flower import flower
from yieldcast.workspace.federated.learner import check_weights
from yieldcast.workspace.federated.roster import Event, Roster
from yieldcast.workspace.federated.settings import LEAST_EXAMPLES

if TYPE_CHECKING:
    from yieldcast.workspace.federated.progress import Progress


class Averaging:
    """A strategy of Flower: every site in every round, weighted by its number of examples.

    Args:
        progress: state that every finished round is added to.
        roster: the sites.
        on_event: called after every round.
    """

    def __init__(self, progress: Progress, roster: Roster, on_event: Callable[[Event], None]) -> None:
        common, sites = flower("flwr.common"), progress.settings.sites
        self._progress, self._roster, self._on_event = progress, roster, on_event
        self._first, self._like = progress.done, progress.weights
        self._arrays = common.parameters_to_ndarrays
        self._fedavg = flower("flwr.server.strategy").FedAvg(
            min_fit_clients=sites,
            min_evaluate_clients=sites,
            min_available_clients=sites,
            accept_failures=False,
            initial_parameters=common.ndarrays_to_parameters(progress.weights),
            on_fit_config_fn=self._config,
            on_evaluate_config_fn=self._config,
            fit_metrics_aggregation_fn=lambda _: {},
            evaluate_metrics_aggregation_fn=_mean_score,
        )
        self.initialize_parameters = self._fedavg.initialize_parameters
        self.configure_fit = self._fedavg.configure_fit
        self.configure_evaluate = self._fedavg.configure_evaluate

    def _config(self, number: int) -> dict[str, Any]:
        """What every site is told: the settings, and the round of the whole federation."""
        return {**self._progress.settings.model_dump(), "round": self._first + number}

    def _in_order(self, results: list[Any]) -> list[Any]:
        """By name of the site: answers arrive in any order, and sums of floats depend on it."""
        return sorted(results, key=lambda pair: self._roster.name(pair[0]))

    def aggregate_fit(self, server_round: int, results: list[Any], failures: list[Any]) -> Any:
        """The mean of the sites' weights.

        Raises:
            SchemaError: a site sent weights of other shapes, not finite, or of too few examples.
        """
        for client, answer in results:
            name = self._roster.name(client)
            if answer.num_examples < LEAST_EXAMPLES:
                raise SchemaError(
                    f"{name} trained on {answer.num_examples} examples, a site needs {LEAST_EXAMPLES}",
                    "Ask its owner; then start the same command again.",
                )
            try:
                weights = self._arrays(answer.parameters)
            except ValueError as error:  # no arrays of NumPy
                raise SchemaError(f"weights from {name} cannot be read: {error}", "Ask its owner.") from None
            check_weights(weights, self._like, f"from {name}")
        return self._fedavg.aggregate_fit(server_round, self._in_order(results), failures)

    def evaluate(self, server_round: int, parameters: Any) -> None:
        """The server has no data: it only remembers the weights that the sites score next."""
        self._progress.weights = self._arrays(parameters)

    def aggregate_evaluate(self, server_round: int, results: list[Any], failures: list[Any]) -> Any:
        """The mean of the sites' scores; ends the round."""
        loss, metrics = self._fedavg.aggregate_evaluate(server_round, self._in_order(results), failures)
        if metrics:
            number = self._first + server_round
            self._progress.add(number, metrics["score"])
            self._on_event(Event("round", round=number, score=metrics["score"]))
        return loss, metrics


def _mean_score(results: list[tuple[int, dict[str, Any]]]) -> dict[str, float]:
    """Mean over the examples of all holdouts; not Flower's own mean of losses, which travel as float32."""
    count = sum(n for n, _ in results)
    return {"score": sum(n * float(metrics["score"]) for n, metrics in results) / count}
