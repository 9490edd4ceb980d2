"""What operators do by hand: `python -m workers keys`, `backup FILE`, `restore FILE`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from redis import RedisError

from ml.artifacts import Artifacts, open_artifacts
from settings import InvalidSetting, Settings
from workers import backup, embedded
from workers.app import connect
from workers.keys import FRESH, Key, KeyStore, Scope

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def main(arguments: Sequence[str] | None = None) -> int:
    """Do one command; the exit status is 1 where it could not be done, or where something was found damaged."""
    asked = parser().parse_args(arguments)
    try:
        settings = Settings.from_env()
        with backup.found(settings) as url:
            done: int = asked.run(asked, url, settings)
            return done
    except (backup.NotBackedUp, backup.NotRestored, embedded.InUse, InvalidSetting, RedisError, OSError) as failed:
        print(failed, file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m workers", description="What operators do by hand.")
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    _add_keys(commands.add_parser("keys", help="make, list, rotate and revoke API keys"))
    save = commands.add_parser("backup", help="write all that there is into a new file; the service may run")
    save.set_defaults(run=_files(lambda file, url, artifacts: backup.save(url, artifacts, file)))
    back = commands.add_parser("restore", help="bring them back into an empty Redis and an empty store")
    back.set_defaults(run=_files(backup.restore))
    for command in (save, back):
        command.add_argument("file", metavar="FILE", type=Path)
    return made


def _add_keys(keys: argparse.ArgumentParser) -> None:
    commands = keys.add_subparsers(required=True, metavar="ACTION")
    create = commands.add_parser("create", help="make a key and print its token, which is shown this once")
    create.add_argument("name", metavar="NAME", help="what you will know it by")
    create.add_argument(
        "--scope", dest="scopes", action="append", type=Scope, choices=[*Scope], required=True,
        help="what it is good for: predict, train or admin, which includes both; may be given twice",
    )  # fmt: skip
    create.add_argument("--expires-in", type=_seconds, metavar="TIME", help="such as 12h or 90d; without it, never")
    rotate = commands.add_parser("rotate", help="make a key that replaces another, which stays valid until revoked")
    revoke = commands.add_parser("revoke", help="end a key for ever")
    for command in (rotate, revoke):
        command.add_argument("key", metavar="KEY", help="key_…, as `list` shows it")
    listing = commands.add_parser("list", help="all keys, newest first")
    for command, run in ((create, _create), (rotate, _rotate), (revoke, _revoke), (listing, _list)):
        command.set_defaults(run=_keys(run))


def _keys(run: Callable[[argparse.Namespace, KeyStore], int]) -> Callable[[argparse.Namespace, str, Settings], int]:
    return lambda asked, url, _: run(asked, KeyStore(connect(url)))


def _files(
    run: Callable[[Path, str, Artifacts], backup.Backup]
) -> Callable[[argparse.Namespace, str, Settings], int]:
    def do(asked: argparse.Namespace, url: str, settings: Settings) -> int:
        done = run(asked.file, url, open_artifacts(settings.artifacts()))
        print(f"{asked.file}: of {done.created_at}, {done.artifacts:,} artifacts, {done.size:,} bytes")
        for name in done.damaged:
            print(f"{name} is not what was published: restore it from an older backup", file=sys.stderr)
        return 1 if done.damaged else 0

    return do


def _create(asked: argparse.Namespace, keys: KeyStore) -> int:
    return _show(*keys.create(asked.name, asked.scopes, asked.expires_in))


def _rotate(asked: argparse.Namespace, keys: KeyStore) -> int:
    made = keys.rotate(asked.key)
    return _show(*made) if made else _unknown(asked.key)


def _revoke(asked: argparse.Namespace, keys: KeyStore) -> int:
    if not keys.revoke(asked.key):
        return _unknown(asked.key)
    print(f"{asked.key} is revoked; no process takes it {FRESH:g} seconds from now")
    return 0


def _list(_: argparse.Namespace, keys: KeyStore) -> int:
    print("\t".join(("key", "name", "scopes", "made", "expires", "last used")))
    for key in _all(keys):
        moments = (key.created, key.expires, key.used)
        times = (f"{datetime.fromtimestamp(time / 1e6, UTC):%Y-%m-%dT%H:%MZ}" if time else "never" for time in moments)
        print("\t".join((key.id, key.name, ",".join(sorted(key.scopes)), *times)))
    return 0


def _all(keys: KeyStore) -> Iterator[Key]:
    cursor = None
    while True:
        page, cursor = keys.page(cursor, 100)
        yield from page
        if cursor is None:
            return


def _show(key: Key, token: str) -> int:
    """The token alone goes to standard output, so that it can go into a file."""
    print(f"{key.id} ({key.name}) is good for {', '.join(sorted(key.scopes))}. This is shown once:", file=sys.stderr)
    print(token)
    return 0


def _unknown(key: str) -> int:
    print(f"there is no key {key}; `list` shows those that there are", file=sys.stderr)
    return 1


def _seconds(text: str) -> int:
    if not text[:-1].isdecimal() or text[-1:] not in _UNITS or not int(text[:-1]):
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 45s, 30m, 12h or 90d")
    return int(text[:-1]) * _UNITS[text[-1]]


if __name__ == "__main__":
    sys.exit(main())
