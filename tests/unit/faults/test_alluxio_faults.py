# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands between here and Alluxio: each module says what to do, or goes on as if nothing had been."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import importlib
import re
import socket
import threading

import pytest
from ansible_collections.polystore.storage.tests.support.run import run_task
from ansible_collections.polystore.storage.tests.unit.faults.alluxio_place import (
    MODULES,
    PATHS,
    REAL,
    SENDERS,
    WRITERS,
    next_number,
    old_place,
    place,
)
from ansible_collections.polystore.storage.tests.unit.faults.test_faults import clear, pauses

__all__ = ["old_place", "pauses", "place"]


# --- is it Alluxio, and can it?


@pytest.mark.skipif(REAL, reason="the stand-in's own mode")
@pytest.mark.parametrize("module", MODULES)
def test_a_proxy_that_s3_shadows(place, module):
    place.server.behave(mode="shadowed")
    mark = place.server.mark()
    for check in (True, False):
        clear(place.run(module, check), "the answer is empty", "alluxio.proxy.s3.v2.version.enabled=false")
    assert place.server.writes(mark) == []
    place.server.behave(mode="normal")
    place.untouched()
    place.works(module)


@pytest.mark.parametrize("module", MODULES)
def test_a_proxy_that_is_shadowed_from_one_moment_to_the_next(place, module):
    place.server.fault("status", path="/api/v1/paths/", status=200, body="", count=None)
    clear(place.run(module), "the answer is empty", "alluxio.proxy.s3.v2.version.enabled=false")
    place.server.clear_faults()
    place.untouched()


@pytest.mark.skipif(REAL, reason="the stand-in's own mode")
@pytest.mark.parametrize("module", MODULES)
def test_a_proxy_without_a_master_says_so(place, module, pauses):
    place.server.behave(mode="no-master", outage_seconds=0)
    clear(place.run(module), "UNAVAILABLE", "alluxio.master.hostname", code="UNAVAILABLE")
    assert pauses == []
    place.server.behave(mode="normal")
    place.untouched()
    place.works(module)


@pytest.mark.skipif(REAL, reason="the stand-in's own mode")
@pytest.mark.parametrize("module", MODULES)
def test_a_proxy_that_waits_for_its_master_is_not_waited_for(place, module, pauses):
    place.options["timeout"] = 1
    place.server.behave(mode="no-master", outage_seconds=60)
    clear(place.run(module), "did not answer in time (timeout: 1 s)", "its master does not answer it")
    assert pauses == []


@pytest.mark.skipif(REAL, reason="the stand-in's own mode")
@pytest.mark.parametrize("module", SENDERS)
def test_no_worker_takes_the_content(place, module, pauses):
    place.server.behave(mode="no-worker")
    clear(place.run(module), "UNAVAILABLE", "No Alluxio worker can take the data", code="UNAVAILABLE")
    place.server.behave(mode="normal")
    assert [size for size in place.up().values() if size != "folder"] == []
    place.works(module)


@pytest.mark.skipif(REAL, reason="the stand-in's own mode")
def test_no_worker_gives_the_content(place, old_place, pauses):
    place.options["timeout"] = 1
    place.server.behave(mode="no-worker")
    clear(place.run("download"), "did not answer in time", "see that a worker runs")
    old_place.server.behave(mode="no-worker")
    clear(old_place.run("download"), "HTTP 500", "Its data cannot be read: its worker is gone", code=500)
    place.untouched()


@pytest.mark.parametrize("module", MODULES)
def test_a_user_who_may_not(place, module, pauses):
    if module == "download":
        place.server.fault(
            "status",
            path="/down/",
            count=None,
            status=500,
            body='{"statusCode": "PERMISSION_DENIED", "message": "Permission denied: user=nobody"}',
        )
        clear(place.run(module), "Permission denied", "alluxio.security.login.username", code="PERMISSION_DENIED")
        return
    code = place.server.refuse_writes("Permission denied: user=nobody")
    clear(place.run(module), "Permission denied: user=nobody", "alluxio.security.login.username", code=code)
    place.server.clear_faults()
    place.untouched()


# --- the wrong dialect


def test_the_wrong_dialect(place, old_place):
    result = place.run("directory", dialect="1")
    clear(result, 'Unrecognized field "ttl"', "Leave dialect at auto", code=400)
    clear(old_place.run("directory", dialect="2"), 'Unrecognized field "ttl"', "Leave dialect at auto", code=400)
    place.works("directory", dialect="2")
    old_place.works("directory", dialect="1")


@pytest.mark.parametrize("module", MODULES)
def test_the_other_dialect_works_as_well(old_place, module):
    old_place.works(module)


# --- the way there


@pytest.mark.parametrize("module", MODULES)
def test_refused_connections(place, module, pauses):
    place.server.listen(False)
    try:
        clear(place.run(module), "refuses connections", "Start the proxy", "proxy_url")
    finally:
        place.server.listen(True)
    assert len(pauses) == 2
    place.works(module)


@pytest.mark.parametrize("module", MODULES)
def test_a_server_that_never_answers(place, module):
    place.options.update(timeout=1, retries=0)
    place.server.fault("hang", path=PATHS, count=None)
    clear(place.run(module), "did not answer in time (timeout: 1 s)", "run again, which looks first")


