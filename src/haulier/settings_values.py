"""What the values of settings are checked for; a ValueError says what is accepted."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

from haulier.core.units import parse_limit, parse_size
from haulier.errors import UsageError

MAX_PREFIX_BYTES = 512

UrlT = TypeVar("UrlT", str, SecretStr)


def expanded(path: Path) -> Path:
    """Let `~` be the home it names."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError("a path; the user whose home it names does not exist") from None


def url(*schemes: str) -> AfterValidator:
    """Return a check for URLs of these schemes."""
    wanted = ", ".join(f"{scheme}://" for scheme in schemes)

    def check(url: UrlT) -> UrlT:
        text = url.get_secret_value() if isinstance(url, SecretStr) else url
        try:
            parts = urlsplit(text)
            sound = parts.scheme in schemes and bool(parts.hostname or parts.path)
            _ = parts.port
        except ValueError:  # whose text may repeat a password
            sound = False
        if not sound:
            raise ValueError(f"a URL that begins with one of {wanted}")
        return url

    return AfterValidator(check)


def location(path: str) -> str:
    """Check a path as nginx's `location` has it."""
    if not path.startswith("/") or not path.isprintable():
        raise ValueError("a path that begins with a slash, as in nginx's `location`")
    return path.rstrip("/")


def size(value: Any) -> Any:
    """Read a size such as 20G."""
    if not isinstance(value, str) or value.isdigit():
        return value
    try:
        return parse_size(value)
    except UsageError as exc:
        raise ValueError(exc.message) from None


def rate(value: str) -> str:
    """Check a rate such as 10/minute."""
    if not re.fullmatch(r"[1-9]\d{0,8}/(second|minute|hour)", value):
        raise ValueError("a rate such as 10/minute: N/second, N/minute or N/hour")
    return value


def limit(value: str) -> str:
    """Check a limit such as 20M, or one by the hour."""
    try:
        parse_limit(value)
    except UsageError as exc:
        raise ValueError(exc.message) from None
    return value


def hours(value: str) -> str:
    """Check hours of the day."""
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d", value, re.ASCII):
        raise ValueError("hours such as 01:00-07:00")
    return value


def numbers(text: str) -> str:
    """Check ids that are numbers."""
    if not all(re.fullmatch(r"\d{1,20}", one, re.ASCII) for one in listed(text)):
        raise ValueError("ids apart by commas, which are numbers")
    return text


def numbers_or_all(text: str) -> str:
    """Check ids that are numbers, or `*`."""
    return text if text.strip() == "*" else numbers(text)


def listed(text: str) -> tuple[str, ...]:
    """Return what is told apart by commas."""
    return tuple(one.strip() for one in text.split(",") if one.strip())


def origins(text: str) -> str:
    """Check origins of web pages."""
    for one in listed(text):
        parts = urlsplit(one)
        if parts.scheme not in {"http", "https"} or one != f"{parts.scheme}://{parts.netloc}":
            raise ValueError(
                "origins such as https://app.example, apart by commas; no * and no path"
            )
    return ",".join(listed(text))


def types(text: str) -> str:
    """Check MIME types and families of them, apart by commas."""
    for one in listed(text):
        if not re.fullmatch(r"[a-z]+/(\*|[a-z0-9][a-z0-9!#$&^_.+-]*)", one):
            raise ValueError("types such as image/png or image/*, apart by commas")
    return ",".join(listed(text))


def networks(text: str) -> str:
    """Check addresses and networks."""
    for one in listed(text):
        try:
            ip_network(one)
        except ValueError:
            raise ValueError("addresses or networks such as 10.0.0.0/8, apart by commas") from None
    return ",".join(listed(text))


def hosts(text: str) -> str:
    """Check names of hosts, addresses and networks, apart by commas."""
    for one in listed(text):
        if "/" in one:
            networks(one)
        elif not re.fullmatch(r"[\w.:\[\]-]+", one, re.ASCII):
            raise ValueError("hosts or networks such as nas.local,10.0.0.0/8, apart by commas")
    return ",".join(listed(text))


def bucket_name(name: str) -> str:
    """Check a bucket's name."""
    if not re.fullmatch(r"[\w.-]+", name, re.ASCII):
        raise ValueError("the bucket's name alone; what follows it goes into AWS_S3_PREFIX")
    return name


def key_prefix(prefix: str) -> str:
    """Check what keys begin with."""
    if not prefix.isprintable() or ".." in prefix.split("/"):
        raise ValueError("directories apart by /, without .. and control characters")
    if len(prefix.encode()) > MAX_PREFIX_BYTES:
        raise ValueError(f"at most {MAX_PREFIX_BYTES} bytes, a key has 1,024")
    return prefix


def upper(value: Any) -> Any:
    """Let the case of letters not count."""
    return value.upper() if isinstance(value, str) else value


def sync_target(url: str) -> str:
    """Check where recordings are sent, or what is linked to in chats."""
    parts = urlsplit(url)
    if parts.scheme not in {"s3", "https", "http"} or not parts.hostname:
        raise ValueError("s3://BUCKET/PREFIX or the address of a server, https://HOST")
    return url
