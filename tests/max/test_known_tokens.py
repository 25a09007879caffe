"""Files that MAX has, remembered in the catalog."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from catalogs import new_sqlite
from haulier import errors
from haulier.catalog.catalog import Catalog
from haulier.max.client import MaxClient
from haulier.max.files import FileManager
from haulier.max.known_tokens import KnownTokens
from haulier.max.preparing import Prepared
from haulier.max.upload_types import UploadType
from haulier.testing.max_state import MaxState
from haulier.transfer.tokens import TokenStore

PDF = b"%PDF-1.4\n1 0 obj <<>> endobj\ntrailer <<>>\n%%EOF\n"


async def test_a_file_is_uploaded_once_also_by_another_program(
    client: MaxClient, state: MaxState, tmp_path: Path
) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(PDF)
    tokens = []
    for _ in range(2):
        async with await Catalog.open(new_sqlite(tmp_path / "catalog.db")) as catalog:
            store = TokenStore(catalog)
            sent = await FileManager(client, tokens=KnownTokens(store)).send_file(1, path)
            tokens.append(sent.token)
    assert tokens[0] == tokens[1]
    assert len(state.slots) == 1
    del state.media[tokens[0] or ""]
    async with await Catalog.open(new_sqlite(tmp_path / "catalog.db")) as catalog:
        store = TokenStore(catalog)
        sent = await FileManager(client, tokens=KnownTokens(store)).send_file(1, path)
        assert sent.token not in {None, tokens[0]}
        [row] = [await store.statistics(bot) for bot in await bots(catalog)]
    assert (row.tokens, row.refused) == (1, 1)
    assert row.bytes_saved >= len(PDF)


async def bots(catalog: Catalog) -> list[str]:
    from sqlalchemy import select

    from haulier.catalog.token_tables import upload_token_counts as counts

    statement = select(counts.c.bot)
    return await catalog.read(lambda tx: list(tx._connection.execute(statement).scalars()))


async def test_content_name_and_type_tell_files_apart(tmp_path: Path) -> None:
    def prepared(**more: Any) -> Prepared:
        values = {"path": tmp_path / "a", "name": "a", "type": UploadType.FILE, "size_bytes": 3}
        return Prepared(**{"mime_type": "text/plain", **values, **more})

    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "b").write_bytes(b"two")
    async with await Catalog.open(new_sqlite(tmp_path / "catalog.db")) as catalog:
        tokens = KnownTokens(TokenStore(catalog))
        await tokens.keep(prepared(), "t", bot_id="7")
        assert await tokens.find(prepared(), bot_id="7") == "t"
        others = [{"path": tmp_path / "b"}, {"name": "b"}, {"type": UploadType.IMAGE}]
        for other in others:
            assert await tokens.find(prepared(**other), bot_id="7") is None
        assert await tokens.find(prepared(), bot_id="8") is None
        (tmp_path / "a").write_bytes(b"changed")
        assert await tokens.find(prepared(), bot_id="7") is None
        with pytest.raises(errors.TargetUnreadable):
            await tokens.find(prepared(path=tmp_path / "none"), bot_id="7")
