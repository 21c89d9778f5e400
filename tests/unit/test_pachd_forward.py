# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe of the role pachd_port_forward: what counts as an answer of pachd, and what is told of all else."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import pathlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

FILE = pathlib.Path(__file__).parents[2] / "roles" / "pachd_port_forward" / "files" / "pachd_forward.py"


def load() -> Any:
    """The role's program as a module."""
    spec = importlib.util.spec_from_file_location("pachd_forward_under_test", FILE)
    if spec is None or spec.loader is None:
        raise ImportError(str(FILE))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


forward = load()
SETTINGS = forward.frame(forward.SETTINGS, 0, 0, b"\x00\x03\x00\x00\x00\x64")
HEADERS = forward.frame(forward.HEADERS, 4, 1, b"\x88")
VERSION = b"\x08\x02\x10\x0c\x18\xac\x02\x22\x05-rc.1"
ANSWER = forward.frame(forward.DATA, 0, 1, b"\0\0\0\0" + bytes((len(VERSION),)) + VERSION)


@contextlib.contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port where each connection is handed to serve, and then closed."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    sock, _address = server.accept()
                    with sock, contextlib.suppress(OSError):
                        serve(sock)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def saying(*parts: bytes, stay: bool = True) -> Callable[[socket.socket], None]:
    """Says this byte by byte, once something was asked; stay: then nothing until the other side leaves."""

    def serve(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"".join(parts):
            sock.sendall(bytes((byte,)))
        while stay and sock.recv(65536):
            pass

    return serve


def test_a_version_with_all_that_may_come_before_it() -> None:
    ping = forward.frame(forward.PING, 0, 0, b"12345678")
    padded = forward.frame(forward.DATA, 8, 1, b"\x03" + ANSWER[9:] + bytes(3))
    acknowledged = forward.frame(forward.SETTINGS, 1, 0)
    for last in (ANSWER, padded):
        with listening(saying(SETTINGS, ping, acknowledged, HEADERS, last)) as port:
            assert forward.ask("127.0.0.1", port, "version", 10) == "2.12.300-rc.1"


def test_the_question_answers_what_http2_wants_answered() -> None:
    heard = bytearray()

    def serve(sock: socket.socket) -> None:
        sock.sendall(SETTINGS + forward.frame(forward.PING, 0, 0, b"12345678"))
        wanted = forward.frame(forward.SETTINGS, 1, 0) + forward.frame(forward.PING, 1, 0, b"12345678")
        while wanted not in heard and (data := sock.recv(65536)):
            heard.extend(data)
        sock.sendall(HEADERS + ANSWER)

    with listening(serve) as port:
        assert forward.ask("127.0.0.1", port, "version", 10).startswith("2.12.")
    assert heard.startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") and b"/versionpb_v2.API/GetVersion" in heard


def test_a_real_grpc_server() -> None:
    grpc = pytest.importorskip("grpc")
    from concurrent import futures

    seen: list[Any] = []

    def tell(request: bytes, context: Any) -> bytes:
        seen.append((request, context.peer()))
        return VERSION

    told = grpc.method_handlers_generic_handler(
        "versionpb_v2.API", {"GetVersion": grpc.unary_unary_rpc_method_handler(tell)}
    )
    server = grpc.server(futures.ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        # One that knows no such method first.
        with pytest.raises(forward.Trouble, match="tells no version of pachd") as caught:
            forward.ask("127.0.0.1", port, "version", 10)
        assert caught.value.alive
        server.add_generic_rpc_handlers([told])
        assert forward.ask("127.0.0.1", port, "version", 10) == "2.12.300-rc.1"
        assert [request for request, _peer in seen] == [b""]
    finally:
        server.stop(None).wait()


@pytest.mark.parametrize(
    ("serve", "words", "alive"),
    [
        (saying(b"", stay=False), "accepted and then closed", False),
        (saying(SETTINGS[:5], stay=False), "accepted and then closed", False),
        (saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "something else than pachd", True),
        (saying(b"SSH-2.0-OpenSSH_9.2\r\n"), "something else than pachd", True),
        (saying(SETTINGS, forward.frame(forward.GOAWAY, 0, 0, bytes(8))), "tells no version", True),
        (saying(SETTINGS, forward.frame(forward.RESET, 0, 1, bytes(4))), "tells no version", True),
        (saying(SETTINGS, forward.frame(forward.HEADERS, 5, 1, b"\x88")), "tells no version", True),
        (saying(SETTINGS, HEADERS, forward.frame(0, 0, 1, b"\0\0\0\0\x02\x99\x99")), "cannot be read", True),
        (saying(SETTINGS, HEADERS, forward.frame(0, 0, 1, b"\0\0\0\0\x02\x0a\x00")), "cannot be read", True),
    ],
    ids=["eof", "half", "http1", "ssh", "goaway", "reset", "trailers", "cut", "other"],
)
def test_what_is_no_answer(serve: Callable[[socket.socket], None], words: str, alive: bool) -> None:
    with listening(serve) as port, pytest.raises(forward.Trouble, match=words) as caught:
        forward.ask("127.0.0.1", port, "version", 10)
    assert caught.value.alive is alive and str(caught.value).startswith("127.0.0.1:%d: " % port)


@pytest.mark.parametrize(("first", "alive"), [(b"", False), (SETTINGS, True)], ids=["nothing", "settings"])
def test_what_does_not_answer_in_time(first: bytes, alive: bool) -> None:
    with listening(saying(first)) as port, pytest.raises(forward.Trouble, match="no answer within 0.2 s") as caught:
        forward.ask("127.0.0.1", port, "version", 0.2)
    assert caught.value.alive is alive, "only where nothing comes back is it the tunnel"


def test_http_and_a_closed_port() -> None:
    with listening(saying(b"HTTP/1.0 403 Forbidden\r\n\r\n", stay=False)) as port:
        assert forward.ask("127.0.0.1", port, "http", 10) == ""
        assert "is taken" in forward.taken("127.0.0.1", port)
    with pytest.raises(forward.Trouble, match="refused"):
        forward.ask("127.0.0.1", port, "http", 10)
    assert forward.taken("127.0.0.1", port) == ""


def test_settings_that_an_older_ansible_made_strings_of(tmp_path: pathlib.Path) -> None:
    given = {"interval": "0.5", "probe_seconds": "5.0", "pod_seconds": "20", "own_login": "True"}
    ports = [{"local": "30650", "remote": 80}, {"local": 30600, "remote": "s3", "probe": "http"}]
    (tmp_path / "settings.json").write_text(json.dumps({**given, "ports": ports, "environment": {"A": 1}}), "utf-8")
    assert forward.settings_in(tmp_path / "settings.json") == {
        "interval": 0.5,
        "probe_seconds": 5.0,
        "pod_seconds": 20,
        "own_login": True,
        "environment": {"A": "1"},
        "ports": [
            {"local": 30650, "remote": "80", "probe": "version"},
            {"local": 30600, "remote": "s3", "probe": "http"},
        ],
    }
