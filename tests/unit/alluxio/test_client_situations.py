# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in the way of Alluxio: each situation is recognised and says what to change; only reads are repeated."""

from __future__ import annotations

import contextlib
import io
import socket
import socketserver
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.alluxio import client
from ansible_collections.polystore.storage.plugins.module_utils.alluxio.client import AlluxioClient, Settings
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import MissingLibrary, Retry, StorageError
from ansible_collections.polystore.storage.tests.unit.alluxio.double import (
    Answer,
    Double,
    close,
    hang,
    page,
    refusal,
    serving,
)

SHADOWED = "alluxio.proxy.s3.v2.version.enabled=false"
MERGED = "merge_slashes off"
MASTER = "Failed to connect to master (m:19998) after 44 attempts.Please check that Alluxio master is running"


@pytest.fixture
def double() -> Iterator[Double]:
    with serving() as running:
        yield running


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """No pause is made; how long each would have been is kept."""
    made: list[float] = []
    real = Retry.pause

    def pause(self: Retry, attempt: int, error: StorageError) -> float:
        made.append(real(self, attempt, error))
        return 0.0

    monkeypatch.setattr(Retry, "pause", pause)
    return made


def failure(call: Callable[..., Any], *args: Any, **options: Any) -> StorageError:
    """What the call raises."""
    with pytest.raises(StorageError) as caught:
        call(*args, **options)
    error = caught.value
    assert error.operation and error.message and "urllib3" not in error.told() and "0x" not in error.told()
    return error


# --- is it a proxy at all? What GET /proxy/info answers, and what is said of it.
INFOS = [
    (Answer(), "the answer is empty", SHADOWED),
    (Answer(body=b" \n"), "the answer is empty", SHADOWED),
    (Answer(body=b"<?xml version='1.0'?><Error><Code>NoSuchBucket</Code></Error>"), "not Alluxio's", SHADOWED),
    (page(200, "Please log in"), "not Alluxio's", "Please log in"),
    (page(200, "Please log in"), "not Alluxio's", "A reverse proxy in between"),
    (Answer(body=b"[]"), "not Alluxio's", "39999 is the proxy"),
    (Answer(body=b"null"), "not Alluxio's", "39999 is the proxy"),
    (Answer(body={"status": "ok"}), "no version that is known here (None)", "39999 is the proxy"),
    (Answer(body={"version": "304"}), "no version that is known here ('304')", "Alluxio 1.8 to 2.9 is spoken"),
    (Answer(body={"version": "3.1.0"}), "no version that is known here ('3.1.0')", "dialect: 1 or 2"),
    (page(404, "Not Found"), "HTTP 404", "19998 and 19999 are the master"),
    (Answer(500, b"HTTP 404 Not Found"), "HTTP 404", "19998 and 19999 are the master"),
    (page(401, "Who are you?"), "HTTP 401", "give them in headers"),
    (page(403, "No"), "HTTP 403", "give them in headers"),
    (page(502, "Bad Gateway"), "HTTP 502", "A reverse proxy in between"),
    (page(503, "Unavailable"), "HTTP 503", "A reverse proxy in between"),
    (page(504, "Gateway Timeout"), "HTTP 504", "proxy_read_timeout"),
    (page(500, "Oops"), "HTTP 500", "A reverse proxy in between"),
    (page(302, "", Location="https://sso/login?next=secret"), "redirected to https://sso/login ", "as proxy_url"),
    (Answer(301, b"", {"Location": "https://h/"}), "redirected to https://h/", "Redirects are not followed"),
    (close, "broke", "Is there an Alluxio proxy at all?"),
    (Answer(body={"version": "2.9.6"}, cut=5), "broke", "Is there an Alluxio proxy at all?"),
]


@pytest.mark.parametrize(("answer", "message", "hint"), INFOS)
def test_what_is_no_proxy_is_recognised_before_anything_is_done(
    double: Double, answer: Any, message: str, hint: str
) -> None:
    double.tell("info", answer)
    error = failure(double.client(retries=1).delete, "/a", recursive=True)
    assert message in error.message + " " and hint in error.told() and error.fatal and "secret" not in error.told()
    assert double.asked() == [] and len(error.server_message) < 100


