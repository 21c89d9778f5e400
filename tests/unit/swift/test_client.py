# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Swift client: what goes there comes back, connections and tokens, bad input."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import logging
import os
import sys
import threading
from functools import partial
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import MissingLibrary
from ansible_collections.polystore.storage.plugins.module_utils.swift import client
from ansible_collections.polystore.storage.tests.support.swift_client import connect, container, failure, swift

__all__ = ["container", "swift"]
NAMES = ["a b", "ä?#%20", "..", "a/../b", "./x", "/lead", "trail/", "x//y", "~t", "\u2028n", "a+b&c=d;e", "%2e%2e", "…"]


# --- what goes there comes back


def test_names_and_metadata_survive(swift: client.SwiftClient, container: str) -> None:
    meta = {"X-Object-Meta-Text": "Åß € … \u0085x", "X-Object-Meta-Empty": None, "X-Object-Meta-Number": 7}
    for name in NAMES:
        data = name.encode()
        swift.put_stream(container, name, partial(io.BytesIO, data), len(data), meta)
        answer = swift.request("GET", container, name)
        assert answer.body == data
        assert (answer.headers["x-object-meta-text"], answer.headers["x-object-meta-number"]) == (
            meta["X-Object-Meta-Text"],
            "7",
        )
        assert "x-object-meta-empty" not in answer.headers
    assert [row["name"] for row in swift.listing(container)] == sorted(NAMES, key=str.encode)


def test_a_stored_encoding_is_not_undone(swift: client.SwiftClient, container: str) -> None:
    swift.request("PUT", container, "z", body=b"not really gzip", headers={"Content-Encoding": "gzip"})
    with swift.stream("GET", container, "z") as (headers, chunks):
        assert headers["content-encoding"] == "gzip"
        assert b"".join(chunks) == b"not really gzip"


def test_a_listing_costs_one_request(swift: client.SwiftClient, swift_server: Any, container: str) -> None:
    for name in ("a", "b/1", "b/2"):
        swift.request("PUT", container, name, body=b"x")
    mark = swift_server.mark()
    assert [row["bytes"] for row in swift.listing(container)] == [1, 1, 1]
    assert len(swift_server.requests(mark)) == 1
    assert [row.get("name") or row["subdir"] for row in swift.listing(container, delimiter="/")] == ["a", "b/"]
    assert [row["name"] for row in swift.listing(container, prefix="b/", marker="b/1")] == ["b/2"]
    assert [row["name"] for row in swift.listing(container, limit=2)] == ["a", "b/1"]
    assert container in [row["name"] for row in swift.listing(prefix=container)]
    assert len([r for r in swift_server.requests(mark) if r["path"] == "/info"]) == 1


def test_versions_are_listed(swift: client.SwiftClient, container: str) -> None:
    swift.request("POST", container, headers={"X-Versions-Enabled": "true"})
    for data in (b"1", b"22"):
        swift.request("PUT", container, "o", body=data)
    assert [(row["bytes"], row["is_latest"]) for row in swift.listing(container, versions=True)] == [
        (2, True),
        (1, False),
    ]


def test_bulk_delete(swift: client.SwiftClient, swift_server: Any, container: str) -> None:
    for name in NAMES:
        swift.request("PUT", container, name, body=b"")
    full = swift_server.new_container_name("ä")
    swift.request("PUT", full)
    swift.request("PUT", full, "o", body=b"")
    mark = swift_server.mark()
    done = swift.bulk_delete([full, *("%s/%s" % (container, name) for name in NAMES), container + "/never"])
    assert (done.deleted, done.missing, done.errors) == (len(NAMES), 1, ((full, "409 Conflict"),))
    assert len(swift_server.writes(mark)) == 1
    assert not list(swift.listing(container))


def test_bulk_delete_without_the_middleware(swift: client.SwiftClient, swift_server: Any, container: str) -> None:
    for name in ("a?", "b"):
        swift.request("PUT", container, name, body=b"")
    swift._info = {"swift": {}}
    mark = swift_server.mark()
    done = swift.bulk_delete([container + "/a?", container + "/never", container])
    assert (done.deleted, done.missing, [code[:3] for _name, code in done.errors]) == (1, 1, ["409"])
    assert [entry["method"] for entry in swift_server.writes(mark)] == ["DELETE"] * 3


