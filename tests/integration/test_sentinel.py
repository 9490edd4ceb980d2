"""Two servers and three Sentinels: the service goes on with the other server when the master dies."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis as redis_py

from ml.artifacts import FileArtifacts
from processes import Process, RedisServer, Web, eventually, free_port, redis_binary, worker
from workers import backup
from workers.app import connect

PASSWORD, OTHER = "a master's", "a sentinel's"


class Server(Process):
    """A Redis, or a Sentinel, on a port of its own."""

    def __init__(self, folder: Path, password: str, *lines: str, sentinel: bool = False) -> None:
        folder.mkdir()
        self.port = free_port()
        config = folder / "redis.conf"  # a Sentinel writes what it learns into it
        config.write_text("\n".join([
            f"port {self.port}", "bind 127.0.0.1", f"dir {folder}", f'requirepass "{password}"', *lines,
        ]))  # fmt: skip
        self.client = redis_py.Redis(port=self.port, password=password)
        super().__init__([redis_binary(), str(config), *(["--sentinel"] if sentinel else [])], folder / "log")
        self.await_(self.answers, "it answers")

    def answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis_py.RedisError:
            return False

    def stop(self, number: signal.Signals = signal.SIGKILL, seconds: float = 60) -> int:
        self.client.close()
        return super().stop(number, seconds)


class Group:
    """A master with a replica, and the Sentinels that watch them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        def start(name: str, *lines: str) -> Server:
            server = Server(folder / name, PASSWORD, "appendonly yes", 'save ""', f'masterauth "{PASSWORD}"', *lines)
            stack.callback(server.stop)
            return server

        self.master = start("master")
        self.replica = start("replica", f"replicaof 127.0.0.1 {self.master.port}")
        eventually(lambda: self.replica.client.info("replication")["master_link_status"] == "up", "the replica follows")
        watched = [
            f"sentinel monitor hemline 127.0.0.1 {self.master.port} 2", f'sentinel auth-pass hemline "{PASSWORD}"',
            f'sentinel sentinel-pass "{OTHER}"', "sentinel down-after-milliseconds hemline 1000",
            "sentinel failover-timeout hemline 5000",
        ]  # fmt: skip
        self.sentinels = []
        for number in range(3):
            self.sentinels.append(Server(folder / f"sentinel-{number}", OTHER, *watched, sentinel=True))
            stack.callback(self.sentinels[-1].stop)
        for sentinel in self.sentinels:
            eventually(lambda: self._knows_all(sentinel), "the Sentinels know each other and the replica")
        # The first is nobody: one that is away must be in nobody's way.
        hosts = ",".join(f"127.0.0.1:{port}" for port in [free_port(), *(s.port for s in self.sentinels)])
        secrets = [text.replace(" ", "%20").replace("'", "%27") for text in (PASSWORD, OTHER)]
        self.url = f"sentinel://:{secrets[0]}@{hosts}/0?master=hemline&sentinel_password={secrets[1]}"

    def _knows_all(self, sentinel: Server) -> bool:
        state = sentinel.client.sentinel_master("hemline")
        return state["num-other-sentinels"] == 2 and state["num-slaves"] == 1


@pytest.fixture
def group(tmp_path: Path) -> Iterator[Group]:
    with ExitStack() as stack:
        yield Group(tmp_path, stack)


def test_a_connection_finds_the_new_master(group: Group) -> None:
    with connect(group.url) as client:
        client.set("key", "value")
        assert client.connection_pool.get_master_address() == ("127.0.0.1", group.master.port)
        eventually(lambda: group.replica.client.get("key"), "the replica has it too")
        group.master.kill()

        def answers() -> bool:
            try:
                return client.get("key") == b"value"
            except redis_py.RedisError:
                return False

        eventually(answers, "the other server answers")
        assert client.connection_pool.get_master_address() == ("127.0.0.1", group.replica.port)


def fails_over(sentinel: Server) -> bool:
    """Whether it began; it does not while it knows too little of the replica."""
    try:
        return bool(sentinel.client.execute_command("SENTINEL", "FAILOVER", "hemline"))
    except redis_py.ResponseError:
        return False


def test_an_open_connection_follows_the_master(group: Group) -> None:
    with connect(group.url) as client:
        client.set("key", "value")
        eventually(lambda: fails_over(group.sentinels[0]), "the Sentinels begin")
        eventually(lambda: group.master.client.info("replication")["role"] == "slave", "the master is a replica now")

        eventually(lambda: client.connection_pool.get_master_address()[1] == group.replica.port, "the Sentinels say so")
        client.set("key", "another")

        assert group.replica.client.get("key") == b"another"


def test_the_master_is_backed_up(
    group: Group, redis_server: RedisServer, redis: redis_py.Redis, tmp_path: Path
) -> None:
    group.master.client.set("hemline:key", "value")
    backup.save(group.url, FileArtifacts(tmp_path / "artifacts"), tmp_path / "file.tar")
    backup.restore(tmp_path / "file.tar", redis_server.url, FileArtifacts(tmp_path / "elsewhere"))

    assert redis.get("hemline:key") == b"value"


def test_predictions_go_on_after_a_failover_and_none_is_forgotten(group: Group, tmp_path: Path) -> None:
    environ = {"HEMLINE_REDIS_URL": group.url, "HEMLINE_HOME": str(tmp_path / "home"), "HEMLINE_MAX_WAIT": "20"}
    with ExitStack() as stack:
        at_work = worker(tmp_path / "worker.log", environ)
        stack.callback(at_work.stop)
        web = Web(tmp_path / "web.log", environ)
        stack.callback(web.stop)
        eventually(lambda: web.http.answers("/health/ready"), "the service is ready")
        before = web.http.predict("sneaker", wait=20).json()
        assert before["result"]["label"] == "Sneaker"
        # Replication does not wait: what the replica has not heard of dies with the master.
        assert group.master.client.wait(1, 10_000) == 1

        group.master.kill()
        assert web.http.predict("bag").status_code in (202, 503)
        eventually(lambda: group.replica.client.info("replication")["role"] == "master", "the replica is promoted")
        eventually(lambda: web.http.answers("/health/ready"), "the service is ready again")
        after = eventually(
            lambda: (answer := web.http.predict("dress", wait=20)).status_code == 201 and answer.json(),
            "predictions are answered again",
        )

        assert after["result"]["label"] == "Dress"
        assert web.http.get(f"/v1/predictions/{before['id']}").json()["result"] == before["result"]
        assert at_work.popen.poll() is None, at_work.output()
