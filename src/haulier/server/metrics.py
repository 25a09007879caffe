"""What the server counts, as Prometheus reads it."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from haulier.catalog.totals import Totals
from haulier.core.records import utc_now
from haulier.jobs.queue_watch import QUEUES
from haulier.server.recording_metrics import RecordingMetrics, RecordingTotals

# From what the catalog answers to the upload of a large file.
_SECONDS = (0.005, 0.025, 0.1, 0.5, 2.5, 10, 60, 600)


class Metrics:
    """The counters of one application, in a registry of their own.

    Routes are counted by their template, users not at all, so that the number of series stays
    bounded whatever clients ask for.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._requests = Counter(
            "haulier_http_requests",
            "Requests that were answered.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "haulier_http_request_seconds",
            "Time from the head of a request to the end of its answer.",
            ["method", "route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._under_way = self._gauge("http_requests_under_way", "Requests not yet answered.")
        self._received = Counter(
            "haulier_received_bytes", "Bytes of upload bodies.", registry=self._registry
        )
        self._sent = Counter(
            "haulier_sent_bytes", "Bytes of answers' bodies.", registry=self._registry
        )
        self._sessions = self._gauge("upload_sessions", "Upload sessions on record.", "status")
        self._files = self._gauge("stored_files", "Stored files.", "scan_state")
        self._jobs = self._gauge("jobs", "Jobs on record.", "state")
        self._jobs_age = self._gauge(
            "jobs_oldest_seconds", "How long the job that waits longest could have been begun."
        )
        self._alerts = self._gauge("queue_alert", "1 while too much waits in a queue.", "queue")
        self._users = self._gauge("users", "Accounts.")
        self._used = self._gauge("stored_bytes", "Bytes that users keep.")
        self._reserved = self._gauge("reserved_bytes", "Bytes set aside for uploads under way.")

        self._recordings = RecordingMetrics()
        self._registry.register(self._recordings)

    def began(self) -> None:
        """Count a request that begins."""
        self._under_way.inc()

    def ended(
        self,
        method: str,
        route: str,
        status: int,
        *,
        seconds: float,
        received_bytes: int,
        sent_bytes: int,
    ) -> None:
        """Count a request that ended, however it did."""
        self._under_way.dec()
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)
        self._received.inc(received_bytes)
        self._sent.inc(sent_bytes)

    def render(self, totals: Totals, recordings: RecordingTotals) -> bytes:
        """Return everything in Prometheus's text format, `totals` and `recordings` among it."""
        for gauge, counts in (
            (self._sessions, totals.sessions_by_status),
            (self._files, totals.files_by_scan_state),
            (self._jobs, totals.jobs_by_state),
        ):
            gauge.clear()
            for label, count in counts.items():
                gauge.labels(label).set(count)
        waits_s = 0.0
        if totals.oldest_due is not None:
            waits_s = max(0.0, (utc_now() - totals.oldest_due).total_seconds())
        self._jobs_age.set(waits_s)
        for queue in QUEUES:
            self._alerts.labels(queue).set(queue in totals.alerts)
        self._recordings.totals = recordings
        self._users.set(totals.users)
        self._used.set(totals.used_bytes)
        self._reserved.set(totals.reserved_bytes)
        return generate_latest(self._registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(f"haulier_{name}", meaning, labels, registry=self._registry)
