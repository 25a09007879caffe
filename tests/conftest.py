"""Servers that tests share; each is plain code in a module of its own."""

from postgres import postgres_url  # noqa: F401 - pytest finds fixtures by name
from seaweed import s3_server  # noqa: F401 - pytest finds fixtures by name
