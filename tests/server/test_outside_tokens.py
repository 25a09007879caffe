"""Tokens of an outside issuer, whose keys a loopback server publishes."""

from __future__ import annotations

import base64
import json
import threading
import time
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from haulier.core.accounts import Role
from haulier.errors import ExternalServiceError, NotSignedIn
from haulier.files.outside import OutsideTokens
from running_server import start, stop

ISSUER, AUDIENCE = "https://issuer.example/", "haulier-files"

RSA = rsa.generate_private_key(65537, 2048)
SHORT = rsa.generate_private_key(65537, 1024)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
KINDS = {"RS256": (RSA, RSAAlgorithm), "ES256": (EC, ECAlgorithm), "EdDSA": (ED, OKPAlgorithm)}


def published(algorithm, key=None, kid=None, **more):
    given, kind = KINDS[algorithm]
    made = kind.to_jwk((key or given).public_key(), as_dict=True)
    return {**made, "kid": kid or algorithm, **more}


def signed(algorithm, key=None, kid=None, **claims):
    body = {"iss": ISSUER, "aud": AUDIENCE, "sub": "carol", "exp": int(time.time()) + 60, **claims}
    body = {name: value for name, value in body.items() if value is not None}
    key = KINDS[algorithm][0] if key is None else key
    with warnings.catch_warnings(action="ignore"):  # one key is too short on purpose
        return jwt.encode(body, key, algorithm=algorithm, headers={"kid": kid or algorithm})


class Issuer:
    """What the key set is, how often it was asked for, and whether it is away."""

    def __init__(self, *keys):
        self.keys = list(keys)
        self.asked = 0
        self.away = False
        self.now = 1000.0

    async def fetch(self):
        self.asked += 1
        if self.away:
            raise ExternalServiceError("away")
        return json.dumps({"keys": self.keys}).encode()

    def tokens(self):
        return OutsideTokens(
            issuer=ISSUER, audience=AUDIENCE, fetch=self.fetch, clock=lambda: self.now
        )


@pytest.mark.parametrize("algorithm", KINDS)
async def test_each_kind_of_key_is_read(algorithm):
    tokens = Issuer(*(published(one) for one in KINDS)).tokens()
    token = signed(algorithm, role="viewer")
    assert tokens.is_addressed(token)
    claims = await tokens.read(token)
    assert (claims.subject, claims.role) == ("carol", Role.VIEWER)


def forged_with(public_pem):
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    import hashlib
    import hmac

    body = {"iss": ISSUER, "aud": AUDIENCE, "sub": "carol", "exp": int(time.time()) + 60}
    text = f"{part({'alg': 'HS256', 'kid': 'RS256'})}.{part(body)}"
    mac = hmac.new(public_pem, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def public_pem():
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(signed("RS256", exp=None), id="no expiry"),
        pytest.param(signed("RS256", exp=int(time.time()) - 15), id="expired beyond the leeway"),
        pytest.param(signed("RS256", nbf=int(time.time()) + 600), id="not yet"),
        pytest.param(signed("RS256", aud="others"), id="for others"),
        pytest.param(signed("RS256", aud=None), id="for nobody"),
        pytest.param(signed("RS256", iss="https://evil.example/"), id="another issuer"),
        pytest.param(signed("RS256", sub=None), id="nobody"),
        pytest.param(signed("RS256", sub=""), id="an empty subject"),
        pytest.param(signed("RS256", sub="a" * 300), id="a long subject"),
        pytest.param(signed("RS256", sub="a\nb"), id="control characters"),
        pytest.param(signed("RS256", key=rsa.generate_private_key(65537, 2048)), id="another key"),
        pytest.param(signed("RS256", kid="nobody"), id="an unknown key"),
        pytest.param(signed("RS256", key=SHORT, kid="short"), id="a short key"),
        pytest.param(signed("RS256", kid="ES256"), id="the kind of another key"),
        pytest.param(forged_with(public_pem()), id="a public key as the secret"),
        pytest.param(
            jwt.encode({"iss": ISSUER, "aud": AUDIENCE, "sub": "carol",
                        "exp": int(time.time()) + 60}, None, algorithm="none"),
            id="unsigned",
        ),
        pytest.param(signed("RS256")[:-8] + "AAAAAAAA", id="altered"),
        pytest.param("a.b.c", id="nonsense"),
    ],
)  # fmt: skip
async def test_what_is_not_sound_is_refused(token):
    keys = [*(published(one) for one in KINDS), published("RS256", SHORT, "short")]
    with pytest.raises(NotSignedIn):
        await Issuer(*keys).tokens().read(token)


