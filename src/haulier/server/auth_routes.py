"""Signing in: `POST /auth/token` for a password, `GET /auth/me`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from haulier.server.identity import CurrentUser, TheServices

_ACCESS = timedelta(hours=1)

router = APIRouter(prefix="/auth", tags=["accounts"])


class SignIn(BaseModel):
    """A name and its password."""

    username: str = Field(min_length=1, max_length=64)
    password: str = Field(min_length=1, max_length=1024)


@router.post("/token")
async def sign_in(given: SignIn, services: TheServices) -> dict[str, Any]:
    """Exchange a name and a password for a token."""
    user = await services.accounts.sign_in(given.username, given.password)
    return {
        "access_token": services.tokens.issue(user, _ACCESS),
        "token_type": "bearer",
        "expires_in": int(_ACCESS.total_seconds()),
    }


@router.get("/me")
async def me(user: CurrentUser) -> dict[str, Any]:
    """Say who is asking."""
    return {
        "id": user.user_id,
        "name": user.name,
        "role": user.role,
        "quota": user.quota_bytes,
        "used": user.used_bytes,
        "reserved": user.reserved_bytes,
    }
