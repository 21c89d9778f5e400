# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Pachyderm client where things go wrong: TLS, big messages, servers and clients that die, forks, proxies."""

from __future__ import annotations

import contextlib
import datetime
import os
import pathlib
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import client as under_test
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import schema
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.client import (
    PachydermClient,
    PachydermError,
    Settings,
)
from ansible_collections.polystore.storage.tests.support.waiting import wait_for
from ansible_collections.polystore.storage.tests.unit.pachyderm.double import Double, Refused, doubled
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ROOT = pathlib.Path(__file__).resolve().parents[6]
START = """
import contextlib, os, sys, time
sys.path.insert(0, %r)
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import schema
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.client import *
from ansible_collections.polystore.storage.tests.unit.pachyderm.double import Double
m = schema.message
""" % str(ROOT)


@contextlib.contextmanager
def script(text: str, *arguments: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that runs text after START; killed at the end."""
    command = [sys.executable, "-c", START + textwrap.dedent(text), *map(str, arguments)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def m(name: str, **fields: Any) -> Any:
    return schema.message(name)(**fields)


def get(client: PachydermClient) -> Iterator[Any]:
    return client.stream("pfs_v2.API/GetFile", m("pfs_v2.GetFileRequest"))


# --- TLS


class Authority:
    """A certificate authority, made here, and the servers that it vouches for."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test authority")])
        self.pem = self._signed(self.name, self.key.public_key(), None)

    def _signed(self, subject: x509.Name, public: Any, host: str | None) -> bytes:
        now = datetime.datetime.now(datetime.UTC)
        built = x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(public)
        built = built.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        built = built.not_valid_after(now + datetime.timedelta(days=1))
        built = built.add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
        if host is not None:
            built = built.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        return built.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def credentials(self, host: str) -> Any:
        """What a gRPC server of this name shows."""
        key = ec.generate_private_key(ec.SECP256R1())
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
        return grpc.ssl_server_credentials([(key.private_bytes(*form), self._signed(name, key.public_key(), host))])


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def secure(authority: Authority) -> Iterator[Double]:
    with doubled(credentials=authority.credentials("pachd.example.org")) as double:
        yield double


def over_tls(double: Double, **settings: Any) -> PachydermClient:
    return double.client(address=double.address.replace("grpc", "grpcs"), **settings)


@pytest.mark.parametrize("inline", [True, False])
def test_tls_with_an_own_authority_and_another_name(
    secure: Double, authority: Authority, tmp_path: pathlib.Path, inline: bool
) -> None:
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    given = authority.pem.decode() if inline else str(tmp_path / "ca.pem")
    client = over_tls(secure, ca_cert=given, server_name="pachd.example.org", auth_token="tok")
    assert client.version == (2, 12, 2) and secure.seen[-1].metadata["authn-token"] == "tok"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"server_name": "pachd.example.org"}, "ca_cert"),
        ({"server_name": "another.example.org", "ca": True}, "server_name"),
        ({"ca": True}, "server_name"),
    ],
)
def test_who_is_not_trusted_is_told_at_once(
    secure: Double, authority: Authority, settings: dict[str, Any], says: str
) -> None:
    more = {"ca_cert": authority.pem.decode()} if settings.pop("ca", False) else {}
    count = len(secure.seen)
    with pytest.raises(PachydermError) as caught:
        _version = over_tls(secure, retries=9, **more, **settings).version  # retries would show in the time it takes
    assert says in caught.value.hint and caught.value.fatal and not caught.value.transient
    assert len(secure.seen) == count


def test_tls_where_there_is_none(authority: Authority) -> None:
    with doubled() as double, pytest.raises(PachydermError) as caught:
        _version = over_tls(double, ca_cert=authority.pem.decode()).version
    assert "grpc://" in caught.value.hint and caught.value.fatal


def test_no_tls_where_there_is(secure: Double) -> None:
    with pytest.raises(PachydermError) as caught:
        _version = secure.client().version
    assert caught.value.code == "UNAVAILABLE"


def test_a_ca_cert_that_is_not_there() -> None:
    with pytest.raises(OptionError, match="ca_cert: /nowhere/ca.pem: No such file"):
        _version = PachydermClient(Settings("grpcs://localhost", ca_cert="/nowhere/ca.pem")).version


# --- addresses


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    client = PachydermClient(Settings("127.0.0.1:%d" % port, retries=1))
    with pytest.raises(PachydermError) as caught:
        _version = client.version
    assert caught.value.fatal and not caught.value.sent and "port-forward" in caught.value.hint
    assert client.counters.snapshot()["requests"] == 2