def test_bulk_delete_by_the_server_s_limit(swift: client.SwiftClient, swift_server: Any, container: str) -> None:
    for name in "abc":
        swift.request("PUT", container, name, body=b"")
    swift._info = {"swift": {}, "bulk_delete": {"max_deletes_per_request": 2}}
    mark = swift_server.mark()
    assert swift.bulk_delete(container + "/" + name for name in "abc") == client.Bulk(3, 0, ())
    assert len(swift_server.writes(mark)) == 2


@pytest.mark.parametrize(
    ("told", "result"),
    [
        ({"Response Status": "200 OK", "Number Deleted": 2, "Errors": []}, client.Bulk(2, 0, ())),
        ({"Response Status": "404 Not Found", "Number Not Found": 1, "Errors": []}, client.Bulk(0, 1, ())),
        (
            {"Response Status": "400 Bad Request", "Number Deleted": 1, "Errors": [["c/%C3%A4", "403 Forbidden"]]},
            client.Bulk(1, 0, (("c/ä", "403 Forbidden"),)),
        ),
        ({"Response Status": "400 Bad Request", "Response Body": "Invalid bulk delete.", "Errors": []}, 400),
        ({"Response Status": "413 Request Entity Too Large", "Errors": []}, 413),
        ({"Response Status": "503 Service Unavailable", "Errors": []}, 503),
        ({"Response": 1}, None),
        ([], None),
    ],
)
def test_parse_bulk(told: Any, result: Any) -> None:
    body = b" \r\n" + json.dumps(told).encode()
    if isinstance(result, client.Bulk):
        assert client.parse_bulk(body) == result
    else:
        error = failure(lambda: client.parse_bulk(body))
        assert error.code == result and error.transient == (result == 503)


def test_counters(swift_server: Any) -> None:
    swift, name = connect(swift_server.auth_v1()), swift_server.new_container_name()
    swift.request("PUT", name)
    swift.put_stream(name, "o", lambda: [b"ab", b"cde"], 5)
    swift.request("PUT", name, "p", body=b"123")
    assert swift.request("GET", name, "o").body == b"abcde"
    swift.request("HEAD", name, "o")
    told = swift.counters.snapshot()
    assert (told["requests"], told["writes"], told["bytes_sent"]) == (6, 3, 8)
    assert told["bytes_received"] >= 5
    swift.close()


# --- connections and tokens


def test_threads_share_a_token_and_keep_connections(swift_server: Any) -> None:
    swift, name, mark = connect(swift_server.auth_v1()), swift_server.new_container_name(), swift_server.mark()
    swift.request("PUT", name)
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for step in range(5):
                swift.request("PUT", name, "%d-%d" % (number, step), body=b"x")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    seen = swift_server.requests(mark)
    assert len([entry for entry in seen if "/auth/" in entry["path"]]) == 1
    assert len({entry["client"] for entry in seen if "/auth/" not in entry["path"]}) <= 4
    swift.close()


def test_a_fork_gets_its_own_connections(swift: client.SwiftClient, swift_server: Any, container: str) -> None:
    mark = swift_server.mark()
    swift.request("HEAD", container)
    pid = os.fork()
    if pid == 0:
        code = 1
        with contextlib.suppress(BaseException):
            swift.request("GET", container)
            code = 0
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    swift.request("POST", container)
    clients = {entry["method"]: entry["client"] for entry in swift_server.requests(mark)}
    assert clients["HEAD"] == clients["POST"] != clients["GET"]


def test_a_token_that_ends_in_mid_run_is_renewed(swift: client.SwiftClient, swift_server: Any, container: str) -> None:
    mark, made = swift_server.mark(), []
    swift_server.fault("status", method="PUT", status=401)

    def factory() -> Any:
        made.append(io.BytesIO(b"content"))
        return made[-1]

    swift.put_stream(container, "o", factory, 7)
    assert len(made) == 2 and all(body.closed for body in made)
    assert [entry["method"] for entry in swift_server.requests(mark)] == ["PUT", "GET", "PUT"]
    assert swift.request("GET", container, "o").body == b"content"