def test_a_forced_dialect_needs_no_version(double: Double) -> None:
    double.tell("info", Answer(body={"version": "special"}))
    assert double.client(dialect="2").version == (2, 0, 0)
    double.tell("info", Answer())
    assert SHADOWED in failure(double.client(dialect="2").get_status, "/a").hint


# --- later on. Operation, answer, whether it is the end for all, what is said.
get, make, drop = "get_status", "create_directory", "delete"
LATER: list[tuple[str, Any, bool, Any, str]] = [
    (get, Answer(), True, None, SHADOWED),
    ("exists", Answer(), True, None, SHADOWED),
    ("list_status", Answer(), True, None, SHADOWED),
    (get, page(200, "Please log in"), True, None, "Please log in"),
    (make, page(200, "Please log in"), True, None, "Please log in"),
    (drop, page(200, "Please log in"), True, None, "A reverse proxy in between"),
    (get, Answer(body=[]), True, None, "not Alluxio's"),
    ("exists", Answer(body=1), True, None, "not Alluxio's"),
    (make, refusal("INVALID_ARGUMENT", 'Path "a" is invalid.'), True, "INVALID_ARGUMENT", MERGED),
    (get, refusal("UNKNOWN", 'Path "a" is invalid.', "status"), True, "INVALID_ARGUMENT", MERGED),
    (make, refusal("UNAVAILABLE", MASTER), True, "UNAVAILABLE", "alluxio.master.hostname"),
    (get, refusal("UNAVAILABLE", MASTER), True, "UNAVAILABLE", "its master does not answer it"),
    (make, refusal("PERMISSION_DENIED"), False, "PERMISSION_DENIED", "alluxio.security.login.username"),
    (make, refusal("UNAUTHENTICATED"), False, "UNAUTHENTICATED", "alluxio.security.authentication.type"),
    (make, Answer(400, b'Unrecognized field "ttl" (class alluxio.grpc.X)'), False, 400, "leave the option out"),
    (make, Answer(400, b"Cannot deserialize value of type X"), False, 400, "leave the option out"),
    (make, Answer(500, b"Message missing required fields: groupBits"), False, 500, "groupBits"),
    (make, page(500, "Oops"), False, 500, "A reverse proxy in between"),
    (make, page(500, "Server Error</h1><hr>Powered by Jetty://"), False, 500, "Server Error"),
    (make, page(413, "Too large"), False, 413, "client_max_body_size"),
    (make, page(401, "Who are you?"), True, 401, "give them in headers"),
    (make, page(504, "Timeout"), True, 504, "proxy_read_timeout"),
    (get, page(504, "Timeout"), True, 504, "proxy_read_timeout"),
    (make, page(307, "", Location="http://h/api/v1/paths/a/create-directory"), True, 307, "redirected to http://h/api"),
]


@pytest.mark.parametrize(("method", "answer", "fatal", "code", "told"), LATER)
def test_what_stands_in_the_way_later(
    double: Double, pauses: list[float], method: str, answer: Any, fatal: bool, code: Any, told: str
) -> None:
    double.tell("*", answer)
    for operation in ("get-status", "list-status", "exists"):
        double.tell(operation, answer)
    error = failure(getattr(double.client(), method), "/a")
    assert told in error.told() and (error.fatal, error.code) == (fatal, code)
    assert len(double.asked()) == 1 and pauses == []


def test_merged_slashes_at_the_root(double: Double) -> None:
    double.tell("list-status", Answer(500, b"HTTP 404 Not Found"))
    error = failure(double.client().list_status, "/")
    assert MERGED in error.hint and error.fatal
    error = failure(double.client().list_status, "/a")
    assert MERGED not in error.hint and error.code == 404


