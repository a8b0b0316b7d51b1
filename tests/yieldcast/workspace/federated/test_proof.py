"""Who may take part."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from yieldcast.workspace.federated.proof import Credentials, check_name, nonce

SECRET = b"a secret of sixteen bytes and more"
SITE = Credentials("north", "a" * 64, "b" * 64)


def test_a_site_that_knows_the_secret_is_verified() -> None:
    number = nonce()
    assert Credentials.verified(SITE.answer(SECRET, number), SECRET, number) == SITE


def test_the_proof_is_an_hmac_of_all_that_is_said() -> None:
    text = f"yieldcast federation site\n07\nnorth\n{'a' * 64}\n{'b' * 64}"
    expected = hmac.new(SECRET, text.encode(), hashlib.sha256).hexdigest()
    assert SITE.answer(SECRET, "07")["proof"] == expected


@pytest.mark.parametrize("key", ["site", "model", "contract", "proof"])
def test_a_changed_answer_is_refused(key: str) -> None:
    answer = SITE.answer(SECRET, "07")
    with pytest.raises(ValueError, match="another secret"):
        Credentials.verified({**answer, key: "x" + answer[key][1:]}, SECRET, "07")
    del answer[key]
    with pytest.raises(ValueError, match="lacks"):
        Credentials.verified(answer, SECRET, "07")


def test_an_old_answer_and_another_secret_are_refused() -> None:
    for secret, number in ((SECRET, "08"), (b"another secret of a stranger", "07")):
        with pytest.raises(ValueError, match="another secret"):
            Credentials.verified(SITE.answer(SECRET, "07"), secret, number)


@pytest.mark.parametrize("name", ["", "-north", "no rth", "north\nb", "n" * 64, "../north"])
def test_names_with_other_signs_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name of a site"):
        check_name(name)