def test_a_renewed_token_that_is_refused_ends_the_run(
    swift: client.SwiftClient, swift_server: Any, container: str
) -> None:
    swift_server.fault("status", method="HEAD", status=401, count=2)
    error = failure(lambda: swift.request("HEAD", container, operation="read container"))
    assert (error.code, error.fatal, error.operation) == (401, True, "read container")


def test_a_given_token_cannot_be_renewed(swift: client.SwiftClient) -> None:
    options = {"auth_type": "v3token", "storage_url": swift.storage_url}
    given = connect({**options, "auth": {"token": swift._token}})
    assert given.request("HEAD").status == 204
    error = failure(lambda: connect({**options, "auth": {"token": "AUTH_tkexpired"}}).request("HEAD"))
    assert (error.code, error.fatal) == (401, True) and "auth.token" in error.told()
    given.close()


def test_a_wrong_password(swift_server: Any) -> None:
    options = swift_server.auth_v1()
    options["auth"] = {**options["auth"], "password": "wrong-pass"}
    error = failure(lambda: connect(options).request("HEAD"))
    assert (error.code, error.fatal, error.transient) == (401, True, False) and "password" in error.hint


def test_no_discovery_and_no_secret_in_the_log(swift_server: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    swift = connect(swift_server.auth_v1())
    swift.request("HEAD")
    assert swift._token and swift._token not in caplog.text and swift.credentials.password not in caplog.text
    assert sys.modules.get("keystoneclient", swift) is not None
    swift.close()


def test_missing_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "swiftclient.client", None)
    error = failure(lambda: connect({"auth": {"auth_url": "http://h/auth/v1", "username": "u", "password": "p"}}))
    assert isinstance(error, MissingLibrary)
    assert "pip install python-swiftclient" in error.told() and sys.executable in error.told()
    with pytest.raises(MissingLibrary):
        client.preload()


# --- bad input


@pytest.mark.parametrize("content", [io.BytesIO(b"12"), io.BytesIO(), [b"12"], [b"1234"], [b"12", b"34"], []])
def test_content_of_another_length(swift: client.SwiftClient, container: str, content: Any) -> None:
    error = failure(lambda: swift.put_stream(container, "o", lambda: content, 3))
    assert "changed" in error.message and not error.transient
    assert failure(lambda: swift.request("HEAD", container, "o")).code == 404


def test_content_that_cannot_be_read(swift: client.SwiftClient, container: str) -> None:
    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise OSError(5, "Input/output error")

    error = failure(lambda: swift.put_stream(container, "o", Broken, 3))
    assert "Input/output error" in error.message and not error.transient


def test_a_part_of_a_file(swift: client.SwiftClient, container: str) -> None:
    def factory() -> Any:
        opened = io.BytesIO(b"0123456789")
        opened.seek(2)
        return opened

    swift.put_stream(container, "o", factory, 3)
    swift.put_stream(container, "empty", factory, 0)
    assert swift.request("GET", container, "o").body == b"234"
    assert swift.request("HEAD", container, "empty").headers["content-length"] == "0"


@pytest.mark.parametrize(
    "place", [("", None), ("c/d", None), ("c", ""), (None, "o"), ("c", "\udcff"), ("\udcff", None)], ids=repr
)
def test_impossible_names(swift: client.SwiftClient, swift_server: Any, place: tuple[Any, Any]) -> None:
    mark = swift_server.mark()
    assert not failure(lambda: swift.request("PUT", *place)).transient
    assert not swift_server.requests(mark)


@pytest.mark.parametrize("headers", [{"X-Object-Meta-A": "1\r\nX-Evil: testing"}, {"X-Object-Meta-A\n": "testing"}])
def test_header_injection(swift: client.SwiftClient, container: str, headers: dict[str, str]) -> None:
    error = failure(lambda: swift.request("PUT", container, "o", headers=headers, body=b""))
    assert "line break" in error.message and not error.transient


def test_credentials_are_frozen(swift: client.SwiftClient) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        swift.credentials.password = "x"  # type: ignore[misc]
