"""What the owners of a federation agree on before the first round."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from yieldcast.errors import ConfigError, MissingDataError

# Below this number the change of the weights after a round says much about single examples: images were
# rebuilt from gradients of batches of up to 8, and of 48 with more effort (Zhu et al. 2019, "Deep leakage
# from gradients", Section 4.3; Geiping et al. 2020, "Inverting gradients", Section 6).
LEAST_EXAMPLES = 100


class FederationSettings(BaseModel):
    """Rounds of federated averaging (McMahan et al. 2017, Algorithm 1, with all sites in every round)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sites: Annotated[int, Field(ge=2, le=100)] = 3
    rounds: Annotated[int, Field(ge=1, le=1000)] = 10
    local_epochs: Annotated[int, Field(ge=1, le=100)] = 1  # E of Algorithm 1
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 32  # B of Algorithm 1
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-3  # of Adam, in the first pass
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    # Seconds that the server waits for all sites, and for the answers of one round.
    wait_s: Annotated[float, Field(gt=0)] = 3600.0

    @property
    def passes(self) -> int:
        """Passes over the data of a site in all rounds."""
        return self.rounds * self.local_epochs

    def rate(self, done: int) -> float:
        """Learning rate after `done` passes: it falls along half a cosine (Loshchilov and Hutter 2017,
        "SGDR", Equation 5, one cycle)."""
        return self.learning_rate * (1 + math.cos(math.pi * done / self.passes)) / 2


def read_secret(path: Path) -> bytes:
    """The secret that all sites and the server share: a file's contents, without blanks at its ends.

    Raises:
        MissingDataError: no such file.
        ConfigError: shorter than 16 bytes.
    """
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise MissingDataError(
            f"the secret of the federation: {path} cannot be read ({error.strerror})",
            "Make one file and give a copy to every owner: openssl rand -hex 32 > FILE",
        ) from error
    if len(secret) < 16:
        raise ConfigError(
            f"the secret of the federation needs at least 16 bytes, {path} has {len(secret)}",
            "Make one: openssl rand -hex 32 > FILE",
        )
    return secret
