"""Servers that tests share; each is plain code in a module of its own."""

import signal

import pytest
import stamina
from hypothesis import HealthCheck, settings

from postgres import own_postgres, postgres_url  # noqa: F401 - pytest finds fixtures by name
from rabbitmq import rabbitmq_server  # noqa: F401 - pytest finds fixtures by name
from redis_server import own_redis, redis_link, redis_server  # noqa: F401
from seaweed import s3_server  # noqa: F401 - pytest finds fixtures by name
from small_disk import small_disk  # noqa: F401 - pytest finds fixtures by name

# What starts programs again and again, or goes the whole way of many files; the quick unit run
# leaves it out.
_PROCESSES = (
    "cli",
    "e2e",
    "files/test_accounts.py",  # no program, but passwords as slow as they have to be
    "docs/test_guides.py",
    "media",
    "server",
    "transfer/sessions/test_killed.py",
    "transfer/test_move.py",
    "catalog/test_catalog_processes.py",
    "catalog/test_catalog_search.py",
    "journeys/test_importing.py",
    "journeys/test_restore.py",
    "journeys/test_upload.py",
    "journeys/test_verify.py",
)


def pytest_configure() -> None:
    # A shell's background job ignores Ctrl-C, and programs that tests start would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # How long an example takes says how busy the machine is.
    settings.register_profile(
        "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("untimed")


@pytest.fixture
def at_once():
    """What failed for a passing reason is tried again as often as ever, but without a wait."""
    with stamina.set_testing(True, attempts=1_000_000, cap=True):
        yield


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    # What an encoder made carries the moment it was made; each process must name its test alike.
    return argname if isinstance(val, bytes) and len(val) > 16 else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        place = item.path.relative_to(config.rootpath / "tests").as_posix()
        if {"bucket_site", "redis_server", "own_redis", "own_postgres", "rabbitmq_server"} & set(
            item.fixturenames
        ):
            item.add_marker(pytest.mark.servers)
        if place.startswith(_PROCESSES):
            item.add_marker(pytest.mark.processes)
