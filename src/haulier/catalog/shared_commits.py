"""Transactions of one writer that share a commit.

SQLite takes one writer at a time, who waits for the disk at each commit. What comes meanwhile goes
together into the next one, each behind a savepoint: one that fails leaves the others alone, and
nothing is told of any before all of it is safe.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from haulier.catalog.transaction import Tx

T = TypeVar("T")
Work = Callable[[Tx], Any]

_MOST_TOGETHER = 32


@dataclass(frozen=True, slots=True)
class _Waiting:
    work: Work
    future: Future[Any]


@dataclass(frozen=True, slots=True)
class _Ended:
    tx: Tx
    result: Any = None
    error: BaseException | None = None


class SharedCommits:
    """Runs transactions in one thread; those that wait together are committed together.

    Where the database refuses something, each is done once more by itself: all that it does has to
    be done through its `Tx`.

    Args:
        engine: of one connection, which begins transactions with the write lock.
        alone: does one transaction and commits it.
    """

    def __init__(self, engine: Engine, alone: Callable[[Work], Any]) -> None:
        self._engine = engine
        self._alone = alone
        self._waiting: deque[_Waiting] = deque()
        self._thread = ThreadPoolExecutor(1, "catalog-writer")

    def submit(self, work: Callable[[Tx], T]) -> Future[T]:
        """Have `work` done; what it returned is told after the commit.

        One that is cancelled before it began is not done.
        """
        future: Future[T] = Future()
        self._waiting.append(_Waiting(work, future))
        self._thread.submit(self._do_waiting)
        return future

    def close(self) -> None:
        """Wait for what was submitted."""
        self._thread.shutdown()

    def _do_waiting(self) -> None:
        group: list[_Waiting] = []
        while self._waiting and len(group) < _MOST_TOGETHER:
            one = self._waiting.popleft()
            if one.future.set_running_or_notify_cancel():
                group.append(one)
        if len(group) > 1 and self._do_together(group):
            return
        for one in group:
            _tell(one.future, lambda work=one.work: self._alone(work))  # type: ignore[misc]  # a default binds it

    def _do_together(self, group: list[_Waiting]) -> bool:
        try:
            with self._engine.begin() as connection:
                ended = [_behind_savepoint(Tx(connection), one.work) for one in group]
        except SQLAlchemyError:
            return False
        for one, end in zip(group, ended, strict=True):
            _tell(one.future, lambda end=end: _result_of(end))  # type: ignore[misc]  # a default binds it
        return True


def _behind_savepoint(tx: Tx, work: Work) -> _Ended:
    """Do `work`, and nothing of it when it raises; raises what the database does."""
    try:
        with tx.savepoint():
            return _Ended(tx, result=work(tx))
    except SQLAlchemyError:
        raise
    except Exception as error:  # noqa: BLE001  # it is told to whoever waits for this one
        return _Ended(tx, error=error)


def _result_of(end: _Ended) -> Any:
    if end.error is not None:
        raise end.error
    end.tx.committed()
    return end.result


def _tell(future: Future[T], do: Callable[[], T]) -> None:
    try:
        result = do()
    except BaseException as error:  # noqa: BLE001  # it is told to whoever waits for it
        future.set_exception(error)
    else:
        future.set_result(result)
