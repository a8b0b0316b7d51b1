"""The routes of everybody and of contributors."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from yieldcast.workspace.database.models import Account
from yieldcast.workspace.server import who

router = APIRouter()
SignedIn = Annotated[Account, Depends(who.signed_in)]


class AccountBody(BaseModel):
    """Whom a token belongs to."""

    name: str = Field(description="As the owner gave it.")
    role: Literal["owner", "contributor"]


@router.get("/account")
def account(asking: SignedIn) -> AccountBody:
    """Whom your token belongs to."""
    return AccountBody.model_validate(asking, from_attributes=True)
