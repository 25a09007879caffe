"""What the server counts of recordings; it names no user."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeHistogramMetricFamily,
    GaugeMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from haulier.core.recordings import RecordingStatus
from haulier.core.records import utc_now
from haulier.jobs.recording_jobs import COMPRESSED
from haulier.journeys.recording.manager import OfflineAudioManager
from haulier.journeys.recording.syncing import SENT_BYTES, UPLOADS

_BUCKETS_MB = (1, 10, 50, 100, 250, 500, 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingTotals:
    """Counts over all users; `user_bytes` has one number for each."""

    by_status: Counter[str] = field(default_factory=Counter)
    user_bytes: list[int] = field(default_factory=list)
    queued: int = 0
    queued_since: datetime | None = None
    attempts: Mapping[str, int] = field(default_factory=dict)
    sent_bytes: int = 0
    compressed_bytes: Mapping[str, int] = field(default_factory=dict)


async def read_recording_totals(
    manager: OfflineAudioManager, counters: Mapping[str, int]
) -> RecordingTotals:
    """Count the recordings of all users; `counters` are what was counted on the way."""
    by_status: Counter[str] = Counter()
    user_bytes, since, queued = [], [], 0
    for user_id in await manager.users():
        recordings = await manager.list_recordings(user_id)
        by_status.update(one.status.value for one in recordings)
        user_bytes.append(sum(one.file_size for one in recordings))
        entries = await manager.get_upload_queue(user_id)
        queued += len(entries)
        since += [one.queued_at for one in entries[:1]]
    return RecordingTotals(
        by_status=by_status,
        user_bytes=user_bytes,
        queued=queued,
        queued_since=min(since, default=None),
        attempts={end: counters.get(name, 0) for end, name in UPLOADS.items()},
        sent_bytes=counters.get(SENT_BYTES, 0),
        compressed_bytes={when: counters.get(name, 0) for when, name in COMPRESSED.items()},
    )


class RecordingMetrics(Collector):
    """Tells Prometheus what was counted last."""

    def __init__(self) -> None:
        self.totals = RecordingTotals()

    def collect(self) -> Iterable[Metric]:
        """See `Collector.collect`."""
        totals = self.totals
        status = GaugeMetricFamily(
            "haulier_recordings", "Recordings that are kept.", labels=["status"]
        )
        for one in RecordingStatus:
            status.add_metric([one.value], totals.by_status[one])
        yield status
        yield _of_users(totals.user_bytes)
        yield GaugeMetricFamily(
            "haulier_recordings_queued", "Recordings that wait to be sent.", totals.queued
        )
        waits_s = 0.0
        if totals.queued_since is not None:
            waits_s = max(0.0, (utc_now() - totals.queued_since).total_seconds())
        yield GaugeMetricFamily(
            "haulier_recordings_queue_oldest_seconds", "How long the first has waited.", waits_s
        )
        yield _counter("recording_uploads", "Attempts to send one.", "outcome", totals.attempts)
        yield CounterMetricFamily(
            "haulier_recording_sent_bytes", "Sound that was sent.", totals.sent_bytes
        )
        yield _counter(
            "recording_compression_bytes",
            "Sound before and after it became Opus.",
            "when",
            totals.compressed_bytes,
        )


def _of_users(user_bytes: list[int]) -> Metric:
    bounds = [mb << 20 for mb in _BUCKETS_MB]
    buckets = [(str(bound), sum(one <= bound for one in user_bytes)) for bound in bounds]
    return GaugeHistogramMetricFamily(
        "haulier_recording_user_bytes",
        "How many users keep how much.",
        buckets=[*buckets, ("+Inf", len(user_bytes))],
        gsum_value=sum(user_bytes),
    )


def _counter(name: str, meaning: str, label: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(f"haulier_{name}", meaning, labels=[label])
    for value, count in sorted(counts.items()):
        family.add_metric([value], count)
    return family
