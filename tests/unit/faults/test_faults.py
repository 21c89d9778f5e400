# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong between here and Swift: each module ends with a clear message, or goes on as if nothing had been."""

from __future__ import annotations

import contextlib
import datetime
import importlib
import ipaddress
import itertools
import re
import socket
import socketserver
import ssl
import threading

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import Retry
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.plugins.module_utils.swift.common import CONNECTION
from ansible_collections.polystore.storage.tests.support.run import run_task
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

MODULES = ("container", "object", "sync", "download")
BIG = 300_000
_timeouts = itertools.count(1000)


class Place:
    """A container with something to download, a tree to upload, and a client that no other test has used."""

    def __init__(self, server, tmp_path):
        self.server, self.tmp = server, tmp_path
        self.name = server.new_container_name("fault")
        # another timeout is another client, so that neither its token nor its connections come from elsewhere
        self.options = {**server.auth_v1(), "timeout": next(_timeouts), "retries": 2}
        self.tree = tmp_path / "tree"
        (self.tree / "sub").mkdir(parents=True)
        (self.tree / "one").write_bytes(b"1")
        (self.tree / "sub" / "big").write_bytes(b"2" * BIG)
        client = client_for(CONNECTION, {**server.auth_v1(), "timeout": next(_timeouts)}, 8, {})
        client.request("PUT", self.name)
        client.request("PUT", self.name, "down/small", body=b"small")
        client.request("PUT", self.name, "down/big", body=b"d" * BIG)
        self.admin = client

    def task(self, module):
        return {
            "container": {"name": self.name, "metadata": {"colour": "red"}},
            "object": {"container": self.name, "name": "up/object", "content": "x" * BIG},
            "sync": {"container": self.name, "prefix": "up/", "src": str(self.tree)},
            "download": {"container": self.name, "prefix": "down", "dest": str(self.tmp / "dest")},
        }[module]

    def run(self, module, check=False, **options):
        subject = importlib.import_module("ansible_collections.polystore.storage.plugins.modules.swift_" + module)
        return run_task(subject.SUBJECT, self.options, check=check, **{**self.task(module), **options})

    def works(self, module, **options):
        """The task succeeds, has done all of its work, and has nothing to do the next time."""
        done = self.run(module, **options)
        assert not done.get("failed") and done["changed"], done
        headers = self.admin.request("HEAD", self.name).headers
        if module == "container":
            assert headers["x-container-meta-colour"] == "red"
        elif module == "download":
            assert (self.tmp / "dest" / "small").read_bytes() == b"small"
            assert (self.tmp / "dest" / "big").read_bytes() == b"d" * BIG
        else:
            found = {row["name"]: row["bytes"] for row in self.admin.listing(self.name, prefix="up/")}
            assert found == ({"up/object": BIG} if module == "object" else {"up/one": 1, "up/sub/big": BIG})
        again = self.run(module, **options)
        assert not again.get("failed") and not again["changed"], again
        return done

    def requests(self, mark, *methods):
        return [r for r in self.server.requests(mark, path=self.name) if not methods or r["method"] in methods]

    def fault(self, action, **order):
        """A fault that hits the requests to this place alone."""
        self.server.fault(action, **{"path": "/%s([/?]|$)" % self.name, **order})


@pytest.fixture
def place(swift_server, tmp_path):
    return Place(swift_server, tmp_path)


@pytest.fixture
def pauses(monkeypatch):
    """No pause is made; how long each would have been is kept."""
    made = []
    real = Retry.pause

    def pause(self, attempt, error):
        made.append(real(self, attempt, error))
        return 0.0

    monkeypatch.setattr(Retry, "pause", pause)
    return made


def clear(result, *told, code=None):
    """A failure that says what happened, where, and what to do, and is no trace."""
    assert result.get("failed"), result
    for text in told:
        assert text in result["msg"], result["msg"]
    assert "fault in polystore.storage" not in result["msg"] and "exception" not in result
    assert not re.search(r"Traceback|0x[0-9a-f]{6}|urllib3|requests\.exceptions|HTTPConnectionPool", str(result))
    first = next(f for f in result["failures"] if f["code"] != "not_begun")
    assert first["operation"] and first["message"]
    assert first["hint"] or first["server_message"]
    if code is not None:
        assert first["code"] == code
    assert "testing" not in result["msg"]  # the password of tempauth's test user


# --- who asks


@pytest.mark.parametrize("module", MODULES)
def test_a_wrong_password(place, module, pauses):
    place.options["auth"]["password"] = "not-the-password"
    mark = place.server.mark()
    result = place.run(module)
    clear(result, "/auth/v1.0: HTTP 401 Unauthorized", "Check the user, its domain, the password", code=401)
    assert "not-the-password" not in str(result)
    assert len(place.server.requests(mark)) == 1 and pauses == []


