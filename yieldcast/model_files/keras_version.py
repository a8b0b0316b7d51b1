"""Which Keras is installed, and whether it has the known fixes; Keras is not imported for this."""

from __future__ import annotations

import re
from importlib import metadata

# The release with the fix of CVE-2026-1462, the youngest of the published faults that the checker knows.
FIXED = (3, 13, 2)


def installed() -> str:
    """Version of the installed Keras."""
    return metadata.version("keras")


def has_known_fixes(version: str) -> bool:
    """Whether a version of Keras, such as 3.13.2, has the fixes of all published faults known here."""
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)(\w*)", version)
    if not numbers:
        return False
    found = tuple(int(one) for one in numbers.groups()[:3])
    return found > FIXED or (found == FIXED and not numbers[4])
