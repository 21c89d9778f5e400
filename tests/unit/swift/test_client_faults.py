# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Swift client before a server that fails, a proxy that interferes, TLS that is wrong, and what is no Swift."""

from __future__ import annotations

import contextlib
import http.server
import io
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.swift import client
from ansible_collections.polystore.storage.tests.support.swift_client import connect, container, failure, swift

__all__ = ["container", "swift"]
# A certificate for 127.0.0.1 of an authority of its own, until 2120, and another that signed nothing.
SERVER_PEM = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgLLbdgVOFNBUj6IBS
7C10WR0mqUf1+7xddl19Da7han+hRANCAASkqAmxuAztbrKo46DYxredXYnahbsj
rISEyofcy1BnTBtZ1CdJ944vnMNEmOMwwKxaaJ0S9pgcIzQIhJPoQlAL
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBjDCCATOgAwIBAgIUU83fNZfEzccZmZiv03OZogJ69EUwCgYIKoZIzj0EAwIw
GzEZMBcGA1UEAwwQcG9seXN0b3JlIHRlc3QgYTAgFw0yMDAxMDEwMDAwMDBaGA8y
MTIwMDEwMTAwMDAwMFowGzEZMBcGA1UEAwwQcG9seXN0b3JlIHRlc3QgYTBZMBMG
ByqGSM49AgEGCCqGSM49AwEHA0IABKSoCbG4DO1usqjjoNjGt51didqFuyOshITK
h9zLUGdMG1nUJ0n3ji+cw0SY4zDArFponRL2mBwjNAiEk+hCUAujUzBRMA8GA1Ud
EQQIMAaHBH8AAAEwDwYDVR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQU7NeKrMH05Vwf
LyI7+5Jbh4yY6oowDgYDVR0PAQH/BAQDAgGGMAoGCCqGSM49BAMCA0cAMEQCIC0h
UoF1OBX5FzkKCmPXH4IfqdAKSq7k0bE1yixXRxUeAiAP+Xz3WqHy7XdNexKakWEN
V+rKzLL4u3SIw9ODEhJEkg==
-----END CERTIFICATE-----
"""
OTHER_PEM = """\
-----BEGIN CERTIFICATE-----
MIIBjTCCATOgAwIBAgIUOngaDHU1taUATcwr1l+ylSgdPTUwCgYIKoZIzj0EAwIw
GzEZMBcGA1UEAwwQcG9seXN0b3JlIHRlc3QgYjAgFw0yMDAxMDEwMDAwMDBaGA8y
MTIwMDEwMTAwMDAwMFowGzEZMBcGA1UEAwwQcG9seXN0b3JlIHRlc3QgYjBZMBMG
ByqGSM49AgEGCCqGSM49AwEHA0IABBmryFkPcQau72436RDmYZnTTb0DlYRdhBeH
dwEIA7JxjrOYRS9gF6nAwmifjPKNmIeYo0PN8Y8P3e6FFVToTB+jUzBRMA8GA1Ud
EQQIMAaHBH8AAAEwDwYDVR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQUi9FuskUgAhli
3UqfzeSzgHYWmNMwDgYDVR0PAQH/BAQDAgGGMAoGCCqGSM49BAMCA0gAMEUCIB1m
xFiynW+GQM3o3FQ1Gi7RfAMKsWfaS+yhdTfvqCP8AiEAySXiJTPEC471/IygRIkB
Y5pOh8J2qAUHOkg+fl1KJI0=
-----END CERTIFICATE-----
"""


def test_503_then_recovery(swift: client.SwiftClient, swift_server: Any, container: str) -> None:
    swift_server.fault("status", method="PUT", status=503, count=2)
    swift.put_stream(container, "o", lambda: io.BytesIO(b"content"), 7)
    assert swift.request("GET", container, "o").body == b"content"
    assert len(swift.paused) == 2  # type: ignore[attr-defined]


def test_retry_after(swift: client.SwiftClient, swift_server: Any, container: str) -> None:
    swift_server.fault("status", status=429, headers={"Retry-After": "7"})
    swift_server.fault("status", status=498, headers={"Retry-After": formatdate(100, usegmt=True)}, skip=1)
    swift.request("HEAD", container)
    assert swift.paused == [7.0, 0.0]  # type: ignore[attr-defined]


def test_no_retry_is_left(swift_server: Any, container: str) -> None:
    swift = connect(swift_server.auth_v1(), retries=1)
    page = "<html><head><title>x</title></head><body><h1>Busy</h1><p>later &amp; again</p></body></html>"
    swift_server.fault("status", method="GET", path=container, status=503, body=page, count=None)
    error = failure(lambda: swift.request("GET", container))
    assert (error.code, error.transient, error.fatal) == (503, True, False)
    assert error.server_message == "Busy later & again" and error.hint
    assert len(swift.paused) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("action", ["close", "close_after", "cut_upload"])
def test_a_broken_upload_is_repeated(swift: client.SwiftClient, swift_server: Any, container: str, action: str) -> None:
    swift_server.fault(action, method="PUT", path="/o", **({"bytes": 1000} if action == "cut_upload" else {}))
    swift.put_stream(container, "o", lambda: io.BytesIO(b"x" * 1_000_000), 1_000_000)
    assert len(swift.request("GET", container, "o").body) == 1_000_000
    assert len(swift.paused) == 1  # type: ignore[attr-defined]


def test_a_cut_answer(swift: client.SwiftClient, swift_server: Any, container: str) -> None:
    swift.request("PUT", container, "o", body=b"x" * 1_000_000)
    swift_server.fault("cut", method="GET", path="/o", bytes=300_000, count=2)
    assert len(swift.request("GET", container, "o").body) == 1_000_000
    swift_server.clear_faults()
    swift_server.fault("cut", method="GET", path="/o", bytes=300_000)
    got: list[bytes] = []

    def read() -> None:
        with swift.stream("GET", container, "o") as (headers, chunks):
            assert headers["content-length"] == "1000000"
            got.extend(chunks)

    error = failure(read)
    assert error.transient and not error.fatal
    assert 0 < sum(map(len, got)) < 1_000_000
    assert swift.request("HEAD", container).status == 204


def test_a_stream_may_be_left_early(swift: client.SwiftClient, container: str) -> None:
    swift.request("PUT", container, "o", body=b"x" * 3_000_000)
    with swift.stream("GET", container, "o", headers={"Range": "bytes=1-"}) as (headers, chunks):
        assert headers["content-range"] == "bytes 1-2999999/3000000"
        assert len(next(chunks)) <= client.BLOCK
    assert swift.request("GET", container, "o", headers={"Range": "bytes=0-1"}).body == b"xx"


def test_a_server_that_never_answers(swift_server: Any, container: str) -> None:
    swift = connect(swift_server.auth_v1(), timeout=0.3, retries=0)
    assert swift.storage_url
    swift_server.fault("hang", method="HEAD", path=container)
    error = failure(lambda: swift.request("HEAD", container))
    assert error.transient and not error.fatal
    assert "timeout" in error.message and "0.3" in error.message


def test_refused_connections(swift_server: Any) -> None:
    swift = connect(swift_server.auth_v1(), retries=2)
    swift_server.listen(False)
    error = failure(lambda: swift.request("HEAD"))
    assert error.fatal and "refuses connections" in error.message and "auth_url" in error.hint
    assert len(swift.paused) == 2  # type: ignore[attr-defined]


def test_a_name_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_args: Any, **_more: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    swift = connect({"auth": {"auth_url": "http://swift.invalid/auth/v1.0", "username": "u", "password": "p"}})
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = failure(lambda: swift.request("HEAD"))
    assert error.fatal and not error.transient and "swift.invalid cannot be resolved" in error.message


@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_redirecting_proxy(swift: client.SwiftClient, swift_server: Any, container: str, status: int) -> None:
    swift_server.fault("redirect", method="HEAD", status=status, location="https://login.example.org/?to={path}")
    error = failure(lambda: swift.request("HEAD", container))
    assert error.fatal and "https://login.example.org/" in error.message and "storage_url" in error.hint


def test_a_redirecting_place_of_tokens(swift_server: Any) -> None:
    swift_server.fault("redirect", path="/auth/", location="https://login.example.org/")
    error = failure(lambda: connect(swift_server.auth_v1()).request("HEAD"))
    assert error.fatal and "https://login.example.org/" in error.message and "auth.auth_url" in error.hint


def test_swift_s_own_307(swift: client.SwiftClient, container: str) -> None:
    swift.request("PUT", container, "o", body=b"x")
    swift.request("PUT", container, "link", headers={"X-Symlink-Target": container + "/o"})
    error = failure(lambda: swift.request("POST", container, "link", headers={"X-Object-Meta-A": "1"}))
    assert (error.code, error.fatal) == (307, False)


def test_a_page_where_json_is_due(swift: client.SwiftClient, swift_server: Any, container: str) -> None:
    swift_server.fault("status", method="GET", status=200, headers={"Content-Type": "text/html"}, body="<h1>Hotel</h1>")
    error = failure(lambda: list(swift.listing(container)))
    assert error.fatal and "text/html" in error.message and "storage_url" in error.hint
    assert error.server_message == "Hotel"


def test_hidden_capabilities(swift: client.SwiftClient, swift_server: Any, container: str) -> None:
    swift_server.fault("status", path="/info", status=403)
    swift.request("PUT", container, "o", body=b"")
    assert swift.info() == {}
    assert len(list(swift.listing(container, prefix="o"))) == 1
    assert swift.bulk_delete([container + "/o"]) == client.Bulk(1, 0, ())


def test_capabilities_need_no_token(swift: client.SwiftClient) -> None:
    options = {"auth_type": "v3token", "auth": {"token": "AUTH_tkexpired"}, "storage_url": swift.storage_url}
    assert connect(options).info()["swift"]["container_listing_limit"] == 10000


@pytest.mark.parametrize(
    ("order", "hint"),
    [(403, "ACLs"), (409, "empty"), (411, "Content-Length"), (413, "quota"), (422, "checksum"), (507, "space")],
)
def test_hints(swift: client.SwiftClient, swift_server: Any, container: str, order: int, hint: str) -> None:
    swift_server.fault("status", method="PUT", status=order, count=None)
    error = failure(lambda: swift.request("PUT", container, "o", operation="create object"))
    assert (error.code, error.operation, error.transient) == (order, "create object", False)
    assert hint in error.hint and "%s/o" % container in error.message


def test_a_missing_container(swift: client.SwiftClient, swift_server: Any) -> None:
    name = swift_server.new_container_name()
    error = failure(lambda: swift.put_stream(name, "o", lambda: io.BytesIO(b"x"), 1))
    assert error.code == 404 and name in error.hint and "create it" in error.hint
    assert failure(lambda: swift.request("HEAD", name)).code == 404


def test_a_wrong_checksum(swift: client.SwiftClient, container: str) -> None:
    error = failure(lambda: swift.put_stream(container, "o", lambda: io.BytesIO(b"x"), 1, {"ETag": "0" * 32}))
    assert error.code == 422
    assert failure(lambda: swift.request("HEAD", container, "o")).code == 404


def test_a_server_that_stores_other_bytes(swift: client.SwiftClient, swift_server: Any, container: str) -> None:
    swift_server.fault("status", method="PUT", status=201, headers={"ETag": "0" * 32}, count=None)
    error = failure(lambda: swift.put_stream(container, "o", lambda: io.BytesIO(b"x"), 1))
    assert error.code == 422 and "other bytes" in error.message
    assert swift.put_stream(container, "o", lambda: io.BytesIO(b"x"), 1, check=False).status == 201


# --- a server of our own


class Small(http.server.BaseHTTPRequestHandler):
    """Hands out tokens; lists 7 rows, 3 a page as its /info says; at /page it is something else altogether."""

    protocol_version = "HTTP/1.1"
    rows = ["r%d" % number for number in range(7)]

    def do_GET(self) -> None:
        path, _mark, query = self.path.partition("?")
        self.server.paths.append(self.path)  # type: ignore[attr-defined]
        if path == "/auth/v1.0":
            root = "%s://127.0.0.1:%d" % (self.server.scheme, self.server.server_port)  # type: ignore[attr-defined]
            self.answer(b"", {"X-Storage-Url": root + "/swift/v1/AUTH_x/", "X-Auth-Token": "AUTH_tksmall"})
        elif path == "/swift/info":
            self.answer(json.dumps({"swift": {"container_listing_limit": 3}}).encode())
        elif path.startswith("/swift/v1/AUTH_x/c"):
            asked = dict(pair.partition("=")[::2] for pair in query.split("&"))
            rows = [{"name": name} for name in self.rows if name > asked.get("marker", "")]
            self.answer(json.dumps(rows[: int(asked.get("limit", 3))]).encode())
        else:
            self.answer(b"<h1>Welcome</h1>")

    def answer(self, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(200)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        """Nothing."""


@contextlib.contextmanager
def small(certificate: Path | None = None) -> Iterator[Any]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Small) as server:
        server.paths = []  # type: ignore[attr-defined]
        server.scheme = "https" if certificate else "http"  # type: ignore[attr-defined]
        server.handle_error = lambda *_args: None  # type: ignore[method-assign]  # refused handshakes
        server.daemon_threads = True
        server.block_on_close = False
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def options_of(server: Any, scheme: str = "") -> dict[str, Any]:
    url = "%s://127.0.0.1:%d/auth/v1.0" % (scheme or server.scheme, server.server_port)
    return {"auth": {"auth_url": url, "username": "u", "password": "testing"}, "retries": 0}


def test_pages_by_the_server_s_limit() -> None:
    with small() as server:
        swift = connect(options_of(server))
        assert [row["name"] for row in swift.listing("c")] == Small.rows
        pages = [path for path in server.paths if "format=json" in path]
        assert [path.partition("marker=")[2] for path in pages] == ["", "r2", "r5"]
        assert [row["name"] for row in swift.listing("c", limit=5)] == Small.rows[:5]
        assert swift.storage_url.endswith("/swift/v1/AUTH_x")
        swift.close()


def test_pages_without_capabilities() -> None:
    with small() as server:
        swift = connect(options_of(server))
        swift._info = {}
        assert [row["name"] for row in swift.listing("c")] == Small.rows
        assert len([path for path in server.paths if "format=json" in path]) == 4
        swift.close()


def test_an_address_that_is_no_auth_service() -> None:
    with small() as server:
        options = options_of(server)
        options["auth"]["auth_url"] = options["auth"]["auth_url"].replace("/auth/v1.0", "/page")
        error = failure(lambda: connect(options, auth_type="v1").request("HEAD"))
        assert error.fatal and error.server_message == "Welcome" and "auth.auth_url" in error.hint


def test_tls(tmp_path: Path) -> None:
    right, other = tmp_path / "server.pem", tmp_path / "other.pem"
    right.write_text(SERVER_PEM)
    other.write_text(OTHER_PEM)
    with small(right) as server:
        for options in ({"ca_cert": str(right)}, {"validate_certs": False}):
            swift = connect(options_of(server), **options)
            assert len(list(swift.listing("c"))) == 7
            swift.close()
        for options in ({"ca_cert": str(other)}, {}):
            error = failure(connect(options_of(server), **options).info)
            assert error.fatal and not error.transient
            assert "certificate" in error.message and "ca_cert" in error.hint and "validate_certs" in error.hint
        keystone = {**options_of(server)["auth"], "user_domain_id": "d", "project_id": "p"}
        keystone["auth_url"] = keystone["auth_url"].replace("/auth/v1.0", "/v3")
        error = failure(lambda: connect({"auth": keystone, "auth_type": "v3password", "ca_cert": str(other)}).info())
        assert error.fatal and "certificate" in error.message
    with small() as server:
        error = failure(lambda: connect(options_of(server, "https"), ca_cert=str(right)).request("HEAD"))
        assert error.fatal and "https" in error.hint
