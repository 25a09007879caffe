import pytest

from catalogs import new_sqlite
from haulier.catalog.catalog import Catalog
from haulier.store.s3 import S3Store
from haulier.store.wrappers import Retrying
from haulier.transfer.sessions.s3_place import S3Place
from haulier.transfer.sessions.s3_stage import S3Stage
from sessions_engine import build, sealed_stage

FOUR_IN_A_FRAME = 16 << 10
FOUR_IN_A_PART = 5 << 18
"""Bytes of which four make the smallest part that S3 takes."""


@pytest.fixture
async def catalog(tmp_path):
    async with await Catalog.open(new_sqlite(tmp_path / "catalog.db")) as catalog:
        yield catalog


@pytest.fixture(scope="session")
def checks_of_s3():
    """What SeaweedFS was found to check, found out once."""
    return {}


@pytest.fixture
async def bucket(s3_server, checks_of_s3):
    bare = S3Store(s3_server.make_bucket(), access=s3_server.access())
    if "found" not in checks_of_s3:
        checks_of_s3["found"] = await bare.probe()
    yield bare.with_checks(checks_of_s3["found"])
    await bare.aclose()


@pytest.fixture
def s3_place(bucket):
    return S3Place(store=Retrying(bucket, attempts=4), prefix="ours/")


@pytest.fixture(params=["local", "sealed", pytest.param("s3", marks=pytest.mark.servers)])
def receiving(request):
    """The engine on a directory, on a sealed one, and on a bucket where each letter is a quarter of a part."""
    return request.getfixturevalue(f"on_{request.param}")


@pytest.fixture
async def on_local(tmp_path, catalog):
    parts = build(tmp_path, catalog)
    yield parts
    await parts.stage.aclose()


@pytest.fixture
async def on_sealed(tmp_path, catalog):
    parts = build(tmp_path, catalog, stage=sealed_stage(tmp_path, catalog), unit=FOUR_IN_A_FRAME)
    yield parts
    await parts.stage.aclose()


@pytest.fixture
async def on_s3(tmp_path, catalog, s3_place):
    stage = S3Stage(s3_place, catalog)
    return build(tmp_path, catalog, stage=stage, unit=FOUR_IN_A_PART)