def test_somebody_who_never_says_anything() -> None:
    """As behind a firewall that drops everything: one item waits, the others are not even tried."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = PachydermClient(Settings("127.0.0.1:%d" % listening.getsockname()[1], retries=4, timeout=1))
        with pytest.raises(PachydermError) as caught:
            client.call("pfs_v2.API/InspectRepo", m("pfs_v2.InspectRepoRequest"))
    assert caught.value.code == "DEADLINE_EXCEEDED" and caught.value.fatal and "port-forward" in caught.value.hint
    assert client.counters.snapshot()["requests"] == 1


def test_what_never_left_is_sent_once_somebody_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with contextlib.ExitStack() as stack:
        started: list[Double] = []

        class Late(under_test.Retry):
            def __init__(self, retries: int) -> None:
                super().__init__(retries)

            def pause(self, attempt: int, error: StorageError) -> float:
                if not started:
                    started.append(stack.enter_context(doubled(bind="127.0.0.1:%d" % port)))
                return super().pause(attempt, error)

        monkeypatch.setattr(under_test, "Retry", Late)
        client = PachydermClient(Settings("127.0.0.1:%d" % port, retries=8))
        client.call("pfs_v2.API/CreateRepo", m("pfs_v2.CreateRepoRequest"))
        assert started[0].methods() == ["pfs_v2.API/CreateRepo"]


def test_a_unix_socket(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "s"
    with doubled(bind="unix:%s" % path) as double:
        assert double.client(address="unix://%s" % path).version == (2, 12, 2)


def test_a_proxy_is_not_asked_for_the_own_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "grpc_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("no_proxy", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    with doubled() as double:
        assert double.client().version == (2, 12, 2)


# --- big messages


def test_a_file_in_messages_of_19_mb() -> None:
    block = b"x" * 19_922_944
    with doubled() as double:
        double.answers["pfs_v2.API/GetFile"] = lambda _seen: (
            m("google.protobuf.BytesValue", value=block) for _number in range(3)
        )
        client = double.client()
        assert [part[-len(block) :] for part in get(client)] == [block] * 3
        assert client.counters.snapshot()["bytes_received"] > 3 * len(block)


def test_words_of_20_kib_arrive_with_their_own_code_again_and_again() -> None:
    """By default grpcio refuses them at random from 8 KiB on, and always above 16."""
    with doubled() as double:
        client = double.client()
        for size in (9 << 10, 15 << 10, 20 << 10, 64 << 10):
            double.answers["pfs_v2.API/InspectRepo"] = Refused("INVALID_ARGUMENT", "w" * size)
            for _time in range(5):
                with pytest.raises(PachydermError) as caught:
                    client.call("pfs_v2.API/InspectRepo", m("pfs_v2.InspectRepoRequest"))
                assert caught.value.code == "INVALID_ARGUMENT"


# --- whoever dies


def test_a_server_that_is_killed_in_the_middle_of_a_stream() -> None:
    serving = """
    double = Double()
    block = m("google.protobuf.BytesValue")(value=b"x" * 100000)
    double.answers["pfs_v2.API/GetFile"] = lambda seen: (block for _ in range(10**9))
    print(double.port, flush=True)
    sys.stdin.read()
    """
    with script(serving) as process:
        assert process.stdout is not None
        client = PachydermClient(Settings("127.0.0.1:" + process.stdout.readline().strip(), retries=4))
        parts, count = get(client), 0
        with pytest.raises(PachydermError) as caught:
            for _part in parts:
                count += 1
                if count == 3:
                    process.send_signal(signal.SIGKILL)
        assert caught.value.transient and "lost" in caught.value.message, caught.value.told()
        assert client.counters.snapshot()["requests"] == 1
        with pytest.raises(PachydermError) as caught:
            client.modify(client.branch("default", "r", "b"), [])
        assert caught.value.code == "UNAVAILABLE"


def test_a_server_that_ends_while_a_commit_is_sent() -> None:
    with doubled() as double:
        client = double.client()

        def messages() -> Iterator[Any]:
            for number in range(10**6):
                if number == 3:
                    wait_for(lambda: double.seen and len(double.seen[0].requests) > 1, "the first of it")
                    double.stop()
                yield m("pfs_v2.ModifyFileRequest", add_file={"path": "/a", "raw": {"value": b"x" * 1000}})

        with pytest.raises(PachydermError) as caught:
            client.modify(client.branch("default", "r", "b"), messages())
        assert caught.value.sent and not caught.value.transient
        assert not double.seen[0].whole


def test_a_client_that_is_killed_in_the_middle_ends_nothing_well() -> None:
    sending = """
    client = PachydermClient(Settings(sys.argv[1]))
    def messages():
        while True:
            yield m("pfs_v2.ModifyFileRequest")(add_file={"path": "/a", "raw": {"value": b"x"}})
            time.sleep(0.01)
    client.modify(client.branch("default", "r", "master"), messages())
    """
    with doubled() as double, script(sending, double.address) as process:
        wait_for(lambda: double.seen and len(double.seen[0].requests) > 3, "the first of it")
        process.send_signal(signal.SIGKILL)
        seen = double.seen[0]
        assert seen.over.wait(20) and not seen.whole


def test_ctrl_c_in_the_middle_ends_nothing_well() -> None:
    sending = """
    import signal
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell's background job runs ignores it
    client = PachydermClient(Settings(sys.argv[1]))
    def messages():
        while True:
            yield m("pfs_v2.ModifyFileRequest")(add_file={"path": "/a", "raw": {"value": b"x"}})
            time.sleep(0.01)
    with contextlib.suppress(KeyboardInterrupt):
        client.modify(client.branch("default", "r", "master"), messages())
    print("ended", flush=True)
    """
    with doubled() as double, script(sending, double.address) as process:
        wait_for(lambda: double.seen and len(double.seen[0].requests) > 3, "the first of it")
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None and process.stdout.readline() == "ended\n"
        assert double.seen[0].over.wait(20) and not double.seen[0].whole


# --- forks


def test_children_of_a_fork_make_their_own_channel() -> None:
    forking = """
    client = PachydermClient(Settings(sys.argv[1], auth_token="parent", timeout=20))
    ask = lambda: client.call("pfs_v2.API/InspectRepo", m("pfs_v2.InspectRepoRequest")(repo={"name": str(os.getpid())}))
    client.version, ask()
    stream = client.stream("pfs_v2.API/ListRepo", m("pfs_v2.ListRepoRequest")())
    next(stream)
    for turn in range(3):
        children = []
        for number in range(5):
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    ask()
                    client.modify(client.branch("default", "r", "b"), [])
                    code = int(client.counters.snapshot()["requests"] < 3)
                finally:
                    os._exit(code)
            children.append(child)
        print([os.waitpid(child, 0)[1] for child in children], flush=True)
        ask()
    print(sum(1 for _ in stream), flush=True)
    """
    with doubled() as double:
        double.answers["pfs_v2.API/ListRepo"] = [m("pfs_v2.RepoInfo")] * 9
        with script(forking, double.address) as process:
            assert process.stdout is not None
            assert [process.stdout.readline() for _turn in range(3)] == ["[0, 0, 0, 0, 0]\n"] * 3
            assert process.stdout.readline() == "8\n"
        asked = {seen.requests[0].repo.name for seen in double.seen if seen.method.endswith("InspectRepo")}
        assert len(asked) == 1 + 3 * 5


def test_a_fork_gets_what_was_only_loaded_before() -> None:
    """As in ansible-playbook: the parent loads the library, its workers use it."""
    forking = """
    preload()
    child = os.fork()
    if child == 0:
        os._exit(0 if PachydermClient(Settings(sys.argv[1])).version == (2, 12, 2) else 1)
    print(os.waitpid(child, 0)[1], flush=True)
    """
    with doubled() as double, script(forking, double.address) as process:
        assert process.stdout is not None and process.stdout.readline() == "0\n"


def test_nothing_is_written_to_the_terminal(authority: Authority) -> None:
    failing = """
    for address in sys.argv[1:]:
        with contextlib.suppress(PachydermError):
            PachydermClient(Settings(address, retries=0)).version
    client = PachydermClient(Settings(sys.argv[1]))
    def messages():
        yield m("pfs_v2.ModifyFileRequest")(delete_file={"path": "/"})
        raise KeyError("own")
    with contextlib.suppress(KeyError):
        client.modify(client.branch("default", "r", "b"), messages())
    """
    with doubled() as plain, doubled(credentials=authority.credentials("x")) as secure:
        addresses = [plain.address, secure.address, secure.address.replace("grpc", "grpcs"), "127.0.0.1:1", "[::1]:1"]
        # A double loads gRPC before the client can say how much it is to tell; other tests have set the environment.
        code = START.replace("from ansible_collections.polystore.storage.tests", "#") + textwrap.dedent(failing)
        env = {name: value for name, value in os.environ.items() if not name.startswith("GRPC_")}
        done = subprocess.run(
            [sys.executable, "-c", code, *addresses], capture_output=True, text=True, env=env, timeout=60, check=False
        )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_closed_client_can_still_be_used() -> None:
    with doubled() as double:
        client = double.client()
        assert client.version == (2, 12, 2)
        client.close()
        client.close()
        client.call("pfs_v2.API/InspectRepo", m("pfs_v2.InspectRepoRequest"))
        assert double.methods() == ["pfs_v2.API/InspectRepo"]


def test_what_is_no_grpc_server() -> None:
    serving = """
    import http.server
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    print(server.server_port, flush=True)
    server.serve_forever()
    """
    with script(serving) as process:
        assert process.stdout is not None
        client = PachydermClient(Settings("http://127.0.0.1:" + process.stdout.readline().strip(), retries=0))
        with pytest.raises(PachydermError) as caught:
            _version = client.version
    assert "no pachd" in caught.value.message and "30650" in caught.value.hint, caught.value.told()


def test_a_library_that_is_missing_is_named() -> None:
    hiding = """
    sys.modules["grpc"] = None
    try:
        preload()
    except Exception as error:
        print(type(error).__name__, error.package, flush=True)
    """
    code = START.replace("from ansible_collections.polystore.storage.tests", "#")
    command = [sys.executable, "-c", code + textwrap.dedent(hiding)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ}, timeout=60, check=False)
    assert done.stdout == "MissingLibrary grpcio\n", done.stderr
