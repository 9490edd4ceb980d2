"""`python -m chaos`: everything bad that can happen to the service, one after the other, and then an audit.

Clients and training jobs are at work meanwhile. The order of the troubles, their victims and their lengths come from
the seed. A run goes on until its time is over, but not before each trouble has come once.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random, randrange
from typing import Final, NamedTuple

from chaos.audit import Finding, audit, memory, reachable, shown
from chaos.site import Site, limited_disk
from chaos.stream import Attempt, Jobs, Outcome, Pictures, Stream
from chaos.troubles import TROUBLES

_QUIET: Final = (1.0, 4.0)  # seconds between two troubles
_log = logging.getLogger("chaos")


class Happened(NamedTuple):
    """A trouble that was, by time.monotonic."""

    name: str
    began: float
    ended: float


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=randrange(1_000_000), help="decides what happens, and to whom")
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--longest", type=float, default=20, help="seconds that a trouble may last")
    parser.add_argument("--keep", type=Path, help="a new folder for the logs, which stay")
    options = parser.parse_args()
    logging.basicConfig(level="INFO", format="%(asctime)s %(message)s", stream=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="hemline-chaos-") as temporary:
        folder = options.keep or Path(temporary)
        artifacts = folder / "artifacts"
        with limited_disk(artifacts) as disk, Site(folder, artifacts, disk) as site:
            print(f"Seed {options.seed}. {site.how()}\n", flush=True)
            findings = _run(site, options.seed, options.minutes * 60, options.longest)
    return 1 if any(finding.faults for finding in findings) else 0


def _run(site: Site, seed: int, seconds: float, longest: float) -> list[Finding]:
    pictures = Pictures(site.redis_url, site.artifacts_url)
    before = memory(site.redis)
    jobs = Jobs(site.http)
    stream = Stream(site.http.url, pictures, seed)
    time.sleep(_QUIET[1])
    happened = list(_suffer(site, Random(seed), seconds, longest))
    well = reachable(site)
    stream.end()
    jobs.end()
    print(_table(happened, stream.attempts), end="\n\n", flush=True)
    findings = [Finding("the service is ready again", "by itself", [] if well else ["it is not"])]
    for finding in audit(site, stream, jobs, before):
        _log.info("%s: %s", finding.what, "LOST" if finding.faults else "yes")
        findings.append(finding)
    print(shown(findings), flush=True)
    return findings


def _suffer(site: Site, random: Random, seconds: float, longest: float) -> Iterator[Happened]:
    """All troubles in one order, then in another, until the time is over."""
    ends, first = time.monotonic() + seconds, True
    while first or time.monotonic() < ends:
        for trouble in random.sample(TROUBLES, len(TROUBLES)):
            if not first and time.monotonic() >= ends:
                return
            lasts, quiet = trouble.lasts(random, longest), random.uniform(*_QUIET)
            began = time.monotonic()
            _log.info("%s (%.0f s)", trouble.name, lasts)
            trouble.inflict(site, random, lasts)
            yield Happened(trouble.name, began, time.monotonic())
            time.sleep(min(quiet, longest))
        first = False


def _table(happened: Sequence[Happened], attempts: Sequence[Attempt]) -> str:
    """What clients saw of each trouble, until the next began."""
    lines = ["| at | trouble | lasted | accepted | refused (503) | broken | nothing accepted for | slowest answer |",
             "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |"]  # fmt: skip
    start = happened[0].began
    ends = [each.began for each in happened[1:]] + [max(attempt.ended for attempt in attempts) + 1]
    accepted = sorted(each.ended for each in attempts if each.outcome is Outcome.ACCEPTED)
    for each, end in zip(happened, ends, strict=True):
        seen = [attempt for attempt in attempts if each.began <= attempt.ended < end]
        count = {outcome: sum(attempt.outcome is outcome for attempt in seen) for outcome in Outcome}
        slowest = max((attempt.seconds for attempt in seen if attempt.outcome is Outcome.ACCEPTED), default=0.0)
        lines.append(
            f"| {each.began - start:.0f} s | {each.name} | {each.ended - each.began:.1f} s | {count[Outcome.ACCEPTED]} "
            f"| {count[Outcome.REFUSED]} | {count[Outcome.BROKEN]} | {_gap(accepted, each.began, end):.1f} s "
            f"| {slowest:.1f} s |"
        )
    return "\n".join(lines)


def _gap(accepted: Sequence[float], began: float, ended: float) -> float:
    """The longest time within these in which nothing was accepted."""
    moments = [began, *(moment for moment in accepted if began < moment < ended), ended]
    return max(later - earlier for earlier, later in zip(moments, moments[1:], strict=False))


if __name__ == "__main__":
    sys.exit(main())
