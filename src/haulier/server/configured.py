"""What the settings ask for: who is believed, and which files are served."""

from __future__ import annotations

from haulier.errors import ConfigurationError
from haulier.files.outside import OutsideTokens
from haulier.files.scanning import ScanPolicy
from haulier.files.secret import kept_secret
from haulier.files.tokens import SHORTEST_SECRET, Tokens
from haulier.media.clamd import Clamd
from haulier.media.scan import Scanner
from haulier.server.issuer import fetch_keys
from haulier.settings import Settings

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