def test_the_wrong_dialect_is_said_where_it_was_forced(double: Double) -> None:
    double.tell("set-attribute", Answer(400, b'Unrecognized field "ttl" (class alluxio.grpc.SetAttributePOptions)'))
    error = failure(double.client(dialect="1").set_attribute, "/a", ttl=5)
    assert error.hint == "Leave dialect at auto." and error.code == 400


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("UNAVAILABLE", "No available Alluxio worker found"),
        ("UNAVAILABLE", "io exception"),
        ("UNKNOWN", "syscall:getsockopt(..) failed: Connection refused: /127.0.0.1:29999"),  # 1.8.1, just after its end
    ],
)
def test_no_worker(double: Double, code: str, text: str) -> None:
    double.tell("create-file", refusal(code, text))
    error = failure(double.client().upload, "/f", io.BytesIO, 0)
    assert "No Alluxio worker" in error.hint and error.fatal and double.asked() == ["create-file"]
    assert error.code == "UNAVAILABLE"


def test_an_upload_that_is_too_large_for_what_is_in_between(double: Double) -> None:
    double.tell("write", page(413, "Request Entity Too Large"))
    error = failure(double.client().upload, "/f", lambda: io.BytesIO(b"xx"), 2)
    assert "client_max_body_size" in error.hint and double.asked()[-2:] == ["close", "delete"]


# --- what is repeated


@pytest.mark.parametrize("first", [close, page(503, "x"), page(502, "x"), Answer(body=b"1234", cut=2)])
def test_reads_are_repeated(double: Double, pauses: list[float], first: Any) -> None:
    for operation in ("get-status", "list-status", "exists", "info", "set-attribute"):
        double.tell(operation, first, *double.answers.get(operation, [Answer()]))
    proxy = double.client()
    assert proxy.get_status("/a") and proxy.exists("/a") and proxy.list_status("/a") == []
    proxy.set_attribute("/a", pinned=True)  # the same once more is no harm
    assert len(pauses) == 5


@pytest.mark.parametrize("first", [close, page(503, "x"), Answer(body=b"1234", cut=2)])
def test_writes_are_not_repeated_once_they_have_left(double: Double, pauses: list[float], first: Any) -> None:
    proxy = double.client()
    double.tell("*", first)
    double.tell("create-file", first)
    calls: list[tuple[Any, ...]] = [(proxy.create_directory, "/a"), (proxy.delete, "/a"), (proxy.rename, "/a", "/b")]
    calls += [(proxy.mount, "/a", "/x"), (proxy.unmount, "/a"), (proxy.free, "/a"), (proxy.upload, "/a", io.BytesIO, 0)]
    for call, *args in calls:
        error = failure(call, *args)
        assert not error.transient and error.hint
    assert len(double.asked()) == len(calls) and pauses == []


def test_what_was_turned_away_is_repeated_when_it_is_told(double: Double, pauses: list[float]) -> None:
    double.tell("delete", Answer(429, b"", {"Retry-After": "7"}), Answer())
    double.client().delete("/a")
    assert double.asked() == ["delete", "delete"] and pauses == [7.0]


def test_a_cut_upload_is_for_its_caller_to_repeat(double: Double) -> None:
    double.tell("write", close)
    error = failure(double.client().upload, "/f", lambda: io.BytesIO(b"x"), 1)
    assert error.transient and double.asked() == ["create-file", "write", "close", "delete"]