@pytest.mark.parametrize("module", MODULES)
def test_nobody_ever_answers(place, module, pauses):
    place.options.update(timeout=1, retries=next_number())  # a client that has not heard of this server yet
    place.server.fault("hang", count=None)
    clear(place.run(module), "proxy/info", "did not answer in time", "Is there an Alluxio proxy at all?")
    assert pauses == []


def test_a_name_that_nobody_knows(place, pauses):
    place.options["proxy_url"] = "http://no-such-host.invalid:39999"
    clear(place.run("directory"), "no-such-host.invalid", "proxy_url")


def test_tls_where_none_is_spoken(place):
    # some servers wait for the rest of what they take for a request
    place.options.update(proxy_url=place.options["proxy_url"].replace("http:", "https:"), timeout=2)
    clear(place.run("directory"), "Is https right there? The proxy itself speaks http")


def test_the_port_of_something_else(place, pauses):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        thread = threading.Thread(target=lambda: [other.accept()[0].sendall(b"\0\0\x06\x04") for _n in range(3)])
        thread.start()
        place.options.update(proxy_url="http://127.0.0.1:%d" % other.getsockname()[1], timeout=1)
        clear(place.run("directory"), "39999 is the proxy; 19998 and 19999 are the master")
        for _rest in range(3):
            with contextlib.suppress(OSError), socket.create_connection(other.getsockname()):
                pass
        thread.join()


class Merging(http.server.BaseHTTPRequestHandler):
    """A reverse proxy that merges slashes, as nginx does unless it is told not to."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format, *args):
        pass

    def forward(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        upstream = http.client.HTTPConnection(self.server.target, timeout=30)
        with contextlib.closing(upstream):
            kind = {name: value for name, value in self.headers.items() if name.lower() == "content-type"}
            upstream.request(self.command, re.sub("/+", "/", self.path), body, kind)
            answer = upstream.getresponse()
            content = answer.read()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers.get("content-type", ""))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = forward


@pytest.fixture
def merging(place, old_place):
    """A function that puts such a proxy before a place."""
    with contextlib.ExitStack() as stack:

        def begin(one):
            server = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Merging))
            server.daemon_threads = True
            server.target = one.options["proxy_url"].split("//")[1]
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
            stack.callback(server.shutdown)
            one.options["proxy_url"] = "http://127.0.0.1:%d" % server.server_address[1]

        yield begin


@pytest.mark.parametrize("module", MODULES)
def test_merged_slashes(place, old_place, merging, module):
    for one in (place, old_place):
        merging(one)
        clear(one.run(module), "merge_slashes off", "proxy_url")
        one.untouched()


def test_merged_slashes_at_the_root(place, merging):
    merging(place)
    subject = importlib.import_module("ansible_collections.polystore.storage.plugins.modules.alluxio_info").SUBJECT
    result = run_task(subject, place.options, gather=["list"], path="/")
    assert result["failed"] and "merge_slashes off" in result["msg"]


@pytest.mark.parametrize("module", MODULES)
def test_a_proxy_that_redirects(place, module):
    place.server.fault("redirect", path=PATHS, location="http://portal.example/login?next={path}", count=None)
    clear(place.run(module), "redirected to http://portal.example/login. ", "as proxy_url", code=302)


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("path", ["/proxy/info", PATHS])
def test_a_portal_in_place_of_an_answer(place, module, path):
    page = "<html><title>x</title><p>Please log in</p></html>"
    place.server.fault("status", path=path, status=200, body=page, count=None)
    clear(place.run(module), "the answer is not Alluxio's", "Please log in", "A reverse proxy in between")
    place.server.clear_faults()
    place.untouched()


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize(
    ("status", "told"), [(401, "give them in headers"), (502, "reverse proxy"), (504, "proxy_read_timeout")]
)
def test_a_page_of_a_reverse_proxy(place, module, status, told, pauses):
    page = "<html><head><title>x</title></head><body><h1>Not today</h1></body></html>"
    place.server.fault("status", path=PATHS, status=status, body=page, count=None)
    clear(place.run(module), "Not today", told, code=status)
    assert len(pauses) == (2 if status == 502 else 0)


@pytest.mark.parametrize("module", SENDERS)
def test_a_body_that_is_too_large_for_what_is_in_between(place, module):
    place.server.fault("status", path="/streams/[0-9]+/write", status=413, body="<html>Too large</html>", count=None)
    clear(place.run(module), "Too large", "client_max_body_size", code=413)
    place.server.clear_faults()
    assert [name for name, size in place.up().items() if size != "folder"] == []


# --- a server in trouble


@pytest.mark.parametrize("module", MODULES)
def test_503_to_what_only_asks_and_then_recovery(place, module, pauses):
    place.server.fault("status", path="(info|status)$", status=503, count=2)
    place.works(module)
    assert len(pauses) == 2


@pytest.mark.parametrize("module", WRITERS)
def test_429_waits_as_long_as_it_is_told(place, module, pauses):
    place.server.fault(
        "status", path="/create-(file|directory)$", status=429, headers={"Retry-After": "7"}, body="slowly"
    )
    place.works(module)
    assert pauses == [7.0]


@pytest.mark.parametrize("module", SENDERS)
def test_a_stream_that_the_proxy_has_forgotten(place, module):
    body = '{"statusCode": "INTERNAL", "message": "stream does not exist"}'
    place.server.fault("status", path="/streams/[0-9]+/write", status=500, body=body)
    clear(place.run(module, parallel=1), "stream does not exist", code="INTERNAL")
    place.server.clear_faults()
    place.works(module)
