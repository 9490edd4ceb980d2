"""Traces by OpenTelemetry, from a request to its batch or job, where there is somebody to send them to.

Nothing of it is imported unless OTEL_EXPORTER_OTLP_ENDPOINT is set. The SDK reads the other variables of OpenTelemetry
(OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS, …) itself.

The record of what was accepted carries the `traceparent` of its request, as it carries the request id; messages carry
only names. So a trace goes on also where the sweep sends a message again. A batch works for many requests at once: its
span is linked to that of each (OpenTelemetry's conventions for messaging), and its child where there is only one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from multiprocessing.util import Finalize
from typing import TYPE_CHECKING, Any, Self

from redis import RedisError

from workers import logs
from workers.groups import Groups
from workers.jobs import JobStore
from workers.queue import TRAINING, queue_of
from workers.records import Slice

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, SpanKind

_log = logging.getLogger(__name__)


class Tracing:
    """The spans of one process."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self.end = provider.shutdown  # sends the last spans
        self._trace = trace
        self._tracer = provider.get_tracer("hemline")
        self._propagator = TraceContextTextMapPropagator()

    @classmethod
    def start(cls, part: str, endpoint: str) -> Self | None:
        """What sends the spans of a part to an endpoint; nothing without an endpoint."""
        if not endpoint:
            return None
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as missing:
            _log.warning("no traces are sent to %s: %s. Install requirements/telemetry.lock", endpoint, missing)
            return None
        resource = Resource.create({"service.namespace": "hemline", "service.name": f"hemline-{part}"})
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        tracing = cls(provider)
        Finalize(None, tracing.end, exitpriority=0)  # also in a process of multiprocessing, which hears no `atexit`
        return tracing

    def request(self, environ: Mapping[str, Any], about: MutableMapping[str, Any]) -> Span:
        """The span of a request, in the trace of who asked; what is accepted meanwhile will carry it."""
        headers = {name: environ.get(f"HTTP_{name.upper()}", "") for name in ("traceparent", "tracestate")}
        span = self._tracer.start_span(
            "request", self._propagator.extract(headers), self._trace.SpanKind.SERVER,
            {"http.request.method": environ["REQUEST_METHOD"], "url.path": environ["PATH_INFO"]},
        )  # fmt: skip
        self._name(about, span)
        return span

    def answered(self, span: Span, operation: str, status: int, request_id: str) -> None:
        """A request was answered."""
        span.update_name(operation)
        span.set_attributes({"http.response.status_code": status, "hemline.request_id": request_id})
        if status >= 500:
            span.set_status(self._trace.StatusCode.ERROR)
        span.end()

    def predicting(self, groups: Groups, run: Callable[[Slice], None]) -> Callable[[Slice], None]:
        """The same function with a span for each batch that somebody traces."""

        def traced(piece: Slice) -> None:
            group = groups.group(piece.group)
            items = groups.items(group, range(piece.start, piece.stop)) if group else ()
            contexts = self._contexts(item.doc for item in items)
            attributes = {"hemline.slice": str(piece), "messaging.batch.message_count": piece.stop - piece.start,
                          "hemline.model_version": group.version if group else ""}  # fmt: skip
            self._run("predict", queue_of(piece.group), contexts, attributes, lambda: run(piece))

        return traced

    def working(self, store: JobStore, task: str, run: Callable[[str], None]) -> Callable[[str], None]:
        """The same function with a span for each job that somebody traces."""

        def traced(name: str) -> None:
            job = store.get(name)
            contexts = self._contexts([job.spec.get("request", {})] if job else ())
            self._run(task, TRAINING, contexts, {"hemline.job": name}, lambda: run(name))

        return traced

    def _run(
        self, name: str, queue: str, contexts: list[Context], attributes: dict[str, Any], run: Callable[[], None]
    ) -> None:
        if not contexts:
            run()
            return
        links = [self._trace.Link(self._trace.get_current_span(each).get_span_context()) for each in contexts]
        messaging = {"messaging.system": "celery", "messaging.operation.type": "process",
                     "messaging.destination.name": queue}  # fmt: skip
        kind: SpanKind = self._trace.SpanKind.CONSUMER
        parent = contexts[0] if len(contexts) == 1 else None
        with self._tracer.start_as_current_span(name, parent, kind, messaging | attributes, links) as span:
            with logs.about():
                self._name(logs.current(), span)
                run()

    def _contexts(self, documents: Iterable[Mapping[str, Any]]) -> list[Context]:
        """The contexts of those who are traced, each once."""
        parents = dict.fromkeys(document["traceparent"] for document in documents if "traceparent" in document)
        contexts = [self._propagator.extract({"traceparent": parent}) for parent in parents]
        return [each for each in contexts if self._trace.get_current_span(each).get_span_context().trace_flags.sampled]

    def _name(self, about: MutableMapping[str, Any], span: Span) -> None:
        self._propagator.inject(about, self._trace.set_span_in_context(span))
        about["trace_id"] = self._trace.format_trace_id(span.get_span_context().trace_id)


def following(store: JobStore, run: Callable[[str], None]) -> Callable[[str], None]:
    """The same function, with all that is said meanwhile naming the job and the request that asked for it."""

    def named(name: str) -> None:
        try:
            job = store.get(name)
        except RedisError:
            job = None  # the work itself will find that Redis is away
        with logs.about(job=name, **(job.spec.get("request", {}) if job else {})):
            run(name)

    return named
