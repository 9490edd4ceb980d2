"""`python -m tests.benchmarks`: the measurements that `make bench` and its relatives run."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from ml import layout
from tests.benchmarks import capacity, compared, report, scaling, soak, swap
from tests.benchmarks.classifier import shipped_file
from tests.benchmarks.environment import environment
from tests.benchmarks.load import Load, LoadFailed, closed, drained
from tests.benchmarks.pictures import pictures, write_bodies
from tests.benchmarks.rounds import Protocol, measure
from tests.benchmarks.servers import BULK, Running, Server, hemline, running

_QUICK = Protocol(rounds=1, seconds=2, rest=4, rates=(100, 400, 1600))
_SHORTEST = Protocol(rounds=1, seconds=2, rest=1, connections=(1, 64), rates=(50,))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    commands = parser.add_subparsers(required=True)
    compare = commands.add_parser("compare", help="Hemline and others in interleaved rounds")
    compare.add_argument("--peers", nargs="*", help="all model servers, or those whose name has one of these words")
    compare.add_argument("--only-product", action="store_true")
    length = compare.add_mutually_exclusive_group()
    length.add_argument("--quick", dest="protocol", action="store_const", const=_QUICK, help="one short round")
    length.add_argument("--shortest", dest="protocol", action="store_const", const=_SHORTEST,
                        help="only enough to see that everything runs")  # fmt: skip
    compare.add_argument("--rounds", type=int)
    compare.add_argument("--seconds", type=int, help="length of each measurement")
    compare.add_argument("--out", type=Path, default=Path("build/bench/results.json"))
    compare.set_defaults(run=_compare, protocol=Protocol())
    show = commands.add_parser("report", help="the tables of earlier results")
    show.add_argument("results", type=Path)
    show.set_defaults(run=_report)
    swapping = commands.add_parser("swap", help="latency while the production model is changed again and again")
    swapping.add_argument("--rate", type=float, default=500, help="requests a second")
    swapping.add_argument("--rounds", type=int, default=3)
    swapping.add_argument("--seconds", type=int, default=10, help="length of each of the three runs of a round")
    swapping.add_argument("--out", type=Path, default=Path("build/bench/swap.json"))
    swapping.set_defaults(run=_swap)
    long = commands.add_parser("soak", help="a long time under load: memory, latency, errors")
    long.add_argument("--minutes", type=float, default=30)
    long.add_argument("--rate", type=float, help="requests a second; 70 % of the measured capacity unless given")
    long.add_argument("--out", type=Path, default=Path("build/bench/soak.json"))
    long.set_defaults(run=_soak)
    scale = commands.add_parser("scaling", help="throughput by the number of web processes and workers")
    scale.add_argument("--most", type=int, default=4, help="largest number of each")
    scale.add_argument("--seconds", type=int, default=4)
    scale.add_argument("--out", type=Path, default=Path("build/bench/scaling.json"))
    scale.set_defaults(run=_scaling)
    size = commands.add_parser("capacity", help="what so many cores carry, by the figures of `scaling`")
    size.add_argument("results", type=Path)
    size.set_defaults(run=_capacity)
    hot = commands.add_parser("hot", help="the product alone: waited predictions and CPU a request, for work on it")
    hot.add_argument("--connections", type=int, nargs="+", default=[1, 16, 64, 256])
    hot.add_argument("--bulk", action="store_true", help="images of batches instead")
    hot.add_argument("--seconds", type=int, default=5)
    hot.set_defaults(run=_hot)
    options = parser.parse_args()
    try:
        return int(options.run(options))
    except LoadFailed as failed:
        print(failed, file=sys.stderr)
        return 1


def _compare(options: argparse.Namespace) -> int:
    given = {name: value for name in ("rounds", "seconds") if (value := getattr(options, name)) is not None}
    protocol = replace(options.protocol, **given)
    results: report.Results = {"environment": environment(), "protocol": asdict(protocol),
                               "rounds": [], "absent": {}}  # fmt: skip
    with _bodies() as (folder, images, single, bulk):
        os.environ["CLASSIFIER_FILE"] = str(network := folder / "network.tflite")
        network.write_bytes(layout.fastest(shipped_file().read_bytes()))
        servers = [hemline(single, bulk), *([] if options.only_product else [compared.naive(single)])]
        if options.peers is not None:
            wanted = [word.lower() for word in options.peers] or [""]
            servers += [each for each in compared.peers(images, folder) if any(w in each.name.lower() for w in wanted)]
        for server in list(servers):
            if reason := compared.absent(server):
                results["absent"][server.name] = reason
                servers.remove(server)
        # Interleaved, so that what else happens on the machine meets all of them.
        for number in range(protocol.rounds):
            for server in servers:
                print(f"round {number + 1} of {protocol.rounds}: {server.name}", file=sys.stderr, flush=True)
                results["rounds"].append(measure(server, protocol, number, images))
                _write(options.out, results)
    print(report.tables(results))
    ours = (report.PRODUCT, report.NAIVE)
    return any(each["failures"] and each["server"].startswith(ours) for each in results["rounds"])


def _report(options: argparse.Namespace) -> int:
    print(report.tables(json.loads(options.results.read_text())))
    return 0


def _swap(options: argparse.Namespace) -> int:
    with _bodies() as (folder, _, single, bulk):
        found = swap.measure(hemline(single, bulk), options.rate, options.seconds, options.rounds, folder)
    _write(options.out, {"environment": environment(), **found})
    print(swap.table(found))
    return 0


def _soak(options: argparse.Namespace) -> int:
    with _bodies() as (folder, _, single, bulk):
        server = hemline(single, bulk, HEMLINE_RESULT_TTL=str(soak.KEPT))
        found = soak.measure(server, options.minutes, options.rate, folder)
    _write(options.out, {"environment": environment(), **found})
    print(soak.table(found))
    return 0 if soak.holds(found) else 1


def _scaling(options: argparse.Namespace) -> int:
    with _bodies() as (_, _, single, bulk):

        def serve(web: int, workers: int) -> Server:
            return hemline(single, bulk, HEMLINE_WEB_PROCESSES=str(web), HEMLINE_PREDICTION_WORKERS=str(workers))

        found = scaling.measure(serve, options.seconds, options.most)
    _write(options.out, {"environment": environment(), **found})
    print(capacity.tables(found))
    return 0


def _capacity(options: argparse.Namespace) -> int:
    print(capacity.tables(json.loads(options.results.read_text())))
    return 0


def _hot(options: argparse.Namespace) -> int:
    with _bodies() as (_, _, single, bulk), running(hemline(single, bulk)) as instance:
        waited, many = instance.server.ways.waited, instance.server.ways.bulk
        closed(instance.url, waited, 16, 2)  # warm
        if options.bulk:
            assert many is not None
            load, spent = _spent(instance, lambda: drained(instance.url, many, 4, options.seconds))
            print(f"bulk  {load.per_second * BULK:8.1f} images/s  CPU µs an image {_by_part(spent, 1e6 / BULK)}, "
                  f"client {load.client_cpu / load.per_second / BULK * 1e6:.1f}")  # fmt: skip
            return 0
        for connections in options.connections:
            load, spent = _spent(instance, lambda: closed(instance.url, waited, connections, options.seconds))
            sizes = load.batch_sizes
            mean = sum(size * count for size, count in sizes.items()) / max(1, sum(sizes.values()))
            print(f"{connections:4d} connections  {load.per_second:7.1f}/s  p50 {load.p50_ms:7.2f}  "
                  f"p99 {load.p99_ms:7.2f} ms  early {load.early}  batch {mean:.1f}  CPU ms a request "
                  + _by_part(spent, 1e3), flush=True)  # fmt: skip
    return 0


def _spent(instance: Running, work: Callable[[], Load]) -> tuple[Load, dict[str, float]]:
    """What some load came to, and the seconds of CPU that each part took for one request of it."""
    before = instance.cpu()
    load = work()
    return load, {part: (now - before[part]) / load.answered for part, now in instance.cpu().items()}


def _by_part(seconds: dict[str, float], unit: float) -> str:
    parts = (f"{part} {value * unit:.3g}" for part, value in seconds.items() if value * unit >= 5e-4)
    return f"{sum(seconds.values()) * unit:.3g}: " + ", ".join(parts)


@contextmanager
def _bodies() -> Iterator[tuple[Path, list[str], Path, Path]]:
    """A folder, the pictures, and the files of bodies with one and with many."""
    images = pictures(os.environ.get("HEMLINE_DATA_DIR", ""))
    with tempfile.TemporaryDirectory(prefix="hemline-bench-") as folder:
        yield Path(folder), images, *write_bodies(Path(folder), images)


def _write(file: Path, results: report.Results) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    sys.exit(main())
