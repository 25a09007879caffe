"""The conformance suite against every store that ships, bare and wrapped."""

from __future__ import annotations

import pytest

from haulier.store.local import LocalStore
from haulier.store.s3 import S3Store
from haulier.store.wrappers import Retrying
from haulier.testing.store_suite import StoreSuite
from server_stores import opened


class TestLocalStore(StoreSuite):
    @pytest.fixture
    def store(self, tmp_path):
        return LocalStore(tmp_path / "store")


class TestRetryingLocalStore(StoreSuite):
    @pytest.fixture
    def store(self, tmp_path):
        return Retrying(LocalStore(tmp_path / "store"))


@pytest.mark.processes
class TestHaulierStore(StoreSuite):
    @pytest.fixture
    async def store(self, files_server):
        async with opened(files_server) as store:
            yield store


@pytest.mark.processes
class TestRetryingHaulierStore(StoreSuite):
    @pytest.fixture
    async def store(self, files_server):
        async with opened(files_server) as store:
            yield Retrying(store)


@pytest.mark.servers
class TestS3Store(StoreSuite):
    @pytest.fixture
    async def store(self, s3_server):
        bare = S3Store(s3_server.make_bucket(), access=s3_server.access())
        yield bare.with_checks(await bare.probe())
        await bare.aclose()


@pytest.mark.servers
class TestS3StoreWithoutChecks(StoreSuite):
    """As towards an endpoint that checks nothing: MD5 is sent with every part."""

    @pytest.fixture
    async def store(self, s3_server):
        bare = S3Store(s3_server.make_bucket(), access=s3_server.access())
        yield Retrying(bare)
        await bare.aclose()
