"""The registry's index in Redis: the version counter, the versions, the aliases and their history."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import orjson
from redis import Redis

from ml.registry import Move, UnknownModel
from workers.groups import ALIASES, VERSIONS

_NUMBER = "hemline:version-number"
_RAISE = """
local number = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), tonumber(ARGV[1])) + 1
redis.call('SET', KEYS[1], number)
return number
"""
_REMOVE = """
local pointing, aliases = {}, redis.call('HGETALL', KEYS[1])
for i = 1, #aliases, 2 do
  if aliases[i + 1] == ARGV[1] then pointing[#pointing + 1] = aliases[i] end
end
if #pointing == 0 then redis.call('SREM', KEYS[2], ARGV[1]) end
return pointing
"""


class RedisIndex:
    """Implements ml.registry.Index for any number of processes and machines."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._raise = redis.register_script(_RAISE)
        self._remove = redis.register_script(_REMOVE)

    def next_number(self, floor: int) -> int:
        return int(self._raise([_NUMBER], [floor]))

    def add(self, version: str) -> None:
        self._redis.sadd(VERSIONS, version)

    def remove(self, version: str) -> list[str]:
        pointing: list[Any] = self._remove([ALIASES, VERSIONS], [version])
        return [name.decode() for name in pointing]

    def versions(self) -> list[str]:
        names: set[Any] = self._redis.smembers(VERSIONS)
        return [name.decode() for name in names]

    def adopt(self, alias: str, moves: list[Move]) -> None:
        if moves and self._redis.hsetnx(ALIASES, alias, moves[0].to_version):
            self._redis.rpush(_moves(alias), *(orjson.dumps(asdict(move)) for move in moves))

    def move(self, move: Move) -> Move:
        """The alias and its history change in one transaction, begun anew when another got in between."""

        def transfer(pipe: Any) -> Move:
            if not pipe.sismember(VERSIONS, move.to_version):
                raise UnknownModel(move.to_version)
            before = pipe.hget(ALIASES, move.alias)
            made = replace(move, from_version=before.decode() if before else None)
            pipe.multi()
            pipe.hset(ALIASES, move.alias, move.to_version)
            pipe.lpush(_moves(move.alias), orjson.dumps(asdict(made)))
            return made

        transaction: Any = self._redis.transaction
        made: Move = transaction(transfer, ALIASES, VERSIONS, value_from_callable=True)
        return made

    def aliases(self) -> dict[str, Move]:
        names: list[Any] = self._redis.hkeys(ALIASES)
        return {name.decode(): self._range(name.decode(), 0)[0] for name in names}

    def history(self, alias: str) -> list[Move]:
        return self._range(alias, -1)

    def _range(self, alias: str, last: int) -> list[Move]:
        return [Move(**orjson.loads(text)) for text in self._redis.lrange(_moves(alias), 0, last)]


def _moves(alias: str) -> str:
    return f"hemline:moves:{alias}"
