"""Fixtures: one yard whose destination is a directory, a bucket, or each in turn."""

from __future__ import annotations

import pytest

from haulier.journeys.archive.open import LOCAL_CHECKS, SERVER_CHECKS
from journeys.archives import BucketPlace, LocalPlace, Recording, ServerPlace, Site


async def _open(yard, place):
    checks = LOCAL_CHECKS
    if place.store.scheme == "s3":
        checks = await place.store.probe()
        place.store = Recording(place.store.with_checks(checks))
    elif place.store.scheme == "http":
        checks = SERVER_CHECKS
    return Site(yard, place, checks)


@pytest.fixture
async def local_site(yard):
    return await _open(yard, LocalPlace(yard, None))


@pytest.fixture
async def bucket_site(yard, s3_server):
    place = BucketPlace(yard, s3_server)
    yield await _open(yard, place)
    await place.aclose()


PLACES = {
    "local": (LocalPlace, None),
    "bucket": (BucketPlace, "s3_server"),
    "server": (ServerPlace, "files_server"),
}


@pytest.fixture(
    params=[
        "local",
        pytest.param("bucket", marks=pytest.mark.servers),
        pytest.param("server", marks=pytest.mark.processes),
    ]
)
async def site(request, yard):
    kind, server = PLACES[request.param]
    place = kind(yard, server and request.getfixturevalue(server))
    yield await _open(yard, place)
    await place.aclose()
