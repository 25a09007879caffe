"""What the server says of itself to clients is what it does with their files."""

from __future__ import annotations

from datetime import timedelta

import httpx2
import pytest

from haulier.core.accounts import Role
from haulier.server.app import create_app
from haulier.server.models import FileStorageConfig
from haulier.server.services import open_services
from haulier.settings import Settings

MIB = 1 << 20


async def ask(data, monkeypatch, **settings):
    """Return what is said, and how large a file may be begun by JSON."""
    monkeypatch.chdir(data)
    loaded = Settings.load(data=data, **settings)
    async with open_services(loaded) as services:
        user = await services.accounts.add("ann", Role.USER)
        token = services.tokens.issue(user, timedelta(hours=1))
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=create_app(loaded, services)),
            base_url="http://x",
            headers={"Authorization": f"Bearer {token}"},
        ) as client:
            told = FileStorageConfig.model_validate((await client.get("/api/files/config")).json())
            for size, status in (
                (told.max_json_file_size, 201),
                (told.max_json_file_size + 1, 413),
            ):
                begun = await client.post(
                    "/api/files/upload/start", json={"name": "a.png", "size": size}
                )
                assert begun.status_code == status
            return told


async def test_what_is_the_case_when_nothing_is_set(tmp_path, monkeypatch):
    told = await ask(tmp_path, monkeypatch)
    assert told.max_file_size is None
    assert told.max_json_file_size == 100 * MIB
    assert told.allowed_types == []
    assert {"sha256", "crc64nvme", "md5"} <= set(told.checksums)
    assert (told.durability, told.scans) == ("chunk", False)
    assert (told.upload_ttl_hours, told.trash_retention_days) == (24, 30)


@pytest.mark.parametrize("days", [0, 7])
async def test_what_is_set(tmp_path, monkeypatch, days):
    told = await ask(
        tmp_path,
        monkeypatch,
        HAULIER_MAX_FILE_SIZE="1G",
        UPLOAD_MAX_FILE_MB="2",
        UPLOAD_ALLOWED_TYPES="image/*,video/mp4",
        DURABILITY="complete",
        UPLOAD_SESSION_TTL_HOURS="2",
        TRASH_RETENTION_DAYS=str(days),
        CLAMD_URL="tcp://127.0.0.1:1",
    )
    assert told.max_file_size == 1024 * MIB
    assert told.max_json_file_size == 2 * MIB
    assert told.allowed_types == ["image/*", "video/mp4"]
    assert (told.durability, told.scans) == ("complete", True)
    assert (told.upload_ttl_hours, told.trash_retention_days) == (2, days or None)
