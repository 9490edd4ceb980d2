"""`python -m tests.benchmarks`: the measurements that `make bench` and its relatives run."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.load import LoadFailed, closed
from tests.benchmarks.pictures import pictures, write_bodies
from tests.benchmarks.servers import hemline, running


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    commands = parser.add_subparsers(required=True)
    quick = commands.add_parser("hot", help="the product alone: waited predictions and CPU a request, for work on it")
    quick.add_argument("--connections", type=int, nargs="+", default=[1, 16, 64, 256])
    quick.add_argument("--seconds", type=float, default=5)
    quick.set_defaults(run=_hot)
    options = parser.parse_args()
    try:
        return options.run(options)
    except LoadFailed as failed:
        print(failed, file=sys.stderr)
        return 1


def _hot(options: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="hemline-bench-") as folder:
        server = hemline(*write_bodies(Path(folder), pictures(os.environ.get("HEMLINE_DATA_DIR", ""))))
        with running(server) as instance:
            closed(instance.url, server.ways.waited, 16, 2)  # warm
            for connections in options.connections:
                before = instance.cpu()
                load = closed(instance.url, server.ways.waited, connections, options.seconds)
                spent = {part: (now - before[part]) * 1e3 / load.answered for part, now in instance.cpu().items()}
                sizes = load.batch_sizes
                mean = sum(size * count for size, count in sizes.items()) / max(1, sum(sizes.values()))
                print(f"{connections:4d} connections  {load.per_second:7.1f}/s  p50 {load.p50_ms:7.2f}  "
                      f"p99 {load.p99_ms:7.2f} ms  early {load.early}  batch {mean:.1f}  CPU ms a request "
                      f"{sum(spent.values()):.3f}: "
                      + ", ".join(f"{part} {ms:.3f}" for part, ms in spent.items() if ms >= 5e-4), flush=True)  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
