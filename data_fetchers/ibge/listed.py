"""The municipalities that a table of SIDRA covers, by its own list of localities.

PAM lists about 5,563 of Brazil's 5,571 municipalities, so its list decides when an answer is complete.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from data_fetchers.engine.cache import Request
from data_fetchers.engine.source import RetryableError
from data_fetchers.ibge.malhas import PARENTS
from yieldcast.errors import FetchError

ABSENT = 0.02  # largest share of a state's listed municipalities that an answer may lack (our choice)
_FEW = 2  # municipalities of a state that the list itself may lack, however small the state is (our choice)


def localities_request(source: str, table: int) -> Request:
    """Request for the municipalities (level N6) of a table."""
    path = f"/api/v3/agregados/{table}/localidades/N6"
    return Request(source, f"localities-{table}", {"kind": "localities", "path": path})


def parse_localities(answer: Any, request: Request) -> list[int]:
    """Codes of the municipalities in a table's list, sorted; RetryableError for any other answer."""
    try:
        codes = [int(one["id"]) for one in answer]
        sound = bool(codes) and all(1_000_000 <= code <= 9_999_999 for code in codes)
    except (KeyError, TypeError, ValueError):
        sound = False
    if not sound or len(set(codes)) != len(codes):
        raise RetryableError(
            f"{request.name}: expected municipalities with a 7-digit id, each once, "
            f"received {str(answer)[:80]}"
        )
    return sorted(codes)


def refuse_short_list(codes: Collection[int], counts: Mapping[int, int], name: str) -> None:
    """Check a table's list against Localidades.

    Args:
        codes: municipalities in the list.
        counts: number of municipalities per state code by Localidades.
        name: of the request, for the message.

    Raises:
        FetchError: the list lacks a whole state, or more than 2 % of one and more than two municipalities.
    """
    listed = Counter(code // 100_000 for code in codes)
    short = {
        uf: count - listed[uf]
        for uf, count in counts.items()
        if not listed[uf] or count - listed[uf] > max(_FEW, ABSENT * count)
    }
    if short:
        uf = max(short, key=lambda one: short[one])
        raise FetchError(
            f"{name}: expected about {counts[uf]} municipalities of state {uf}, received {listed[uf]}; "
            f"{len(short)} states are incomplete",
            "The incomplete list was discarded: run the same command again.",
        )


def expected_counts(codes: Iterable[int], year: int) -> dict[int, int]:
    """Number of listed municipalities per state code that existed in a harvest year."""
    existed = (code for code in codes if code not in PARENTS or PARENTS[code].year <= year)
    return dict(sorted(Counter(code // 100_000 for code in existed).items()))


def absent_by_state(codes: Iterable[int], territories: Mapping[str, int]) -> dict[str, int]:
    """Number of listed municipalities that an answer lacks, by state.

    Args:
        codes: municipalities in the answer.
        territories: number of listed municipalities by state.

    Raises:
        RetryableError: a state that was not requested, no municipality of a requested one, or more than 2 %
            of a state missing.
    """
    received = Counter(code // 100_000 for code in codes)
    if strange := sorted(set(received) - set(map(int, territories))):
        raise RetryableError(f"SIDRA: expected states {list(territories)}, also received {strange}")
    absent = {uf: count - received[int(uf)] for uf, count in territories.items()}
    refused = {
        uf: n for uf, n in absent.items() if n > ABSENT * territories[uf] or (n and not received[int(uf)])
    }
    if refused:
        worst = max(refused, key=lambda uf: (not received[int(uf)], refused[uf]))
        raise RetryableError(
            f"SIDRA: expected {territories[worst]} municipalities of state {worst}, received "
            f"{received[int(worst)]}; {sum(refused.values())} absent in {len(refused)} states"
        )
    return {uf: n for uf, n in absent.items() if n > 0}
