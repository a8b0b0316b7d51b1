"""What a fetch did, and how it ends for a scheduler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from data_fetchers.base import Note
from data_fetchers.loop import SourceSummary
from yieldcast.errors import CredentialsError, FetchError, YieldcastError


@dataclass
class Report:
    """What a fetch did.

    Args:
        summaries: per target, what became of its parts.
        notes: what a reader of the tables should know.
        written: targets whose table was written.
        unwritten: targets whose table was left as it was, because parts are missing.
        errors: targets that could not be planned or made, with the reason.
    """

    summaries: list[SourceSummary] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    unwritten: list[str] = field(default_factory=list)
    errors: list[tuple[str, YieldcastError]] = field(default_factory=list)

    @property
    def missing(self) -> list[tuple[str, YieldcastError]]:
        """Parts that did not arrive, with the reason."""
        return [entry for summary in self.summaries for entry in summary.missing]

    def note(self, notes: Sequence[Note]) -> None:
        """Add notes, each once."""
        self.notes = list(dict.fromkeys([*self.notes, *notes]))

    def raise_for_missing(self) -> None:
        """An error when anything that was asked for is not there.

        Raises:
            YieldcastError: a target could not be made; its own error.
            CredentialsError: a key or licence is the reason.
            FetchError: parts or values are missing, exit code 4.
        """
        absent = [note for note in self.notes if note.missing]
        first_of_all = [e for _, e in self.missing if isinstance(e, CredentialsError)]
        for error in [*(e for _, e in self.errors if e.exit_code != 3), *first_of_all]:
            raise error
        if not self.missing and not absent:
            for _, error in self.errors:
                raise error
            return
        first = str(self.missing[0][1]) if self.missing else f"{absent[0].table}: {absent[0].text}"
        hint = self.missing[0][1].hint if self.missing else ""
        raise FetchError(
            f"{len(self.missing)} parts did not arrive, {len(absent)} notes name gaps; first: {first}",
            f"{hint} The same command goes on later: what has arrived is not asked for again.".strip(),
        )
