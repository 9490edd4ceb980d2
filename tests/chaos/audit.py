"""What must hold when all troubles are over. Whatever does not is a loss."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

from redis import Redis

from chaos import keys
from chaos.site import Site
from chaos.stream import Accepted, Jobs, Stream
from processes import Client
from workers.groups import PENDING, QUEUED
from workers.records import STATES

_PATIENCE: Final = 90  # seconds in which everything that was accepted has to end once the troubles are over
_SHOWN: Final = 5  # faults of a kind that are told
# What Redis may use more than before, besides what stays for good: buffers of connections, scripts, rests of tables.
_SLACK: Final = 2 * 1024 * 1024


class Finding(NamedTuple):
    """One thing that was looked at: how much of it, and all that is wrong with it."""

    what: str
    seen: str
    faults: list[str]


class Memory(NamedTuple):
    """What Redis uses (bytes), and the keys that it has."""

    used: int
    keys: frozenset[str]


def memory(redis: Redis) -> Memory:
    """As it is now."""
    redis.execute_command("MEMORY", "PURGE")
    used: Any = redis.info("memory")
    return Memory(int(used["used_memory"]), frozenset(keys.names(redis)))


def audit(site: Site, stream: Stream, jobs: Jobs, before: Memory) -> Iterator[Finding]:
    """Every finding, in the order in which things come to rest."""
    answers = stream.answers(_PATIENCE)
    yield _answered(answers, stream)
    yield _made_once(site.redis, stream)
    yield _labels(answers, stream)
    yield _unchanged(answers)
    yield Finding("no client got an answer that none should get", f"{len(stream.attempts):,} submissions",
                  stream.wrong + jobs.wrong)  # fmt: skip
    yield _trained(site, jobs)
    yield _states(site.redis)
    yield _at_rest(site.redis)
    yield _expired(site.redis, before)


def _answered(answers: list[tuple[Accepted, dict[str, Any] | None]], stream: Stream) -> Finding:
    faults = [f"{found.location} has not ended" for found, body in answers if body is None]
    faults += [f"{found.location} {body['status']}: {body.get('error')}"
               for found, body in answers if body and body["status"] != "succeeded"]  # fmt: skip
    count = sum(len(found.pictures) for found, _ in answers)
    return Finding("accepted is answered", f"{len(answers):,} requests, {count:,} pictures", faults)


def _made_once(redis: Redis, stream: Stream) -> Finding:
    """What is there is what was accepted: whoever heard nothing sent his request again, and it made nothing anew."""
    places = [found.location for found in stream.accepted]
    groups: Any = redis.zrange("hemline:index:pred", 0, -1)
    states = (redis.hget(f"hemline:{name.decode()}", "states") or b"" for name in groups)
    made = sum(len(each) - each.count(b"d") for each in states) + redis.zcard("hemline:index:batch")
    faults = [f"{len(places)} requests have {len(set(places))} places"] if len(set(places)) < len(places) else []
    if not len(places) <= made <= len(places) + stream.unheard:
        faults.append(f"{len(places)} were accepted, of {stream.unheard} nothing was heard, and {made} are there")
    return Finding("each request made one thing", f"{made:,} things, {stream.repeated} asked for again", faults)


def _labels(answers: list[tuple[Accepted, dict[str, Any] | None]], stream: Stream) -> Finding:
    faults, count = list[str](), 0
    there = [(found, body) for found, body in answers if body and body["status"] == "succeeded"]
    with ThreadPoolExecutor(8) as pool:
        labels = list(pool.map(lambda each: _given(stream.url, each[1]), there))
    for (found, body), given in zip(there, labels, strict=True):
        wanted = [stream.pictures.label(body["model_version"], each) for each in found.pictures]
        count += len(given)
        if given != wanted:
            faults.append(f"{found.location}: {given} instead of {wanted}")
    return Finding("each once, with the label that the version gives it", f"{count:,} labels", faults)


def _given(url: str, body: dict[str, Any]) -> list[str]:
    if "results_url" not in body["result"]:
        return [body["result"]["label"]]
    answer = Client(url).get(body["result"]["results_url"], headers={"Accept": "text/csv"})
    header, *lines = answer.text.splitlines()
    place = header.split(",").index("label")
    return [line.split(",")[place] for line in lines]


def _unchanged(answers: list[tuple[Accepted, dict[str, Any] | None]]) -> Finding:
    seen = [(found, body) for found, body in answers if found.first is not None]
    faults = [f"{found.location} was {found.first} and is {body}" for found, body in seen if found.first != body]
    return Finding("final answers are as clients saw them first", f"{len(seen):,} answers", faults)


def _trained(site: Site, jobs: Jobs) -> Finding:
    """Each job succeeded and made one version, also where it was begun again and again."""
    faults, attempts = list[str](), 0
    made = [each.get("origin") for each in _models(site.http)]
    for job in jobs.accepted:
        ended = jobs.final(job, _PATIENCE)
        events: Any = site.redis.xrange(f"hemline:{job}:events")
        attempts += sum(entry[b"type"] == b"running" for _, entry in events)
        made = [each.get("origin") for each in _models(site.http)]
        if ended["status"] != "succeeded" or made.count(job) != 1:
            faults.append(f"{job} {ended['status']} ({ended.get('error')}) with {made.count(job)} versions")
    if not jobs.accepted:
        faults.append("no training job was accepted")
    return Finding("each training job made one version", f"{len(jobs.accepted)} jobs, begun {attempts} times", faults)


def _models(http: Client) -> Iterator[dict[str, Any]]:
    for model in http.pages("/v1/models", limit=100):
        yield http.get(f"/v1/models/{model['version']}").json()


def _states(redis: Redis) -> Finding:
    """No record stands still, also none that its client does not know of, as the word of it was lost."""
    count, faults = 0, list[str]()
    for key in keys.names(redis):
        if key.startswith(("hemline:pred:", "hemline:batch:")):
            states: Any = redis.hget(key, "states")
            count += len(states or b"")
            standing = {STATES[letter].value for letter in (states or b"").decode() if letter in "qr"}
            faults += [f"{key} has {', '.join(sorted(standing))} pictures"] if standing else []
    return Finding("no record is stuck", f"{count:,} pictures", faults)


def _at_rest(redis: Redis) -> Finding:
    faults = _settled(lambda: list(keys.at_fault(redis)))
    pending, queued = redis.zcard(PENDING), redis.get(QUEUED)
    return Finding("every key of Redis is as it may be", f"{redis.dbsize():,} keys, {pending} slices pending, queued "
                   f"{int(queued or 0)}", faults)  # fmt: skip


def _expired(redis: Redis, before: Memory) -> Finding:
    """When all has expired, Redis is as it was, but for what stays for good."""
    full = memory(redis).used
    keys.let_expire(redis)

    def left() -> list[str]:
        now = memory(redis)
        lasting = [key for key in now.keys if keys.stays(key) is not keys.Stays.FOR_A_TIME]
        records = [key for key in now.keys if key.startswith(("hemline:pred:", "hemline:batch:"))]
        indexed = [f"{index} has {redis.zcard(index)}" for index in ("hemline:index:pred", "hemline:index:batch")
                   if redis.zcard(index)]  # fmt: skip
        new = sum(redis.memory_usage(key, samples=0) or 0 for key in lasting if key not in before.keys)
        grown = now.used - before.used - new
        return [*records, *indexed, *([f"{grown:,} bytes more than before"] if grown > _SLACK else [])]

    faults = _settled(left)
    now = memory(redis)
    return Finding("Redis' memory is what it was", f"{before.used / 1e6:.1f} MB before, {full / 1e6:.1f} MB with all "
                   f"records, {now.used / 1e6:.1f} MB when they had expired", faults)  # fmt: skip


def _settled(faults: Callable[[], list[str]], seconds: float = 60) -> list[str]:
    """What is still wrong after so long, or nothing as soon as nothing is."""
    deadline = time.monotonic() + seconds
    while (found := faults()) and time.monotonic() < deadline:
        time.sleep(0.5)
    return found


def shown(findings: list[Finding]) -> str:
    """The audit as a table, and every fault behind it."""
    rows = [f"| {each.what} | {each.seen} | {'LOST: ' + str(len(each.faults)) if each.faults else 'yes'} |"
            for each in findings]  # fmt: skip
    lines = ["| holds | seen | |", "| --- | --- | --- |", *rows]
    for each in findings:
        lines += ["", f"{each.what}:", *(f"- {fault}" for fault in each.faults[:_SHOWN])] if each.faults else []
        if len(each.faults) > _SHOWN:
            lines.append(f"- and {len(each.faults) - _SHOWN} more")
    return "\n".join(lines)


def reachable(site: Site, seconds: float = 90) -> bool:
    """Whether the service gets ready again by itself."""
    deadline = time.monotonic() + seconds
    while not site.http.answers("/health/ready"):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True
