"""The clients that programs use: `Client`, and `AsyncClient` for asyncio."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self, overload

from hemline.protocol import Exchange, TrainingEvent, W, Work
from hemline.retries import iterate, run
from hemline.wires import AsyncWire, BlockingWire
from hemline_api.models import Alias, BatchItem, Model, Prediction, TrainingJob

if TYPE_CHECKING:
    from hemline.images import Picture

DEFAULT_URL = "http://127.0.0.1:8000"


class Training:
    """A training job under way: iterate over its events, then take its result."""

    def __init__(self, exchange: Exchange, job: TrainingJob) -> None:
        self._exchange = exchange
        self.job = job
        self.id = job.id

    def __iter__(self) -> Iterator[TrainingEvent]:
        """What happened so far, then what happens, until the job ends."""
        return iterate(self._exchange.events(self.id))

    def result(self, timeout: float = math.inf) -> TrainingJob:
        """The finished job. Raises WorkFailed where it failed or was canceled, TimedOut."""
        return run(self._exchange.result(self.job, timeout))

    def cancel(self) -> None:
        """End the job at its next step."""
        run(self._exchange.cancel(self.id))


class Client:
    """A blocking client. Everything raises HemlineError where the service does not do it.

    `timeout` is how many seconds work may take before TimedOut is raised, unless a call says otherwise. A request that
    is refused because the service is busy (429, 503), or that does not reach it, is tried up to `tries` times, with
    pauses as `Retry-After` asks, or growing ones, of no more than `timeout` in all. `api` is the generated client with
    the same rules, for every operation of `hemline_api.api`.
    """

    def __init__(
        self, base_url: str = DEFAULT_URL, api_key: str | None = None, *, timeout: float = 60.0, tries: int = 5
    ) -> None:
        self._wire = BlockingWire(base_url, api_key, tries, timeout)
        self._exchange = Exchange(self._wire, timeout, tries)
        self.api = self._wire.api

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.api.get_httpx_client().close()

    def classify(
        self, image: Picture, *, model: str | None = None, top_k: int | None = None,
        metadata: Mapping[str, str] | None = None, timeout: float | None = None, **fields: Any,
    ) -> Prediction:
        """Classify one picture and wait for the answer. Other `fields` of the request are sent as they are."""
        fields |= {"model": model, "top_k": top_k, "metadata": metadata}
        return run(self._exchange.classify(image, fields, timeout))

    def classify_many(
        self, images: Iterable[Picture], *, model: str | None = None, top_k: int | None = None,
        timeout: float | None = None, **fields: Any,
    ) -> Iterator[BatchItem]:
        """Classify any number of pictures, in batches; answers come in their order, and a bad picture fails alone."""
        fields |= {"model": model, "top_k": top_k}
        return iterate(self._exchange.classify_many(images, fields, timeout))

    def submit(
        self, image: Picture, *, model: str | None = None, top_k: int | None = None,
        metadata: Mapping[str, str] | None = None, **fields: Any,
    ) -> Prediction:
        """Have one picture accepted for classification, without waiting."""
        fields |= {"model": model, "top_k": top_k, "metadata": metadata}
        return run(self._exchange.submit(image, fields))

    @overload
    def wait(self, work: W, timeout: float | None = None) -> W: ...

    @overload
    def wait(self, work: str, timeout: float | None = None) -> Any: ...

    def wait(self, work: Any, timeout: float | None = None) -> Any:
        """Wait until a prediction, batch or job, or the one of an id, has ended; in whatever way. Raises TimedOut."""
        return run(self._exchange.wait(work, timeout))

    def train(self, **spec: Any) -> Training:
        """Have a training job accepted; see the fields of `hemline_api.models.TrainingJobRequest`."""
        return Training(self._exchange, run(self._exchange.train(spec)))

    def jobs(self) -> Iterator[TrainingJob]:
        """All training jobs, newest first."""
        return iterate(self._exchange.listed(TrainingJob, "/v1/training-jobs"))

    def models(self) -> Iterator[Model]:
        """All versions of the model, newest first."""
        return iterate(self._exchange.listed(Model, "/v1/models"))

    def promote(self, version: str, alias: str = "production") -> Alias:
        """Point an alias at a version."""
        return run(self._exchange.promote(version, alias))

    def cancel(self, work: Work | str) -> None:
        """Cancel a prediction (which forgets it), a batch or a job, or the one of an id."""
        run(self._exchange.cancel(work))


class AsyncTraining:
    """`Training` for asyncio."""

    def __init__(self, exchange: Exchange, job: TrainingJob) -> None:
        self._exchange = exchange
        self.job = job
        self.id = job.id

    def __aiter__(self) -> AsyncIterator[TrainingEvent]:
        return self._exchange.events(self.id)

    async def result(self, timeout: float = math.inf) -> TrainingJob:
        """See `Training.result`."""
        return await self._exchange.result(self.job, timeout)

    async def cancel(self) -> None:
        """See `Training.cancel`."""
        await self._exchange.cancel(self.id)


class AsyncClient:
    """`Client` for asyncio."""

    def __init__(
        self, base_url: str = DEFAULT_URL, api_key: str | None = None, *, timeout: float = 60.0, tries: int = 5
    ) -> None:
        self._wire = AsyncWire(base_url, api_key, tries, timeout)
        self._exchange = Exchange(self._wire, timeout, tries)
        self.api = self._wire.api

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self.api.get_async_httpx_client().aclose()

    async def classify(
        self, image: Picture, *, model: str | None = None, top_k: int | None = None,
        metadata: Mapping[str, str] | None = None, timeout: float | None = None, **fields: Any,
    ) -> Prediction:
        """See `Client.classify`."""
        fields |= {"model": model, "top_k": top_k, "metadata": metadata}
        return await self._exchange.classify(image, fields, timeout)

    def classify_many(
        self, images: Iterable[Picture], *, model: str | None = None, top_k: int | None = None,
        timeout: float | None = None, **fields: Any,
    ) -> AsyncGenerator[BatchItem, None]:
        """See `Client.classify_many`."""
        fields |= {"model": model, "top_k": top_k}
        return self._exchange.classify_many(images, fields, timeout)

    async def submit(
        self, image: Picture, *, model: str | None = None, top_k: int | None = None,
        metadata: Mapping[str, str] | None = None, **fields: Any,
    ) -> Prediction:
        """See `Client.submit`."""
        fields |= {"model": model, "top_k": top_k, "metadata": metadata}
        return await self._exchange.submit(image, fields)

    @overload
    async def wait(self, work: W, timeout: float | None = None) -> W: ...

    @overload
    async def wait(self, work: str, timeout: float | None = None) -> Any: ...

    async def wait(self, work: Any, timeout: float | None = None) -> Any:
        """See `Client.wait`."""
        return await self._exchange.wait(work, timeout)

    async def train(self, **spec: Any) -> AsyncTraining:
        """See `Client.train`."""
        return AsyncTraining(self._exchange, await self._exchange.train(spec))

    def jobs(self) -> AsyncGenerator[TrainingJob, None]:
        """See `Client.jobs`."""
        return self._exchange.listed(TrainingJob, "/v1/training-jobs")

    def models(self) -> AsyncGenerator[Model, None]:
        """See `Client.models`."""
        return self._exchange.listed(Model, "/v1/models")

    async def promote(self, version: str, alias: str = "production") -> Alias:
        """See `Client.promote`."""
        return await self._exchange.promote(version, alias)

    async def cancel(self, work: Work | str) -> None:
        """See `Client.cancel`."""
        await self._exchange.cancel(work)
