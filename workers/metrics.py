"""What processes count, and how it becomes the figures of the service.

Whoever asks for /metrics reaches one web process, but what there is to tell happens in many, on several machines. So
each process counts in memory, which costs a request about a microsecond and Redis nothing, and once a second adds what
is new to sums in Redis, from which any web process answers. The sums belong to the service, not to a process: they
survive restarts and never go down, nothing stale is left of a process that ended, and there is no `instance` label.

What a process counted in the second before it was killed is lost. Where Redis comes back without its data, the sums
begin anew, which Prometheus takes for the reset of a counter.
"""

from __future__ import annotations

import secrets
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from importlib.resources import files
from itertools import product

import orjson
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import Metric
from redis import Redis, RedisError

from workers.jobs import JobState

SUMS = "hemline:metrics"
# Other buckets need another name: processes of two releases add to the same sums while one replaces the other.
_LATENCY = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)  # s; requests are held up to 30
_INFERENCE = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
_WAITING = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_SIZES = tuple(2**i for i in range(11))
_PARTS = {"bucket": 0, "count": 1, "sum": 2, "total": 0}  # how the samples of one series follow each other


class Metrics:
    """The counters of one process, and the sums of all. What reaches for Redis may raise redis.RedisError."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._fold = redis.register_script((files("workers") / "lua" / "metrics_fold.lua").read_text())
        self._lock = threading.Lock()
        self._folded: dict[str, float] = {}
        self._parcel: dict[str, float] = {}
        self._number = 0
        self._answered: dict[tuple[str, str], tuple[Callable[[float], None], ...]] = {}
        self._receipt = ""  # of one process, which this one may become several of
        self._registry = registry = CollectorRegistry(auto_describe=False)
        self.requests = Counter(
            "hemline_http_requests", "Requests answered, by operation and status.", ("operation", "status"),
            registry=registry,
        )  # fmt: skip
        self.request_seconds = Histogram(
            "hemline_http_request_duration_seconds", "Time to an answer, or to the begin of a stream. `held`: it "
            "waited as the client preferred.", ("operation", "held"), buckets=_LATENCY, registry=registry,
        )  # fmt: skip
        self.predictions = Counter(
            "hemline_predictions", "Pictures that were answered.", ("model_version", "state"), registry=registry
        )
        self.batch_size = Histogram(
            "hemline_batch_size", "Pictures in one inference batch.", ("queue",), buckets=_SIZES, registry=registry
        )
        self.wait_seconds = Histogram(
            "hemline_batch_wait_seconds", "From the acceptance of a batch's pictures to its begin in a worker.",
            ("queue",), buckets=_WAITING, registry=registry,
        )  # fmt: skip
        self.inference_seconds = Histogram(
            "hemline_inference_seconds", "Time in the model for one batch.", ("model_version",), buckets=_INFERENCE,
            registry=registry,
        )  # fmt: skip
        self.resent = Counter(
            "hemline_slices_resent", "Messages for predictions that were sent again, as a worker or a message was "
            "lost.", registry=registry,
        )  # fmt: skip
        # Never counted here: scripts count jobs in the step that ends them (lua/ended.lua). What has not happened is
        # told as 0, or the first failure would not be seen as an increase.
        ended = Counter("hemline_jobs_ended", "Jobs and trials that ended.", ("kind", "state"), registry=registry)
        for kind, state in product(("job", "tune", "trial"), JobState):
            if state.is_final:
                ended.labels(kind, state.value)
        self.webhooks = Counter(
            "hemline_webhook_attempts", "Attempts to deliver a webhook's message, which then is delivered, has failed "
            "for good, or is pending and sent again later.", ("outcome",), registry=registry,
        )  # fmt: skip
        for outcome in ("delivered", "failed", "pending"):
            self.webhooks.labels(outcome)

    def answered(self, queue: str, version: str, count: int, waited: float, seconds: float) -> None:
        """A batch of pictures was answered after it had waited so many seconds, with so many in the model."""
        series = self._answered.get((queue, version))
        if series is None:  # looked up once, as that costs more than counting
            series = self._answered[queue, version] = (
                self.predictions.labels(version, "succeeded").inc, self.batch_size.labels(queue).observe,
                self.wait_seconds.labels(queue).observe, self.inference_seconds.labels(version).observe,
            )  # fmt: skip
        for add, value in zip(series, (count, count, waited, seconds), strict=True):
            add(value)

    def fold(self) -> None:
        """Add what is new to the sums. What could not be added, or may not have been, is sent again next time."""
        with self._lock:
            if not self._parcel:
                counted = dict(self._counted())
                # A new series is added with its zeros: a histogram has all its buckets, whichever process tells it.
                self._parcel = {
                    field: value - self._folded.get(field, 0.0) for field, value in counted.items()
                    if value != self._folded.get(field)
                }  # fmt: skip
                self._folded = counted
                self._number += 1
            if self._parcel:
                self._receipt = self._receipt or f"{SUMS}:{secrets.token_hex(8)}"
                flat = [text for field, new in self._parcel.items() for text in (field, repr(new))]
                self._fold([SUMS, self._receipt], [self._number, *flat])
                self._parcel = {}

    def end(self) -> None:
        """The last fold of a process."""
        with suppress(RedisError):
            self.fold()

    def collect(self) -> Iterator[Metric]:
        """Every metric that is counted, with the sums of all processes."""
        stored: Mapping[bytes, bytes] = self._redis.hgetall(SUMS)  # type: ignore[assignment]
        sums: defaultdict[str, list[tuple[str, dict[str, str], float]]] = defaultdict(list)
        for field, value in stored.items():
            name, labels = orjson.loads(field)
            sums[name.rpartition("_")[0]].append((name, labels, float(value)))
        for declared in self._registry.collect():
            metric = Metric(declared.name, declared.documentation, declared.type)
            for sample in sorted(sums[declared.name], key=_order):
                metric.add_sample(*sample)
            yield metric

    def _counted(self) -> Iterator[tuple[str, float]]:
        for metric in self._registry.collect():
            for sample in metric.samples:
                if not sample.name.endswith("_created"):
                    yield orjson.dumps([sample.name, sample.labels], option=orjson.OPT_SORT_KEYS).decode(), sample.value


def _order(sample: tuple[str, dict[str, str], float]) -> tuple[list[tuple[str, str]], int, float]:
    """Series by series, and in each of them buckets from the lowest, as OpenMetrics asks for."""
    name, labels, _ = sample
    rest = sorted((label, value) for label, value in labels.items() if label != "le")
    return rest, _PARTS[name.rpartition("_")[2]], float(labels.get("le", "0"))
