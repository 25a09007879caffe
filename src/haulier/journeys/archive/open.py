"""Opening what the archive journey works with, from the settings.

This is where settings end: below, everybody is handed values.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from haulier.catalog.catalog import Catalog
from haulier.core.records import utc_now
from haulier.errors import ConfigurationError
from haulier.journeys.archive.context import ArchiveContext, Observe, observe_nothing
from haulier.journeys.archive.destination import Destination, OpenDestination
from haulier.journeys.archive.lease import this_process
from haulier.journeys.archive.options import UploadOptions
from haulier.settings import Settings
from haulier.store.base import MultipartStore, ProbedStore, StoreChecks

_CHECKS_VALID = timedelta(days=30)
_CHATS = ("discord:", "max:")
LOCAL_CHECKS = StoreChecks(crc64nvme=True, etag_is_md5=True, if_none_match=True)