@pytest.mark.parametrize("module", MODULES)
def test_a_token_that_expires_in_mid_run_is_renewed(place, module, pauses):
    for nth in (1, 3):
        place.fault("status", status=401, nth=nth)
    mark = place.server.mark()
    place.works(module)
    assert len([r for r in place.server.requests(mark) if "/auth/" in r["path"]]) in (2, 3)
    assert pauses == []


@pytest.mark.parametrize("module", MODULES)
def test_a_token_that_is_never_accepted_is_an_end(place, module, pauses):
    place.fault("status", status=401, count=None)
    mark = place.server.mark()
    clear(place.run(module), "HTTP 401", "a token may have expired", code=401)
    assert len(place.server.requests(mark)) < 10


@pytest.mark.parametrize("module", MODULES)
def test_a_user_who_may_not(place, module):
    place.fault("status", status=403, count=None)
    clear(place.run(module), "HTTP 403", "ACLs", code=403)


# --- the way there


@pytest.mark.parametrize("module", MODULES)
def test_refused_connections(place, module, pauses):
    place.server.listen(False)
    try:
        clear(place.run(module), "refuses connections", "Check auth.auth_url and storage_url")
    finally:
        place.server.listen(True)
    assert len(pauses) == 2
    place.works(module)


def test_a_name_that_nobody_knows(place, pauses):
    place.options["auth"]["auth_url"] = "http://no-such-host.invalid:8080/auth/v1.0"
    clear(place.run("container"), "no-such-host.invalid", "Check auth.auth_url")


@pytest.mark.parametrize("module", MODULES)
def test_a_server_that_never_answers(place, module):
    place.options.update(timeout=1, retries=0)
    place.fault("hang", count=None)
    clear(place.run(module), "did not answer in time (timeout: 1 s)", "Is timeout too short?")


@pytest.mark.parametrize("module", MODULES)
def test_a_proxy_that_redirects(place, module):
    place.fault("redirect", location="http://portal.example/login?next={path}", count=None)
    mark = place.server.mark()
    clear(place.run(module), "redirected to http://portal.example/login", "storage_url", code=302)
    assert place.server.writes(mark) == [r for r in place.server.writes(mark) if r["status"] == 302]


def test_a_proxy_that_redirects_the_login(place):
    place.server.fault("redirect", path="/auth/", location="http://portal.example/login", count=None)
    clear(place.run("container"), "redirected to http://portal.example/login", "auth.auth_url", code=302)


@pytest.mark.parametrize("module", ["sync", "download"])
def test_a_portal_in_place_of_a_listing(place, module):
    place.fault(
        "status", status=200, body="<html><title>x</title><p>Please log in</p></html>", method="GET", count=None
    )
    clear(place.run(module), "where JSON is due", "Please log in", "Is storage_url Swift's own address?")
    assert not (place.tmp / "dest").exists()


# --- a server in trouble


@pytest.mark.parametrize("module", MODULES)
def test_503_and_then_recovery(place, module, pauses):
    place.fault("status", status=503, count=2)
    place.works(module)
    assert 1 <= len(pauses) <= 2


@pytest.mark.parametrize("module", MODULES)
def test_503_for_ever(place, module, pauses):
    place.fault("status", status=503, count=None, body="<html><h1>Out</h1><p>of order</p></html>")
    words = ["Out of order"] if module in ("sync", "download") else []  # a HEAD has none
    clear(place.run(module), "HTTP 503", "overloaded", *words, code=503)
    assert len(pauses) >= 2
    place.server.clear_faults()
    place.works(module)


@pytest.mark.parametrize("module", MODULES)
def test_429_waits_as_long_as_it_is_told(place, module, pauses):
    place.fault("status", status=429, headers={"Retry-After": "7"})
    place.works(module)
    assert pauses == [7.0]


@pytest.mark.parametrize(
    ("status", "told"),
    [(413, "quota"), (507, "no space left"), (411, "Content-Length"), (422, "checksum"), (498, "lower parallel")],
)
@pytest.mark.parametrize("module", ["object", "sync"])
def test_a_refused_upload_says_what_to_do(place, module, status, told, pauses):
    place.fault("status", method="PUT", status=status, count=None, body="No, thank you")
    clear(place.run(module), "No, thank you", told, code=status)
    place.server.clear_faults()
    place.works(module)


