"""`python -m workers backup FILE` and `restore FILE`: all that the service knows, in one file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from redis import RedisError

from ml.artifacts import open_artifacts
from settings import InvalidSetting, Settings
from workers import backup, embedded


def main(arguments: Sequence[str] | None = None) -> int:
    """Do one command; the exit status is 1 where it could not be done, or where something was found damaged."""
    asked = parser().parse_args(arguments)
    try:
        settings = Settings.from_env()
        artifacts = open_artifacts(settings.artifacts())
        with backup.found(settings) as url:
            done = asked.run(asked.file, url, artifacts)
    except (backup.NotBackedUp, backup.NotRestored, embedded.InUse, InvalidSetting, RedisError, OSError) as failed:
        print(failed, file=sys.stderr)
        return 1
    print(f"{asked.file}: of {done.created_at}, {done.artifacts:,} artifacts, {done.size:,} bytes")
    for name in done.damaged:
        print(f"{name} is not what was published: restore it from an older backup", file=sys.stderr)
    return 1 if done.damaged else 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m workers", description="Back the service up, or bring it back.")
    commands = made.add_subparsers(required=True)
    save = commands.add_parser("backup", help="write all that there is into a new file; the service may run")
    save.set_defaults(run=lambda file, url, artifacts: backup.save(url, artifacts, file))
    back = commands.add_parser("restore", help="bring them back into an empty Redis and an empty store")
    back.set_defaults(run=backup.restore)
    for command in (save, back):
        command.add_argument("file", metavar="FILE", type=Path)
    return made


if __name__ == "__main__":
    sys.exit(main())
