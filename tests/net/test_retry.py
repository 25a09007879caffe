import asyncio
from collections.abc import Iterator

import pytest
import stamina
import stamina.instrumentation

from haulier import errors
from haulier.net.retry import retrying


class Work:
    """Raises what it is given, one after another, then returns `done`."""

    def __init__(self, *failures: BaseException) -> None:
        self.failures = list(failures)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return "done"


@pytest.fixture
def waits() -> Iterator[list[float]]:
    """The waits that were decided on, in seconds."""
    seen: list[float] = []
    stamina.instrumentation.set_on_retry_hooks([lambda details: seen.append(details.wait_for)])
    yield seen
    stamina.instrumentation.set_on_retry_hooks(None)


async def test_transient_errors_are_tried_again_until_it_works() -> None:
    work = Work(errors.ConnectionLost("x"), errors.ServiceFault("x"), errors.TimedOut("x"))
    assert await retrying(work, wait_max_s=0) == "done"
    assert work.calls == 4


@pytest.mark.parametrize(
    "error",
    [errors.AccessDenied("x"), errors.BadDigest("x"), ValueError("x"), asyncio.CancelledError()],
)
async def test_everything_else_is_raised_at_once(error: BaseException) -> None:
    work = Work(error)
    with pytest.raises(type(error)):
        await retrying(work, wait_max_s=0)
    assert work.calls == 1


async def test_the_last_error_is_raised_when_attempts_are_used_up() -> None:
    work = Work(*(errors.ServiceFault(str(number)) for number in range(9)))
    with pytest.raises(errors.ServiceFault, match="2"):
        await retrying(work, attempts=3, wait_max_s=0)
    assert work.calls == 3


async def test_the_time_the_far_end_named_is_waited(waits: list[float]) -> None:
    work = Work(
        errors.RateLimited("x", retry_after_s=0.01), errors.RateLimited("x", retry_after_s=0)
    )
    assert await retrying(work, wait_initial_s=100, wait_max_s=100) == "done"
    assert waits == pytest.approx([0.01, 0.0])


async def test_nobody_waits_for_hours(waits: list[float]) -> None:
    work = Work(errors.RateLimited("x", retry_after_s=3_600))
    with pytest.raises(errors.RateLimited) as caught:
        await retrying(work)
    assert caught.value.retry_after_s == 3_600
    assert waits == []


async def test_waits_double_and_are_capped(waits: list[float]) -> None:
    work = Work(*(errors.ServiceFault("x") for _ in range(3)))
    await retrying(work, wait_initial_s=0.001, wait_max_s=0.0015)
    assert all(0.001 <= wait < 0.00151 for wait in waits)
    assert len(waits) == 3


async def test_no_attempt_begins_after_the_time_is_up() -> None:
    async def work() -> None:
        await asyncio.sleep(0.02)
        raise errors.ServiceFault("x")

    with pytest.raises(errors.ServiceFault):
        await retrying(work, attempts=10_000, timeout_s=0.05, wait_max_s=0)