def test_a_refused_connection_is_tried_again_and_then_named(pauses: list[float]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = "http://127.0.0.1:%d" % free.getsockname()[1]
    proxy = AlluxioClient(Settings(url, retries=2))
    error = failure(proxy.get_status, "/a")
    assert "refuses connections" in error.message and "Start the proxy" in error.hint and "proxy_url" in error.hint
    assert error.fatal and len(pauses) == 2


def test_a_proxy_that_comes_back_is_used_again(double: Double, pauses: list[float]) -> None:
    proxy = double.client()
    proxy.create_directory("/a")
    sent: list[Any] = []
    real = proxy._send

    def send(line: Any, order: Any) -> Any:
        sent.append(order)
        if len(sent) == 1:  # the first attempt finds nobody
            return real(line, order._replace(url=order.url.replace(str(double.server_port), "1")))
        return real(line, order)

    proxy._send = send  # type: ignore[method-assign]
    proxy.delete("/a")
    assert double.asked() == ["create-directory", "delete"] and len(pauses) == 1


# --- no answer, no HTTP


def test_nobody_answers_in_time(double: Double, pauses: list[float]) -> None:
    proxy = double.client(timeout=0.3)
    proxy.version  # noqa: B018
    for operation, call in (("get-status", proxy.get_status), ("unmount", proxy.unmount)):
        double.tell(operation, hang)
        error = failure(call, "/a")
        assert "did not answer in time (timeout: 0.3 s)" in error.message and error.fatal
        assert "master" in error.hint and "run again" in error.hint
    double.tell("read", hang)
    double.tell("download-file", hang)
    with pytest.raises(StorageError, match="did not answer in time"), proxy.stream("/f"):
        pass
    double.tell("info", hang)
    error = failure(double.client(timeout=0.3).get_status, "/a")
    assert "Is there an Alluxio proxy at all?" in error.hint and "proxy lives" not in error.hint
    assert pauses == []


def test_a_download_that_stops_in_the_middle(double: Double) -> None:
    def stalls(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        handler.wfile.write(b"x" * 1000)
        hang(handler)

    double.tell("download-file", stalls)
    with pytest.raises(StorageError) as caught, double.client(timeout=0.3).stream("/f", 1000000) as chunks:
        list(chunks)
    assert "did not answer in time" in caught.value.message and "worker" in caught.value.hint


@contextlib.contextmanager
def speaking(answer: bytes) -> Iterator[str]:
    """A server that says this to everybody, whatever it is asked."""

    class Speaker(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(answer)
            self.request.shutdown(socket.SHUT_WR)
            while self.request.recv(65536):
                pass

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Speaker) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield "127.0.0.1:%d" % server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize("answer", [b"\0\0\x06\x04\0\0\0\0\0\0\x05\0\0@\0", b"SSH-2.0-OpenSSH\r\n", b""])
def test_a_port_of_something_else(answer: bytes) -> None:
    with speaking(answer) as place:
        error = failure(AlluxioClient(Settings("http://" + place, retries=0)).delete, "/a")
        assert "39999 is the proxy; 19998 and 19999 are the master" in error.hint and error.fatal
        error = failure(AlluxioClient(Settings("https://" + place, retries=0)).delete, "/a")
        assert "TLS" in error.message or "broke" in error.message


def test_tls_where_none_is_spoken(double: Double) -> None:
    error = failure(double.client(proxy_url=double.url.replace("http:", "https:")).get_status, "/a")
    assert "TLS with" in error.message and "The proxy itself speaks http" in error.hint and double.log == []


def test_a_name_that_nobody_knows() -> None:
    error = failure(AlluxioClient(Settings("http://no-such-host.invalid:39999")).get_status, "/a")
    assert "The name of no-such-host.invalid:39999 cannot be resolved" in error.message and error.fatal


def test_an_http_proxy_from_the_environment(double: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("http_proxy", double.url)
    proxy = AlluxioClient(Settings("http://alluxio.example:39999"))
    proxy.create_directory("/a//b"[:2])
    assert double.log[-1].path == "http://alluxio.example:39999/api/v1/paths//a/create-directory"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    double.client().create_directory("/direct")
    assert double.log[-1].path == "/api/v1/paths//direct/create-directory"
    monkeypatch.setenv("http_proxy", "http://user:secret@127.0.0.1:1")
    error = failure(AlluxioClient(Settings("http://alluxio.example:39999")).delete, "/a")
    assert "http_proxy" in error.hint and "secret" not in error.told()


def test_a_master_that_is_none(double: Double, pauses: list[float]) -> None:
    double.tell("info", page(404, "Not Found"))
    error = failure(double.client(master_url=double.url).master_info)
    assert "ALLUXIO_MASTER_URL" in error.hint and "19999" in error.hint


def test_no_requests_library(monkeypatch: pytest.MonkeyPatch) -> None:
    client.preload()
    monkeypatch.setitem(sys.modules, "requests", None)
    with pytest.raises(MissingLibrary, match="The Python package requests is needed to talk to Alluxio"):
        client.preload()
