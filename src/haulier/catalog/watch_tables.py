"""Tables of what all processes of a server count together, and of the queues that are too long."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Table

from haulier.catalog.tables import metadata
from haulier.catalog.types import PLAIN_TEXT, UtcTime

counters = Table(
    "counters",
    metadata,
    Column("name", PLAIN_TEXT, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
alerts = Table(
    "alerts",
    metadata,
    Column("queue", PLAIN_TEXT, primary_key=True),
    Column("since", UtcTime, nullable=False),
)
