"""Progress as one plain line, for pipes and chats."""

from __future__ import annotations

from haulier.core.progress import Progress, ProgressState
from haulier.core.units import format_duration, format_size


def format_progress(progress: Progress) -> str:
    """Return for example `photos  uploading  45 %  120 MiB of 267 MiB  31 MiB/s  4 s left`.

    An end reads `photos  finished  267 MiB in 9 s  30 MiB/s`, or `photos  failed  …` with
    what went wrong. The line has no line break, whatever the name holds.
    """
    name = "".join(char if char.isprintable() else "?" for char in progress.name)
    return "  ".join([name, *(words for words in _words(progress) if words)])


def _words(progress: Progress) -> list[str]:
    if progress.state is ProgressState.FAILED:
        return ["failed", " ".join((progress.error or "").split())]
    if progress.state is ProgressState.FINISHED:
        done = format_size(progress.done_bytes)
        return [
            "finished",
            f"{done} in {format_duration(progress.elapsed_s)}",
            f"{format_size(progress.rate_bps)}/s" if progress.rate_bps else "",
        ]
    return [
        progress.stage,
        "" if progress.fraction is None else f"{int(progress.fraction * 100)} %",
        _amount(progress),
        f"{format_size(progress.rate_bps)}/s" if progress.rate_bps >= 1 else "",
        "" if progress.eta_s is None else f"{format_duration(progress.eta_s)} left",
    ]


def _amount(progress: Progress) -> str:
    done = format_size(progress.done_bytes)
    if progress.total_bytes is None:
        return done
    return f"{done} of {format_size(progress.total_bytes)}"