async def test_the_leeway_is_at_most_ten_seconds():
    tokens = Issuer(published("RS256")).tokens()
    assert (await tokens.read(signed("RS256", exp=int(time.time()) - 5))).subject == "carol"


async def test_keys_are_kept_and_renewed_when_they_rotate():
    issuer = Issuer(published("RS256"))
    tokens = issuer.tokens()
    for _ in range(5):
        await tokens.read(signed("RS256"))
    assert issuer.asked == 1
    issuer.keys = [published("ES256")]
    with pytest.raises(NotSignedIn):
        await tokens.read(signed("ES256"))
    assert issuer.asked == 1, "unknown keys don't make us ask at once again"
    issuer.now += 31
    await tokens.read(signed("ES256"))
    assert issuer.asked == 2
    with pytest.raises(NotSignedIn):
        await tokens.read(signed("RS256"))


async def test_an_issuer_that_is_away_locks_nobody_out():
    issuer = Issuer(published("RS256"))
    tokens = issuer.tokens()
    await tokens.read(signed("RS256"))
    issuer.away = True
    issuer.now += 3600
    await tokens.read(signed("RS256"))
    fresh = issuer.tokens()
    with pytest.raises(ExternalServiceError):
        await fresh.read(signed("RS256"))


@pytest.mark.parametrize(
    "document", [b"", b"{", b"[]", b"{}", b'{"keys": 1}', b'{"keys": [1]}', b"[" * 100_000]
)
async def test_a_key_set_that_is_none_is_told(document):
    async def fetch():
        return document

    tokens = OutsideTokens(issuer=ISSUER, audience=AUDIENCE, fetch=fetch)
    with pytest.raises(ExternalServiceError):
        await tokens.read(signed("RS256"))


async def test_a_shared_secret_is_for_hs256_alone():
    tokens = OutsideTokens(issuer=ISSUER, audience=AUDIENCE, secret="s" * 32)
    assert (await tokens.read(hs256("s" * 32))).subject == "carol"
    for token in (hs256("t" * 32), signed("RS256")):
        with pytest.raises(NotSignedIn):
            await tokens.read(token)


def hs256(secret):
    body = {"iss": ISSUER, "aud": AUDIENCE, "sub": "carol", "exp": int(time.time()) + 60}
    return jwt.encode(body, secret, algorithm="HS256")


# --- the server


@pytest.fixture
def key_server():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"keys": [published(one) for one in KINDS]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as published_at:
        thread = threading.Thread(target=published_at.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{published_at.server_port}/keys"
        published_at.shutdown()
        thread.join()


@pytest.mark.processes
def test_the_server_takes_an_outside_issuers_tokens(tmp_path, key_server):
    running = start(tmp_path, JWT_JWKS_URL=key_server, JWT_ISSUER=ISSUER, JWT_AUDIENCE=AUDIENCE)
    try:
        with httpx2.Client(base_url=running.url) as http:

            def me(token):
                return http.get("/auth/me", headers={"Authorization": f"Bearer {token}"})

            first = me(signed("ES256")).json()
            assert (first["name"], first["role"]) == ("outside:carol", "user")
            assert me(signed("EdDSA", role="admin")).json() == {**first, "role": "admin"}
            assert me(signed("EdDSA")).json()["role"] == "admin", "silence changes nothing"
            assert me(signed("RS256", aud="others")).status_code == 401
            put = http.put(
                "/api/content/a.txt",
                content=b"abc",
                headers={"Authorization": f"Bearer {signed('RS256')}"},
            )
            assert (put.status_code, put.json()["owner"]) == (201, first["id"])
    finally:
        stop(running)


@pytest.mark.processes
def test_an_issuer_that_was_never_there_is_a_fault_of_its_own(tmp_path):
    running = start(
        tmp_path, JWT_JWKS_URL="http://127.0.0.1:9/", JWT_ISSUER=ISSUER, JWT_AUDIENCE=AUDIENCE
    )
    try:
        answer = httpx2.get(
            f"{running.url}/auth/me", headers={"Authorization": f"Bearer {signed('RS256')}"}
        )
    finally:
        stop(running)
    assert (answer.status_code, answer.json()["code"]) == (502, "external-service")
