"""A Redis that several servers stand in for: Sentinels say which of them is the master, also after a failover.

redis-py has no URL for that, and Celery's has no place for the master's name, so there is one that says all of it:

    sentinel://[[USER]:PASSWORD@]HOST[:PORT][,HOST[:PORT]]…[/DATABASE]?master=NAME[&sentinel_password=PASSWORD]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qs, quote, unquote, urlsplit

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from workers import clients

SCHEME = "sentinel://"
_PORT = 26379


@dataclass(frozen=True, kw_only=True)
class SentinelUrl:
    """The Sentinels, and how the master that they know is used."""

    sentinels: tuple[tuple[str, int], ...]
    master: str
    username: str | None
    password: str | None
    database: int
    sentinel_password: str | None

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read a URL as above. Raises ValueError for any other."""
        parts = urlsplit(url)
        query = parse_qs(parts.query, strict_parsing=True)
        _, _, hosts = parts.netloc.rpartition("@")
        places = [urlsplit(f"//{host}") for host in hosts.split(",")]
        sentinels = tuple((place.hostname, place.port or _PORT) for place in places if place.hostname)
        if len(sentinels) < len(places) or query.keys() - {"sentinel_password"} != {"master"}:
            raise ValueError(f"not a URL of Sentinels: {SCHEME}HOST:PORT,HOST:PORT/0?master=NAME is one")
        return cls(
            sentinels=sentinels, master=query["master"][0], username=_plain(parts.username),
            password=_plain(parts.password), database=int(parts.path.strip("/") or 0),
            sentinel_password=query.get("sentinel_password", [None])[0],
        )  # fmt: skip

    def connect(self, options: dict[str, Any]) -> Redis:
        """A pool of connections to whichever server is the master; each new one asks the Sentinels anew."""
        master: Redis = self._master(Sentinel, clients.Redis, Retry(NoBackoff(), 0), options)
        return master

    def connect_async(self, options: dict[str, Any]) -> AsyncRedis:
        """The same for an event loop."""
        master: AsyncRedis = self._master(AsyncSentinel, clients.AsyncRedis, AsyncRetry(NoBackoff(), 0), options)
        return master

    def _master(self, sentinel: Any, client: type, retry: Retry | AsyncRetry, options: dict[str, Any]) -> Any:
        watched = sentinel(self.sentinels, sentinel_kwargs=self._to_sentinels(retry))
        found = watched.master_for(
            self.master, client, username=self.username, password=self.password, db=self.database, **options
        )
        pool, asks = found.connection_pool, _AsksAgainAsync if issubclass(client, AsyncRedis) else _AsksAgain
        pool.connection_class = type("Connection", (asks, pool.connection_class), {})
        return found

    def broker_url(self) -> str:
        """What Celery calls it: a URL for each Sentinel. All are complete, as it goes from one to the next."""
        who = f"{quote(self.username or '', safe='')}:{quote(self.password or '', safe='')}@"
        hosts = (f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.sentinels)
        return ";".join(f"{SCHEME}{who if self.password else ''}{host}/{self.database}" for host in hosts)

    def broker_options(self) -> dict[str, Any]:
        """What Celery takes besides the URL."""
        return {"master_name": self.master, "sentinel_kwargs": self._to_sentinels(Retry(NoBackoff(), 0))}

    def _to_sentinels(self, retry: Retry | AsyncRetry) -> dict[str, Any]:
        # One that is away is no reason to wait: the next is asked.
        patience = {"socket_connect_timeout": 1, "socket_timeout": 2, "retry": retry}
        return patience | ({"password": self.sentinel_password} if self.sentinel_password else {})


def _plain(quoted: str | None) -> str | None:
    """A part of a URL as it was meant; an empty one is absent."""
    return unquote(quoted) if quoted else None


class _AsksAgain:
    """A connection that asks the Sentinels each time that it is made: redis-py's goes back to where it was when it is
    lost under a command, and after a failover that is a server which only reads."""

    def send_packed_command(self: Any, *arguments: Any, **options: Any) -> None:
        if not self._sock:
            self.connect()
        super().send_packed_command(*arguments, **options)  # type: ignore[misc]


class _AsksAgainAsync:
    """The same for an event loop."""

    async def send_packed_command(self: Any, *arguments: Any, **options: Any) -> None:
        if not self.is_connected:
            await self.connect()
        await super().send_packed_command(*arguments, **options)  # type: ignore[misc]
