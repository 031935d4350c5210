"""Every metric in one place, by name and meaning; several processes of one machine may share a directory for them."""

import os

from prometheus_client import REGISTRY as OWN
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

RECORDS = Counter(
    "jubao_records_total",
    "Kafka records handled, by how they ended: written, dead or passed_by.",
    ["group", "ended"],
)
BATCH_SECONDS = Histogram(
    "jubao_batch_seconds",
    "Time of one consumed batch from decode to commit.",
    ["group"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
BATCH_REPEATS = Counter("jubao_batch_repeats_total", "Batches repeated after a deadlock or a fence.", ["group", "why"])
PAUSED = Gauge(
    "jubao_consumer_paused", "1 while a consumer waits for an engine.", ["group"], multiprocess_mode="livemostrecent"
)
OUTBOX_WAITING = Gauge(
    "jubao_outbox_waiting",
    "Events committed and not yet acknowledged by the broker.",
    ["service"],
    multiprocess_mode="livemostrecent",
)
PUBLISHED = Counter("jubao_published_total", "Records the broker acknowledged.", ["service"])
REQUESTS = Counter("jubao_http_requests_total", "HTTP requests answered.", ["service", "method", "status"])
REQUEST_SECONDS = Histogram(
    "jubao_http_request_seconds",
    "Time to answer an HTTP request.",
    ["service"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
CONNECTIONS_CUT = Counter(
    "jubao_http_connections_cut_total",
    "Connections ended before their request reached a service, by why: head_slow, head_large, not_http, "
    "crowded, body_unread or idle.",
    ["why"],
)
LOG_SIZE = Gauge("jubao_log_entries", "Entries of the log.", multiprocess_mode="livemostrecent")
LOG_REFUSED = Gauge(
    "jubao_log_refused",
    "1 while nothing is written because the log is not the one that its checkpoints vouch for.",
    multiprocess_mode="livemostrecent",
)
CHECKPOINTS = Counter("jubao_checkpoints_total", "Checkpoints signed and published.")
CHECKPOINT_SECONDS = Histogram(
    "jubao_checkpoint_seconds",
    "Time from reading the log's head to its checkpoint being published, witnesses included.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
COSIGNATURES = Counter(
    "jubao_cosignatures_total", "Checkpoints offered to a witness: given or lacking.", ["witness", "ended"]
)


def exposition() -> bytes:
    """All metrics in Prometheus' text format; of all processes that share PROMETHEUS_MULTIPROC_DIR where it is set."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(OWN)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
