"""Fixtures: one yard whose destination is a directory, a bucket, or each in turn."""

from __future__ import annotations

import pytest

from haulier.journeys.archive.open import LOCAL_CHECKS
from journeys.archives import BucketPlace, LocalPlace, Recording, Site


async def _open(yard, place):
    checks = LOCAL_CHECKS
    if place.store.scheme == "s3":
        checks = await place.store.probe()
        place.store = Recording(place.store.with_checks(checks))
    return Site(yard, place, checks)


@pytest.fixture
async def local_site(yard):
    return await _open(yard, LocalPlace(yard, None))


@pytest.fixture
async def bucket_site(yard, s3_server):
    place = BucketPlace(yard, s3_server)
    yield await _open(yard, place)
    await place.aclose()


@pytest.fixture(params=["local", pytest.param("bucket", marks=pytest.mark.servers)])
async def site(request, yard):
    server = request.getfixturevalue("s3_server") if request.param == "bucket" else None
    place = (LocalPlace if server is None else BucketPlace)(yard, server)
    yield await _open(yard, place)
    await place.aclose()
