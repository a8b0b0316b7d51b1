"""One request: pauses between tries, and its outcome."""

from small_files import Files

from data_fetchers.engine.cache import RequestCache
from data_fetchers.engine.source import Retry, fetch_request


def test_pauses_double_up_to_the_longest():
    class State:
        outcome = None

        def __init__(self, number: int) -> None:
            self.attempt_number = number

    retry = Retry(first_s=5, longest_s=120)
    assert [retry.pause(State(n)) for n in range(1, 8)] == [5, 10, 20, 40, 80, 120, 120]


def test_the_outcome_of_a_request_counts_tries_and_seconds(plain_server, tmp_path, quick):
    plain_server.faults({"match": "/big/1", "kind": "html"})
    files = Files(plain_server.url)
    cache = RequestCache(tmp_path)
    cache.make()
    outcome = fetch_request(files, files.requests(1)[0], tmp_path, quick)
    assert (outcome.tries, outcome.error, outcome.revised) == (2, None, False)
    assert outcome.seconds > 0
