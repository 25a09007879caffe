"""Accounts, tokens and the secret that signs them."""

from __future__ import annotations

import asyncio
import base64
import json
import stat
from datetime import UTC, datetime, timedelta

import jwt
import pytest

from catalogs import new_sqlite
from haulier import errors
from haulier.catalog.catalog import Catalog
from haulier.core.accounts import Role
from haulier.files.accounts import REMEMBERED_S, Accounts
from haulier.files.secret import kept_secret
from haulier.files.tokens import TokenKind, Tokens

PASSWORD = "correct horse battery"
SECRET = "s" * 32
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
async def catalog(tmp_path):
    async with await Catalog.open(new_sqlite(tmp_path / "catalog.db")) as catalog:
        yield catalog


@pytest.fixture
def accounts(catalog):
    return Accounts(catalog)


async def test_a_password_opens_its_account_only(accounts):
    ann = await accounts.add("ann", Role.USER, password=PASSWORD)
    await accounts.add("bob", Role.VIEWER, password="another password")
    assert (await accounts.sign_in("ann", PASSWORD)).user_id == ann.user_id
    assert PASSWORD not in str((await accounts.get("ann")).password_hash)
    for name, password in (
        ("ann", "another password"),
        ("ann", ""),
        ("ann", "x" * 5000),
        ("bob", PASSWORD),
        ("eve", PASSWORD),
    ):
        with pytest.raises(errors.NotSignedIn, match="name or the password"):
            await accounts.sign_in(name, password)


async def test_an_account_without_password_or_disabled_is_closed(accounts):
    robot = await accounts.add("robot", Role.USER)
    ann = await accounts.add("ann", Role.USER, password=PASSWORD)
    await accounts.disable(ann)
    for name in (robot.name, ann.name):
        with pytest.raises(errors.NotSignedIn):
            await accounts.sign_in(name, PASSWORD)


@pytest.mark.parametrize("name", ["", "a b", "-a", "a/b", "a" * 65, "a\n", "_x"])
async def test_names_that_can_not_be_are_refused(accounts, name):
    with pytest.raises(errors.ValidationError):
        await accounts.add(name, Role.USER)


async def test_a_short_password_is_refused(accounts):
    with pytest.raises(errors.ValidationError, match="10 to"):
        await accounts.add("ann", Role.USER, password="short")


async def test_of_two_of_one_name_one_is_made(accounts):
    results = await asyncio.gather(
        *(accounts.add("ann", Role.USER) for _ in range(4)), return_exceptions=True
    )
    assert sum(isinstance(one, errors.UserExists) for one in results) == 3
    assert await accounts.count() == 1


async def test_a_changed_password_voids_tokens(accounts):
    ann = await accounts.add("ann", Role.USER, password=PASSWORD)
    changed = await accounts.set_password(ann, "a new long password")
    assert changed.token_version == ann.token_version + 1
    await accounts.sign_in("ann", "a new long password")
    with pytest.raises(errors.NotSignedIn):
        await accounts.sign_in("ann", PASSWORD)


class Clock:
    def __init__(self):
        self.moment = NOW

    def __call__(self):
        return self.moment


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def tokens(clock):
    return Tokens(SECRET, now=clock)


async def test_a_token_is_good_after_the_clock_was_set_back(accounts, clock):
    user = await accounts.add("ann", Role.USER)
    token = Tokens(SECRET, now=clock).issue(user, timedelta(hours=1))
    clock.moment = NOW - timedelta(days=2)
    # Another process: it has not seen the token before.
    assert Tokens(SECRET, now=clock).read(token, TokenKind.ACCESS).user_id == user.user_id


async def test_a_token_says_who_and_until_when(accounts, tokens, clock):
    ann = await accounts.add("ann", Role.USER)
    token = tokens.issue(
        ann, timedelta(hours=1), kind=TokenKind.SERVICE, scopes=frozenset({"files:read"})
    )
    claims = tokens.read(token, TokenKind.SERVICE)
    assert (claims.user_id, claims.version) == (ann.user_id, 1)
    assert claims.scopes == {"files:read"}
    with pytest.raises(errors.NotSignedIn, match="kind"):
        tokens.read(token, TokenKind.ACCESS)
    clock.moment = NOW + timedelta(hours=1, seconds=9)
    tokens.read(token, TokenKind.SERVICE)
    clock.moment = NOW + timedelta(hours=1, seconds=10)
    with pytest.raises(errors.NotSignedIn, match="expired"):
        tokens.read(token, TokenKind.SERVICE)


async def test_forged_tokens_are_refused(accounts, tokens):
    ann = await accounts.add("ann", Role.USER)
    good = tokens.issue(ann, timedelta(hours=1))
    head, body, signature = good.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))

    def part(data):
        return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()

    without_exp = {key: value for key, value in claims.items() if key != "exp"}
    forged = [
        "",
        "x",
        f"{head}.{body}.",
        f"{part({'alg': 'none', 'typ': 'JWT'})}.{body}.",
        f"{head}.{part({**claims, 'sub': 'admin'})}.{signature}",
        jwt.encode(claims, "t" * 32, algorithm="HS256"),
        jwt.encode(claims, SECRET * 2, algorithm="HS512"),
        jwt.encode(without_exp, SECRET, algorithm="HS256"),
        jwt.encode({**claims, "aud": "other"}, SECRET, algorithm="HS256"),
        jwt.encode({**claims, "typ": "root"}, SECRET, algorithm="HS256"),
        jwt.encode({**claims, "exp": 10**30}, SECRET, algorithm="HS256"),
    ]
    for token in forged:
        with pytest.raises(errors.NotSignedIn):
            tokens.read(token, *TokenKind)
    tokens.read(good, TokenKind.ACCESS)


def test_a_short_secret_is_refused():
    with pytest.raises(errors.ConfigurationError, match="32"):
        Tokens("s" * 31)


def test_the_secret_is_made_once_and_private(tmp_path):
    path = tmp_path / "data" / "jwt-secret"
    first = kept_secret(path)
    assert len(first) == 64
    assert kept_secret(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["jwt-secret"]


def test_a_secret_that_can_not_be_kept_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.ConfigurationError, match="can't be kept"):
        kept_secret(tmp_path / "file" / "jwt-secret")


async def test_a_change_elsewhere_is_noticed_within_a_second(catalog):
    now = [0.0]
    here, elsewhere = Accounts(catalog, clock=lambda: now[0]), Accounts(catalog)
    user = await here.add("ann", Role.USER)
    assert await here.signed_in(user.user_id) == user
    await elsewhere.disable(user)
    now[0] = REMEMBERED_S - 0.01
    assert await here.signed_in(user.user_id) == user
    now[0] = REMEMBERED_S
    assert (await here.signed_in(user.user_id)).disabled


async def test_a_change_here_is_noticed_at_once(catalog):
    here = Accounts(catalog, clock=lambda: 0.0)
    user = await here.add("ann", Role.USER)
    await here.signed_in(user.user_id)
    await here.sign_out_everywhere(user)
    assert (await here.signed_in(user.user_id)).token_version == user.token_version + 1
