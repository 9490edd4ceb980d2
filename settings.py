"""Every setting of every process, in one frozen object.

Only the entry points (`serve.py`, `api/server.py`, `api/asgi.py`, `workers/__main__.py`, `ml/__main__.py`) call
`Settings.from_env`; everything else is handed what it needs. Each setting is read from `HEMLINE_<NAME>`, except `port`,
which is `PORT`, the name that hosting platforms use.
"""

from __future__ import annotations

import ipaddress
import math
import os
import re
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

MIB = 1024 * 1024
VERSION = "0.1.0"  # of the release, as in pyproject.toml, which the images do not have


class InvalidSetting(ValueError):
    """A variable of the environment cannot be read; the message names it and says what it takes."""


def setting(
    default: Any, doc: str, *, least: float | None = None, most: float = math.inf, like: str = "", env: str = "",
    secret: bool = False,
) -> Any:
    """A field: its documentation, its limits or the pattern of its text, and its variable where that is special.

    What is secret is in no message and no log line.
    """
    metadata = {"doc": doc, "least": least, "most": most, "like": like, "env": env, "secret": secret}
    return field(default=default, repr=not secret, metadata=metadata)


_RATES = r"off|[1-9][0-9]*/(second|minute|hour|day)(;[1-9][0-9]*/(second|minute|hour|day))*"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an operator may set. Durations are in seconds, sizes in bytes."""

    home: Path = setting(Path(".hemline"), "Where the service keeps its state.")
    redis_url: str = setting(
        "", "Redis of the service: redis://, rediss://, unix:// or sentinel://HOST,HOST/0?master=NAME. "
        "Empty: `make run` starts one.",
        like=r"(redis|rediss|unix)://\S+|sentinel://\S+\?\S*master=\S+",
    )  # fmt: skip
    redis_memory: str = setting("2gb", "maxmemory of the Redis that `make run` starts.", like=r"[0-9]+([kmg]b?)?")
    redis_fsync: str = setting(
        "everysec", "When that Redis flushes to disk. `always` also survives a power cut, and is slower.",
        like="everysec|always",
    )  # fmt: skip
    artifacts_url: str = setting("", "Store of models: file:///path or s3://bucket/prefix. Empty: under HEMLINE_HOME.")
    data_dir: str = setting("", "Folder with the four Fashion-MNIST IDX files. Empty: downloaded once.")
    photos_dir: str = setting("", "Folder with the ten folders of photos that `python -m ml` trains on and judges by.")

    host: str = setting("127.0.0.1", "Address that the web process binds.")
    port: int = setting(8000, "Port that the web process binds; 0 takes a free one.", least=0, most=65535, env="PORT")
    auth: str = setting(
        "", "Whether callers need an API key. Empty: not on loopback, and the web process starts on no other address.",
        like="keys|off",
    )  # fmt: skip
    admin_key: str = setting(
        "", "A token of your own, of 32 characters or more, that is always taken as an admin's key. With one, "
        "`HEMLINE_AUTH` is `keys` unless it says `off`.",
        like=r"[A-Za-z0-9._~+/-]{32,}=*", secret=True,
    )  # fmt: skip
    web_processes: int = setting(0, "Web processes. 0: one for each core, at most 4.", least=0)
    web_threads: int = setting(64, "Threads of a web process, for what takes longer than a small picture.", least=2)
    prediction_workers: int = setting(1, "Prediction workers that `make run` starts.", least=1)
    training_workers: int = setting(1, "Training workers that `make run` starts, where training is installed.", least=0)

    max_body_bytes: int = setting(8 * MIB, "A larger request body is refused with 413.", least=1024)
    max_batch_bytes: int = setting(
        256 * MIB, "A larger file of pictures to classify is refused with 413; a ZIP may unpack to four times that.",
        least=1024,
    )  # fmt: skip
    max_batch_items: int = setting(
        100_000, "A file with more pictures to classify is refused with 422.", least=1, most=10_000_000
    )
    max_dataset_bytes: int = setting(256 * MIB, "A larger upload of a data set is refused with 413.", least=1024)
    max_pixels: int = setting(24_000_000, "A picture with more pixels is refused before it is decoded.", least=784)
    rate_limit: str = setting(
        "1000/second", "How often each API key may ask, as `100/second;3000/minute`; more is refused with 429.",
        like=_RATES,
    )  # fmt: skip
    address_rate_limit: str = setting(
        "200/second", "The same for each address, of requests without a valid key. Loopback that needs none is free.",
        like=_RATES,
    )  # fmt: skip
    trusted_proxies: int = setting(
        0, "Proxies before the service that add to `X-Forwarded-For`: the first of them saw the caller's address.",
        least=0,
    )  # fmt: skip
    trusted_hosts: str = setting(
        "", "Names, with commas, by which a service on loopback without keys may be asked for, besides loopback's own.",
    )
    max_requests: int = setting(2048, "Requests that a web process has at work; more are refused with 503.", least=8)
    max_connections: int = setting(8192, "Connections of a web process; more are closed at once.", least=16)
    max_held: int = setting(1024, "Requests that a web process holds for `Prefer: wait`; more are not held.", least=0)
    max_wait: float = setting(30.0, "Longest time that `Prefer: wait` holds a request.", least=0)
    max_queued_per_key: int = setting(
        10_000, "Predictions of one key that may wait, those of batches in JSON included; more are refused with 429.",
        least=1,
    )  # fmt: skip
    max_bulk_per_key: int = setting(
        200_000, "Pictures in batches from files of one key that may wait; more are refused with 429.", least=1
    )
    max_jobs_per_key: int = setting(
        100, "Training and tuning jobs of one key that may wait or run; more are refused with 429.", least=1
    )
    max_queued: int = setting(50_000, "Predictions that may wait; more are refused with 503.", least=1)
    max_delay: float = setting(
        10.0, "Single predictions that would wait longer, by what was answered of late, are refused with 503. 0: none.",
        least=0,
    )  # fmt: skip
    max_memory_share: float = setting(0.8, "Share of Redis' maxmemory above which submissions are refused.", least=0.1)
    result_ttl: int = setting(3600, "How long predictions and batches are kept after they ended.", least=1)

    reuse: int = setting(
        0, "How long an answer is given again for the same pixels and the same version. 0: each is computed.", least=0
    )
    idempotency_ttl: int = setting(
        86_400, "How long an `Idempotency-Key` is remembered. Each takes about 200 bytes of Redis' memory.", least=60
    )
    batch_size: int = setting(64, "Images in one inference batch.", least=1)
    inference_threads: int = setting(
        0, "Batches that a prediction worker computes at a time. 0: one for each core, at most 4.", least=0
    )
    linger: float = setting(0.02, "Longest time that a prediction waits for company.", least=0)
    lease: float = setting(10.0, "A batch whose worker has been silent for this long is given to another.", least=1)
    max_attempts: int = setting(3, "How often an image may take its worker down before it fails.", least=1)
    loaded_versions: int = setting(3, "Model versions that a prediction worker keeps loaded.", least=1)
    job_lease: float = setting(15.0, "A training job whose worker is silent for this long goes to another.", least=2)
    job_attempts: int = setting(4, "How often a training job may lose its worker without progress.", least=1)
    training_idle: float = setting(
        0.0, "A training worker that has had no work for this long ends, as a cluster's job should. 0: never.", least=0
    )
    alive_file: str = setting("", "File that a worker touches every second, for probes of its container. Empty: none.")
    max_waiting_jobs: int = setting(1000, "Training jobs that may wait; more are refused with 503.", least=1)
    checkpoint_seconds: float = setting(30.0, "Longest time between two checkpoints of a training job.", least=1)
    webhook_workers: int = setting(1, "Webhook workers that `make run` starts.", least=0)
    webhook_attempts: int = setting(10, "How often a webhook is sent before it has failed.", least=1, most=30)
    webhook_backoff: float = setting(
        5.0, "Longest time from a webhook's first attempt to its second; each is four times as long, up to a day.",
        least=0.01,
    )  # fmt: skip
    webhook_ttl: int = setting(604_800, "How long a webhook is kept after it was delivered or has failed.", least=60)
    webhook_allow: str = setting(
        "", "Networks that webhooks may be sent to although they are not public, as `10.0.0.0/8,fd00::/8`.",
        like=r"[0-9a-fA-F.:/, ]+",
    )  # fmt: skip
    log_level: str = setting("INFO", "How much is logged.", like="DEBUG|INFO|WARNING|ERROR")
    log_format: str = setting("text", "Log lines for people, or JSON objects for machines.", like="text|json")
    access_log: float = setting(
        0.0, "Share of requests that are logged, 0 to 1. Answers of 500 and above always are.", least=0, most=1
    )
    otlp_endpoint: str = setting(
        "", "Where traces go, by OTLP over HTTP. Empty: there are none. Needs `requirements/telemetry.lock`.",
        like=r"https?://\S+", env="OTEL_EXPORTER_OTLP_ENDPOINT",
    )  # fmt: skip

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read the environment; an empty variable counts as absent. Raises InvalidSetting."""
        given = {f.name: _parse(f, text) for f in fields(cls) if (text := environ.get(variable(f), "").strip())}
        return cls(**given)

    def processes(self) -> int:
        """How many web processes there are."""
        return self.web_processes or _few_cores()

    def threads(self) -> int:
        """How many batches a prediction worker computes at a time."""
        return self.inference_threads or _few_cores()

    def authenticates(self) -> bool:
        """Whether callers need a key. Raises InvalidSetting where others reach `host` and nobody has said so or not."""
        if self.auth or self.admin_key:
            return self.auth != "off"
        if not is_loopback(self.host):
            raise InvalidSetting(
                f"HEMLINE_HOST is {self.host!r}, where others reach the service, and no authentication is configured. "
                "Set HEMLINE_AUTH=keys and make a key with `python -m workers keys create` (or set HEMLINE_ADMIN_KEY "
                "to a secret token); set HEMLINE_AUTH=off if everybody who reaches it may do everything; or leave "
                "HEMLINE_HOST at 127.0.0.1."
            )
        return False

    def redis(self) -> str:
        """The URL of Redis. Raises InvalidSetting where there is none."""
        if not self.redis_url:
            raise InvalidSetting("HEMLINE_REDIS_URL is not set: name a Redis, or use `make run`, which brings one")
        return self.redis_url

    def artifacts(self) -> str:
        """The URL of the artifact store."""
        return self.artifacts_url or (self.home / "artifacts").absolute().as_uri()


def _few_cores() -> int:
    return min(4, len(os.sched_getaffinity(0)))


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


def variable(f: Field[Any]) -> str:
    """The environment variable of a setting."""
    return str(f.metadata["env"] or f"HEMLINE_{f.name.upper()}")


def _parse(f: Field[Any], text: str) -> Any:
    kind: type[Any] = type(f.default)
    try:
        value: Any = kind(text) if isinstance(f.default, (int, float, str)) else Path(text)
    except ValueError:
        raise InvalidSetting(f"{variable(f)} takes {_kinds[kind]}, not {text!r}. {f.metadata['doc']}") from None
    least, most, like = (f.metadata[name] for name in ("least", "most", "like"))
    if least is not None and not (math.isfinite(value) and least <= value <= most):
        limits = f"at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
        raise InvalidSetting(f"{variable(f)} must be {limits}, not {text}. {f.metadata['doc']}")
    if like and not re.fullmatch(like, value):
        given = "what was given" if f.metadata["secret"] else repr(text)
        raise InvalidSetting(f"{variable(f)} must look like {like}, not {given}. {f.metadata['doc']}")
    return value


_kinds: dict[type[Any], str] = {int: "a whole number", float: "a number"}
