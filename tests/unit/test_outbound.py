"""What strangers' URLs lead to, and what they must not lead to."""

import ipaddress
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from workers.outbound import BadUrl, NotAllowed, Unreachable, check, is_allowed, networks, post

LOCAL = networks("127.0.0.0/8")


@pytest.mark.parametrize("url", [
    "https://shop.example.com", "https://shop.example.com/hooks?a=b", "http://shop.example.com:8080/",
    "https://8.8.8.8/", "https://[2606:4700:4700::1111]/", "HTTPS://Shop.Example/",
])  # fmt: skip
def test_what_may_be_public_is_taken(url: str) -> None:
    assert check(url).hostname


@pytest.mark.parametrize("url", [
    "", "shop.example.com", "ftp://shop.example.com", "file:///etc/passwd", "gopher://shop.example.com", "https://",
    "https://user@shop.example.com", "https://user:word@shop.example.com", "https://shop.example.com/#part",
    "https://shop.example.com:0/", "https://shop.example.com:99999/", "https://[::1", "https://shöp.example/",
    "https://shop.example.com/a b", "https://shop.example.com\\@127.0.0.1/", "https://shop.example.com/\r\nX: y",
    "https://" + "a" * 2050, "https://" + "a" * 300 + ".example",
    # The same machine, in all the ways in which it can be written.
    "http://127.0.0.1/", "http://127.1/", "http://0x7f.1/", "http://0x7f000001/", "http://2130706433/",
    "http://017700000001/", "http://0/", "http://0.0.0.0/", "http://[::1]/", "http://[::]/",
    "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/",
    # Others that are nobody's business outside.
    "http://10.0.0.1/", "http://172.16.3.4/", "http://192.168.1.1/", "http://169.254.169.254/latest/meta-data",
    "http://100.64.0.1/", "http://[fd00::1]/", "http://[fe80::1%25eth0]/", "http://224.0.0.1/", "http://[ff02::1]/",
    "http://255.255.255.255/", "http://198.18.0.1/",
])  # fmt: skip
def test_what_is_no_public_url_is_refused(url: str) -> None:
    with pytest.raises(BadUrl):
        check(url)


def test_an_operator_may_allow_networks() -> None:
    allowed = networks("10.0.0.0/8, fd00::/8")
    assert check("http://10.1.2.3/", allowed) and check("http://[fd00::1]/", allowed)
    assert check("http://[::ffff:10.1.2.3]/", allowed)
    with pytest.raises(BadUrl):
        check("http://127.0.0.1/", allowed)
    with pytest.raises(ValueError, match="10"):
        networks("10.0.0.0/99")


@pytest.mark.parametrize("addresses", [
    ["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["::ffff:192.168.0.1"], ["fe80::1%eth0"],
])  # fmt: skip
def test_a_name_with_an_address_that_is_not_public_leads_nowhere(addresses: list[str]) -> None:
    with pytest.raises(NotAllowed):
        post("https://shop.example/", b"", {}, resolve=lambda host, port: addresses)


def test_a_name_is_asked_for_once_and_the_connection_goes_where_it_led() -> None:
    asked: list[tuple[str, int]] = []

    def changing(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["127.0.0.1"]

    with receiver(b"HTTP/1.1 204 No Content\r\n\r\n") as (port, received):
        answer = post(f"http://rebound.example:{port}/hook?a=b", b"{}", {"X-A": "b"}, LOCAL, changing)
    assert answer.status == 204 and asked == [("rebound.example", port)]
    assert received[0].startswith(b"POST /hook?a=b HTTP/1.1\r\n")
    assert f"Host: rebound.example:{port}\r\n".encode() in received[0] and received[0].endswith(b"{}")


def test_a_redirect_is_an_answer_that_is_not_followed() -> None:
    with receiver(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n") as (port, _):
        assert post(f"http://127.0.0.1:{port}/", b"", {}, LOCAL).status == 302


@pytest.mark.parametrize(("said", "seconds"), [("120", 120.0), ("soon", None), ("-1", None), ("99999999999", None)])
def test_how_long_to_wait_is_read(said: str, seconds: float | None) -> None:
    with receiver(f"HTTP/1.1 429 Too Many\r\nRetry-After: {said}\r\n\r\n".encode()) as (port, _):
        assert post(f"http://127.0.0.1:{port}/", b"", {}, LOCAL) == (429, seconds)


@pytest.mark.parametrize("answer", [
    b"", b"nonsense\r\n\r\n", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200,
])  # fmt: skip
def test_what_is_no_answer_is_said_to_be_none(answer: bytes) -> None:
    with receiver(answer) as (port, _), pytest.raises(Unreachable, match="no answer"):
        post(f"http://127.0.0.1:{port}/", b"", {}, LOCAL)


def test_who_answers_a_byte_at_a_time_is_cut_off() -> None:
    with receiver(b"HTTP/1.1 200 OK\r\n" + b"X" * 400, slowly=True) as (port, _):
        with pytest.raises(Unreachable, match="in time"):
            post(f"http://127.0.0.1:{port}/", b"", {}, LOCAL, seconds=0.5)


def test_who_is_not_there_is_said_to_be_away() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(Unreachable, match="refused"):
            post(f"http://127.0.0.1:{free.getsockname()[1]}/", b"", {}, LOCAL)
    with pytest.raises(Unreachable, match="no address"):
        post("http://nobody.example/", b"", {}, resolve=lambda host, port: [])


def test_documentation_networks_are_not_public() -> None:
    assert not is_allowed(ipaddress.ip_address("192.0.2.1")) and not is_allowed(ipaddress.ip_address("2001:db8::1"))


@contextmanager
def receiver(answer: bytes, slowly: bool = False) -> Iterator[tuple[int, list[bytes]]]:
    """A server that gives this answer to one connection; its port, and what it received."""
    received: list[bytes] = []
    ended = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            received.append(_request(connection))
            for piece in [answer[i : i + 1] for i in range(len(answer))] if slowly else [answer]:
                try:
                    connection.sendall(piece)
                except OSError:
                    return
                if slowly and ended.wait(0.05):
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], received
        ended.set()
        thread.join()


def _request(connection: socket.socket) -> bytes:
    found = b""
    while b"\r\n\r\n" not in found:
        found += connection.recv(65536)
    head, _, body = found.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body
