"""What the settings ask for: who is believed, and which files are served."""

from __future__ import annotations

import re
from pathlib import Path

from haulier.archive.seal import load_key
from haulier.errors import ConfigurationError
from haulier.files.outside import OutsideTokens
from haulier.files.scanning import ScanPolicy
from haulier.files.secret import kept_secret
from haulier.files.tokens import SHORTEST_SECRET, Tokens
from haulier.media.clamd import Clamd
from haulier.media.scan import Scanner
from haulier.server.issuer import fetch_keys
from haulier.settings import Settings
from haulier.settings_values import listed
from haulier.transfer.sessions.frames import KeyRing

_FEWEST_CHARACTERS = 10


def tokens_of(settings: Settings) -> Tokens:
    """Return what signs and reads tokens.

    Raises:
        ConfigurationError: in production without JWT_SECRET_KEY, or with a short one anywhere.
    """
    given = settings.server.jwt_secret_key
    in_production = settings.general.environment == "production"
    if given is not None:
        secret = given.get_secret_value()
        if in_production and len(set(secret)) < _FEWEST_CHARACTERS:
            raise ConfigurationError(
                "the secret that signs tokens can be guessed",
                hint="Set JWT_SECRET_KEY to the output of `openssl rand -hex 32`.",
            )
        return Tokens(secret)
    if in_production:
        raise ConfigurationError(
            "in production the secret that signs tokens must be given",
            hint=f"Set JWT_SECRET_KEY to at least {SHORTEST_SECRET} random characters.",
        )
    return Tokens(kept_secret(settings.general.data / "jwt-secret"))


def scan_policy_of(settings: Settings) -> ScanPolicy:
    """Return which files are served.

    Raises:
        ConfigurationError: they are to wait for a scanner, and there is none.
    """
    given, scans = settings.server.scan_policy, settings.server.clamd_url is not None
    if given == "block" and not scans:
        raise ConfigurationError(
            "SCAN_POLICY=block makes files wait for a scanner, and there is none",
            hint="Set CLAMD_URL to where ClamAV's daemon listens, or SCAN_POLICY to allow.",
        )
    return ScanPolicy(
        scans=scans,
        serves_pending=given == "allow",
        serves_errors=settings.server.scan_on_error == "allow",
    )


def scanner_of(settings: Settings) -> Scanner | None:
    """Return what looks for malware, if anything does.

    Raises:
        ConfigurationError: CLAMD_URL can't be.
    """
    url, max_bytes = settings.server.clamd_url, settings.server.clamd_max_file_mb << 20
    if url is None:
        return None
    return Clamd(url, max_stream_bytes=max_bytes, max_file_bytes=max_bytes)


def outside_of(settings: Settings) -> OutsideTokens | None:
    """Return what reads an outside issuer's tokens, or None when none is named."""
    server = settings.server
    if server.jwt_issuer is None or server.jwt_audience is None:
        return None
    shared = None if server.jwt_secret_key is None else server.jwt_secret_key.get_secret_value()
    url = server.jwt_jwks_url
    return OutsideTokens(
        issuer=server.jwt_issuer,
        audience=server.jwt_audience,
        fetch=None if url is None else lambda: fetch_keys(url),
        # Whoever publishes keys signs with them; the secret is ours alone then.
        secret=shared if url is None else None,
    )


def key_ring_of(settings: Settings) -> KeyRing | None:
    """Return the keys that stored files are sealed with, or None where they are not.

    Raises:
        ConfigurationError: a key can't be read or is none; there are old ones alone; or files are
            in a bucket.
    """
    current, older = settings.server.encryption_key, settings.server.encryption_old_keys
    if current is None:
        if older is not None:
            raise ConfigurationError(
                "ENCRYPTION_OLD_KEYS names keys, and ENCRYPTION_KEY none",
                hint="Name the key that new files are sealed with by ENCRYPTION_KEY.",
            )
        return None
    if settings.s3.bucket is not None:
        raise ConfigurationError(
            "ENCRYPTION_KEY seals files in the data directory, and AWS_S3_BUCKET names a bucket",
            hint="Let the bucket encrypt: AWS_S3_SSE=AES256 or aws:kms.",
        )
    named = [] if older is None else listed(older.get_secret_value())
    return KeyRing.of(_key(current.get_secret_value()), *(_key(one) for one in named))


def packs_files(settings: Settings) -> bool:
    """Return whether stored files are kept compressed where that saves room.

    Raises:
        ConfigurationError: they are to be, and are sealed or in a bucket.
    """
    if not settings.server.compress_at_rest:
        return False
    for name, given in (
        ("AWS_S3_BUCKET", settings.s3.bucket),
        ("ENCRYPTION_KEY", settings.server.encryption_key),
    ):
        if given is not None:
            raise ConfigurationError(
                f"COMPRESS_AT_REST goes with plain files in the data directory, not with {name}",
                hint=f"Leave out COMPRESS_AT_REST or {name}.",
            )
    return True


def _key(reference: str) -> bytes:
    if re.fullmatch("[0-9A-Fa-f]{64}", reference):
        return bytes.fromhex(reference)
    if not reference.startswith("keyring:") and not Path(reference).is_file():
        # Not repeated: it may be a key with a slip in it.
        raise ConfigurationError(
            "ENCRYPTION_KEY or ENCRYPTION_OLD_KEYS names no file, no keyring:NAME, and is no key",
            hint="A key is 64 hex digits (`openssl rand -hex 32`), or a file that holds one.",
        )
    return load_key(reference)
