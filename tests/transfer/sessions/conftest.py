import pytest

from haulier.catalog.catalog import Catalog
from sessions_engine import build


@pytest.fixture
async def receiving(tmp_path):
    async with await Catalog.open(tmp_path / "catalog.db") as catalog:
        parts = build(tmp_path, catalog)
        yield parts
        await parts.stage.aclose()