# --- what is cut


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("action", ["close", "close_after"])
def test_a_connection_that_closes_without_an_answer(place, module, action, pauses):
    place.fault(action)
    place.fault(action, nth=3)
    place.works(module)
    assert pauses


@pytest.mark.parametrize("action", ["close", "close_after"])
def test_an_answer_to_a_write_that_is_lost(place, action, pauses):
    """Whether the write was done or not, it is sent again and nothing is there twice or half."""
    for module, method in (("object", "PUT"), ("sync", "PUT"), ("container", "POST")):
        place.server.clear_faults()
        place.fault(action, method=method)
        for row in list(place.admin.listing(place.name, prefix="up/")):
            place.admin.request("DELETE", place.name, row["name"])
        place.works(module)


@pytest.mark.parametrize("module", ["object", "sync"])
def test_an_upload_that_is_cut_is_sent_again(place, module, pauses):
    place.fault("cut_upload", method="PUT", path="/%s/up/.*(object|big)" % place.name, bytes=BIG // 2)
    place.works(module)
    assert len(pauses) == 1


@pytest.mark.parametrize("module", ["object", "sync"])
def test_an_upload_that_is_always_cut_stores_nothing(place, module, pauses):
    path = "/%s/up/.*(object|big)" % place.name
    place.fault("cut_upload", method="PUT", path=path, bytes=BIG // 2, count=None)
    result = place.run(module)
    clear(result, "broke", "raise retries")
    names = [row["name"] for row in place.admin.listing(place.name, prefix="up/")]
    assert names == ([] if module == "object" else ["up/one"])
    assert result["summary"]["failed"] == 1


def test_a_download_that_is_cut_goes_on(place, pauses):
    place.fault("cut", method="GET", path="/%s/down/big" % place.name, bytes=BIG // 3)
    mark = place.server.mark()
    place.works("download")
    assert [r["status"] for r in place.requests(mark, "GET") if "/down/big" in r["path"]] == [200, 206]


def test_a_download_that_is_always_cut_leaves_nothing(place, pauses):
    place.fault("cut", method="GET", path="/%s/down/big" % place.name, bytes=1000, count=None)
    result = place.run("download")
    clear(result, "broke", "raise retries")
    assert result["summary"]["created"] == 1 and result["summary"]["failed"] == 1
    assert [path.name for path in (place.tmp / "dest").iterdir()] == ["small"]


@pytest.mark.parametrize("module", ["sync", "download"])
def test_a_listing_that_is_cut_is_asked_for_again(place, module, pauses):
    place.fault("cut", method="GET", path=r"/%s\?.*format=json" % place.name, bytes=10)
    place.works(module)


# --- TLS


class Authority:
    """A certificate authority and the servers' certificates that it signs."""

    def __init__(self, directory, name):
        self.directory, self.name = directory, x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.path = directory / (name + ".pem")
        self.path.write_bytes(self._signed(self.name, self.key.public_key(), 1, None))

    def _signed(self, subject, public, days, address):
        now = datetime.datetime.now(datetime.UTC)
        built = x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(public)
        built = built.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=9))
        built = built.not_valid_after(now + datetime.timedelta(days=days))
        built = built.add_extension(x509.BasicConstraints(ca=address is None, path_length=None), critical=True)
        mine = x509.SubjectKeyIdentifier.from_public_key(self.key.public_key())
        if address is None:
            usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
            built = built.add_extension(usage, critical=True).add_extension(mine, critical=False)
        else:
            names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
            above = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(mine)
            built = built.add_extension(names, critical=False).add_extension(above, critical=False)
        return built.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def server(self, address="127.0.0.1", days=1):
        """The path of a file with a key and its certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "server")])
        path = self.directory / ("server-%s-%d.pem" % (address, days))
        path.write_bytes(key.private_bytes(*form) + self._signed(name, key.public_key(), days, address))
        return path


class Tunnel(socketserver.ThreadingTCPServer):
    """TLS in front of a plain server."""

    daemon_threads = True

    def __init__(self, certificate, target):
        super().__init__(("127.0.0.1", 0), None)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate)
        self.target = target

    def finish_request(self, request, client_address):
        with contextlib.ExitStack() as stack:
            stack.enter_context(contextlib.suppress(OSError))
            outer = stack.enter_context(self.context.wrap_socket(request, server_side=True))
            inner = stack.enter_context(socket.create_connection(self.target))
            back = threading.Thread(target=self.copy, args=(inner, outer), daemon=True)
            back.start()
            self.copy(outer, inner)
            back.join()

    @staticmethod
    def copy(source, sink):
        with contextlib.suppress(OSError):
            for block in iter(lambda: source.recv(65536), b""):
                sink.sendall(block)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def tunnel(place):
    """A function that puts TLS with a certificate in front of the server; returns nothing, changes the options."""
    with contextlib.ExitStack() as stack:

        def begin(certificate):
            host, port = re.match(r"http://([^:/]+):(\d+)", place.options["auth"]["auth_url"]).groups()
            server = stack.enter_context(Tunnel(certificate, (host, int(port))))
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
            thread.start()
            stack.callback(server.shutdown)
            base = "https://127.0.0.1:%d" % server.server_address[1]
            place.options["auth"]["auth_url"] = base + "/auth/v1.0"
            place.options["storage_url"] = base + "/v1/AUTH_test"

        yield begin


@pytest.mark.parametrize("module", MODULES)
def test_tls_with_a_wrong_authority(place, tunnel, module, pauses):
    right, wrong = Authority(place.tmp, "right"), Authority(place.tmp, "wrong")
    tunnel(right.server())
    mark = place.server.mark()
    clear(place.run(module, ca_cert=str(wrong.path)), "TLS with 127.0.0.1", "its certificate is not trusted", "ca_cert")
    assert place.server.requests(mark) == [] and pauses == []
    place.works(module, ca_cert=str(right.path))


def test_tls_with_no_authority_at_all(place, tunnel):
    tunnel(Authority(place.tmp, "right").server())
    clear(place.run("container"), "TLS with 127.0.0.1", "its certificate is not trusted", "ca_cert")
    place.works("container", validate_certs=False)


@pytest.mark.parametrize(("how", "told"), [({"days": -1}, "expired"), ({"address": "127.0.0.9"}, "127.0.0.1")])
def test_tls_with_a_certificate_that_is_not_right(place, tunnel, how, told):
    authority = Authority(place.tmp, "right")
    tunnel(authority.server(**how))
    clear(place.run("container", ca_cert=str(authority.path)), "TLS with 127.0.0.1", told)


def test_tls_where_none_is_spoken(place):
    url = place.options["auth"]["auth_url"].replace("http:", "https:")
    place.options["auth"]["auth_url"] = url
    clear(place.run("container"), "TLS with 127.0.0.1", "Is https right there?")


def test_a_ca_file_that_is_none(place, tunnel):
    tunnel(Authority(place.tmp, "right").server())
    (place.tmp / "junk.pem").write_text("junk")
    clear(place.run("container", ca_cert=str(place.tmp / "junk.pem")), "ca_cert")


# --- Keystone


def test_keystone_refuses_a_password(swift_and_keystone, tmp_path, pauses):
    place = Place(swift_and_keystone, tmp_path)
    place.options = {**swift_and_keystone.auth_v3(), "timeout": next(_timeouts)}
    place.options["auth"]["password"] = "not-the-password"
    mark = swift_and_keystone.mark()
    result = place.run("container")
    clear(result, "HTTP 401", "Check the user, its domain, the password and the project", code=401)
    assert "not-the-password" not in str(result) and pauses == []
    assert swift_and_keystone.requests(mark) == []


@pytest.mark.parametrize("module", ["object", "download"])
def test_keystone_takes_a_token_back_in_mid_run(swift_and_keystone, tmp_path, module, pauses):
    place = Place(swift_and_keystone, tmp_path)
    container = swift_and_keystone.new_container_name("fault")
    place.options = {**swift_and_keystone.auth_v3(), "timeout": next(_timeouts)}
    place.admin = client_for(CONNECTION, {**place.options, "timeout": next(_timeouts)}, 8, {})
    place.name = container
    place.admin.request("PUT", container)
    place.admin.request("PUT", container, "down/small", body=b"small")
    place.admin.request("PUT", container, "down/big", body=b"d" * BIG)
    mark = swift_and_keystone.keystone.mark()
    place.fault("status", status=401, nth=2)
    place.works(module)
    asked = [r for r in swift_and_keystone.keystone.requests(mark, "POST") if r["path"].endswith("/auth/tokens")]
    assert len(asked) >= 2


def test_keystone_in_trouble(swift_and_keystone, tmp_path, pauses):
    place = Place(swift_and_keystone, tmp_path)
    place.options = {**swift_and_keystone.auth_v3(), "timeout": next(_timeouts), "retries": 2}
    swift_and_keystone.keystone.fault("status", status=503, path="/auth/tokens", count=None)
    clear(place.run("container"), "HTTP 503", code=503)
    swift_and_keystone.keystone.clear_faults()
    swift_and_keystone.keystone.fault("status", status=503, path="/auth/tokens", count=1)
    assert not place.run("container", name=place.name).get("failed")
