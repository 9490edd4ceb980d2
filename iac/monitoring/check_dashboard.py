"""Fail where Grafana's own model of a dashboard does not know something in ours: `make metrics-check`.

Runs with grafana-foundation-sdk, which Grafana generates from its schemas. It drops what it does not know, so what is
not there after a round trip is a mistake, or of another release.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

DASHBOARD = Path(__file__).parent / "grafana" / "dashboards" / "hemline.json"


def main() -> int:
    register_default_plugins()
    ours = json.loads(DASHBOARD.read_bytes())
    wrong = list(_differences(ours, json.loads(JSONEncoder().encode(Dashboard.from_json(ours)))))
    print(*wrong, sep="\n", file=sys.stderr)
    print(f"{len(ours['panels'])} panels, {len(wrong)} differences")
    return 1 if wrong else 0


def _differences(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name, value in ours.items():
            if name in theirs:
                yield from _differences(value, theirs[name], f"{path}/{name}")
            else:
                yield f"{path}/{name} is unknown to Grafana"
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from _differences(one, other, f"{path}/{number}")
    elif ours != theirs:
        yield f"{path} is {ours!r} to us and {theirs!r} to Grafana"


if __name__ == "__main__":
    sys.exit(main())
