"""What a monitoring system is told: OpenMetrics, by the names of Prometheus.

The values are taken in the event loop's thread, which alone may use the store, at each scrape.
"""

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from s3fs_local.control.results.activity import ActivitySample
from s3fs_local.control.results.store import Status
from s3fs_local.rules.findings import Health, Severity

PREFIX: Final = "s3fs_local"
_NS_PER_SECOND: Final = 1_000_000_000


Measured = tuple[Status, ActivitySample]
"""What is measured at one scrape."""


class StoreCollector(Collector):
    """Makes metrics of what `measure` gives; None where the store is being closed."""

    def __init__(self, measure: Callable[[], Measured | None]) -> None:
        self._measure = measure

    def describe(self) -> list[Metric]:
        """None by name: registering must not measure."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All metrics of the store, as they are now."""
        measured = self._measure()
        if measured is not None:
            status, activity = measured
            yield from _of_status(status)
            yield from _of_activity(activity)


def _of_status(status: Status) -> Iterator[Metric]:
    yield InfoMetricFamily(
        f"{PREFIX}_store",
        "The store that is mounted.",
        {
            "store": status.store,
            "store_id": status.store_id,
            "mount_point": status.mount_point or "",
            "versioning": status.versioning,
        },
    )
    yield _gauge("healthy", "1 where `status` finds nothing to do.", status.health, Health.HEALTHY)
    yield GaugeMetricFamily(
        f"{PREFIX}_read_only", "1 where nothing can be written.", float(status.read_only)
    )
    findings = GaugeMetricFamily(
        f"{PREFIX}_findings", "Findings of `status`, by severity.", labels=["severity"]
    )
    for severity in Severity:
        found = [row for row in status.findings if row.severity == severity]
        findings.add_metric([severity.value], len(found))
    yield findings
    free = GaugeMetricFamily(f"{PREFIX}_zone_free_bytes", "Room in a zone.", labels=["zone"])
    size = GaugeMetricFamily(f"{PREFIX}_zone_size_bytes", "Size of a zone.", labels=["zone"])
    for zone in status.zones:
        if zone.free_bytes is not None and zone.total_bytes is not None:
            free.add_metric([zone.url], zone.free_bytes)
            size.add_metric([zone.url], zone.total_bytes)
    yield from (free, size)


def _gauge(name: str, text: str, value: str, wanted: str) -> Metric:
    return GaugeMetricFamily(f"{PREFIX}_{name}", text, float(value == wanted))


def _of_activity(activity: ActivitySample) -> Iterator[Metric]:
    seconds = SummaryMetricFamily(
        f"{PREFIX}_operation_seconds", "Requests of the kernel.", labels=["operation"]
    )
    moved = CounterMetricFamily(
        f"{PREFIX}_operation_bytes",
        "Bytes that reads asked for, and that writes brought.",
        labels=["operation"],
    )
    for row in activity.kinds:
        seconds.add_metric([row.kind], row.count, row.took_ns / _NS_PER_SECOND)
        if row.bytes:
            moved.add_metric([row.kind], row.bytes)
    failures = CounterMetricFamily(
        f"{PREFIX}_operation_failures", "Requests answered by an error.", labels=["error"]
    )
    for error, count in sorted(activity.failures.items()):
        failures.add_metric([error], count)
    yield from (seconds, moved, failures)
    yield CounterMetricFamily(f"{PREFIX}_fsyncs", "Syncs of the journal.", activity.fsyncs)
    for name, text, value in (
        ("operations_running", "Requests that are not answered yet.", len(activity.running)),
        ("open_files", "Open handles.", activity.open_files),
        ("dirty_bytes", "Bytes written that are in no version yet.", activity.dirty_bytes),
        ("journal_bytes", "Bytes in the present journal segment.", activity.journal_bytes),
    ):
        yield GaugeMetricFamily(f"{PREFIX}_{name}", text, value)
