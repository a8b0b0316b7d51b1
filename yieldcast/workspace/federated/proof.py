"""Who may take part: a site shows that it knows the secret, has the same model, and data of the same form."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def check_name(name: str) -> str:
    """The name of a site: letters, digits, ``._-``, at most 63 signs; raises ValueError otherwise."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"name of a site: expected 1 to 63 letters, digits or ._- and no sign first, received {name!r}"
        )
    return name


def nonce() -> str:
    """A number used once: an answer that somebody has overheard is of no use."""
    return secrets.token_hex(16)


@dataclass(frozen=True)
class Credentials:
    """What a site says about itself, in answer to a nonce.

    Args:
        site: its name.
        model: SHA-256 of the model file.
        contract: SHA-256 of the form of the data, see `SiteData.contract`.
    """

    site: str
    model: str
    contract: str

    def answer(self, secret: bytes, nonce: str) -> dict[str, str]:
        """The properties to send."""
        return {
            "site": self.site,
            "model": self.model,
            "contract": self.contract,
            "proof": self._proof(secret, nonce),
        }

    def _proof(self, secret: bytes, nonce: str) -> str:
        # HMAC-SHA256, RFC 2104; fields are separated by a sign that none of them can hold.
        text = "\n".join(("yieldcast federation site", nonce, self.site, self.model, self.contract))
        return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()

    @classmethod
    def verified(cls, answer: Mapping[str, Any], secret: bytes, nonce: str) -> Credentials:
        """What a site has said, if it knows the secret.

        Raises:
            ValueError: it does not, or the answer is malformed; the message may be sent to the site.
        """
        try:
            found = cls(check_name(str(answer["site"])), str(answer["model"]), str(answer["contract"]))
            proof = str(answer["proof"])
        except KeyError as error:
            raise ValueError(f"the answer lacks {error}: another version of yieldcast?") from None
        if not hmac.compare_digest(found._proof(secret, nonce).encode(), proof.encode()):
            raise ValueError("another secret than the server's")
        return found
