# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pachyderm's pachd over gRPC: every version from 2.0 on, bounded memory, honest errors."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib
import json
import os
import re
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.polystore.storage.plugins.module_utils.core import errors
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, Retry, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.values import Counters

__all__ = ("PachydermClient", "PachydermError", "Settings", "preload", "target")
PORT = 30650
NEWEST = (2, 99, 0)  # what a server without a version of its own (0.0.0) counts as
SINCE = dict.fromkeys(("defaults", "drop_commit", "pipeline_v2"), (2, 8, 0))
SINCE.update(hash=(2, 1, 6), projects=(2, 5, 0), rate_limit=(2, 7, 0))  # hash: the content hash that we compute
SINCE.update(project_v2=(2, 9, 0), metadata=(2, 10, 0))
LOOPBACK = re.compile(r"^(localhost|127(\.\d+){3}|::1)$", re.IGNORECASE)
READS = re.compile(r"^(Inspect|List|Get|Walk|WhoAmI$)")  # of the calls that the schema has
UNSENT = re.compile(r"failed to connect|connections to all backends|resolution fail|lookup fail|name resol", re.I)
CUT = re.compile(r"stream removed|rst_stream|socket closed|connection (reset|aborted|closed)|broken pipe|goaway", re.I)
UNDONE = re.compile(r"unexpectedly resulted in rollback|SQLSTATE (40001|40P01|25P02)")  # by its database: it clashed
CODES = {"NOT_FOUND": "missing", "ALREADY_EXISTS": "exists", "PERMISSION_DENIED": "denied", "UNAUTHENTICATED": "login"}
# By what the server says, where its code says little; the first that fits.
WORDS = (
    ("auth-off", r"auth service is not activated"),
    ("login", r"no authentication (token|metadata)|token is corrupted|token expiration is in the past"),
    ("denied", r"is not authorized to perform"),
    ("open", r"has not been finished|commit .{0,200}not finished"),
    ("unimplemented", r"^unimplemented$"),
    ("", r"cannot be (created|deleted) because|^error retrieving content"),
    ("missing", r"\bnot found|no role binding exists|does not exist|does not contain item"),
    ("exists", r"already exists"),
)
HINTS = {
    "login": "Give a valid token in auth_token (PACHD_AUTH_TOKEN).",
    "denied": "Ask for a role that allows it, or give another token in auth_token.",
    "open": "Somebody has a commit open there: finish or drop it, or wait until that is done.",
}


def target(address: str) -> tuple[str, bool]:
    """(what gRPC calls it, whether it is TLS) for grpc://, http://, grpcs://, https://, unix: or host[:port].

    Raises ValueError, which says what would be right.
    """
    right = "write it as grpc://host:%d, grpcs://host:%d (TLS) or unix:///path" % (PORT, PORT)
    if re.search(r"[^\x21-\x7e]", address) or not address:
        raise ValueError("it is no address: " + right)
    if address.startswith("unix:"):
        path = re.sub(r"^unix:(//(?=/))?", "", address)
        if not path or path.startswith("//") or re.search(r"[?#]", path):
            raise ValueError("it holds no path: write it as unix:///path")
        return "unix:" + path, False
    try:
        parts = urlsplit(address if "://" in address else "grpc://" + address)
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError:
        raise ValueError("its host or port is wrong: " + right) from None
    if scheme not in ("grpc", "http", "grpcs", "https"):
        raise ValueError("%s:// is not known: %s" % (scheme, right))
    if "@" in parts.netloc:
        raise ValueError("it holds a user: the token belongs in auth_token")
    if not host or port == 0 or parts.netloc.endswith(":") or (":" in host and "[" not in parts.netloc):
        raise ValueError("its host or port is wrong: " + right)
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("something follows the port: " + right)
    return "%s:%d" % ("[%s]" % host if ":" in host else host, port or PORT), scheme in ("grpcs", "https")


@dataclasses.dataclass(frozen=True)
class Settings:
    """How pachd is reached. Raises OptionError.

    ca_cert: a PEM file, or the PEM text itself. server_name: the name that the certificate is for.
    timeout: seconds a call may take, and seconds without a sign of life in a stream. The repr shows no secret.
    """

    address: str = "grpc://localhost:30650"
    auth_token: str | None = dataclasses.field(default=None, repr=False)
    ca_cert: str | None = None
    server_name: str | None = None
    timeout: float = 60.0
    retries: int = 4

    def __post_init__(self) -> None:
        try:
            target(self.address)
        except ValueError as error:
            raise OptionError("address", "%s (%s)" % (self.address.rpartition("@")[2], error)) from None
        object.__setattr__(self, "auth_token", (self.auth_token or "").strip())
        if re.search(r"[^\x20-\x7e]", self.auth_token or ""):
            raise OptionError("auth_token", "it is no token: only printable ASCII can be sent")
        if self.timeout <= 0:
            raise OptionError("timeout", "%g is no time" % self.timeout, "Give seconds, more than 0")

    def identity(self) -> str:
        """A stable sha256 of all fields, for caches."""
        return hashlib.sha256(json.dumps(dataclasses.asdict(self), sort_keys=True).encode()).hexdigest()


class PachydermError(StorageError):
    """What pachd refused, or why it could not be asked. code: the name of the gRPC status.

    kind: "missing", "exists", "denied", "login", "auth-off", "unimplemented", "open" (a commit that is not finished)
    or "". sent: whether the call may have reached the server.
    """

    kind = ""
    sent = True


def _kind(code: str, words: str) -> str:
    if code in CODES:
        return CODES[code]
    if code == "UNIMPLEMENTED":
        return "auth-off" if "not activated" in words else "unimplemented"
    found = next((kind for kind, pattern in WORDS if re.search(pattern, words)), "")
    return found if code in ("UNKNOWN", "INTERNAL") or found == "open" else ""


def _plain(words: str, token: str | None) -> str:
    """The server's words on one line, without the token and without the document that a parser quotes."""
    if token:
        words = words.replace(token, "***")
    words = "; ".join(filter(None, (line.strip() for line in words.splitlines())))
    words = re.sub(r'\{\s*".*\}', "{…}", words, flags=re.DOTALL)
    words = re.sub(r'\{\s*\\?".{200,}$', "{…", words, flags=re.DOTALL)
    return words if len(words) <= 800 else words[:800] + "…"


def _spoken(method: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", method.rpartition("/")[2]).lower()


def _unreachable(words: str, settings: Settings) -> tuple[str, str]:
    """(message, hint) where no connection came about."""
    message, tls = "Pachyderm at %s cannot be reached" % settings.address, target(settings.address)[1]
    if re.search("CERTIFICATE_VERIFY_FAILED|certificate verify failed", words, re.I):
        return message + ": its certificate is not trusted", "Give the CA's certificate in ca_cert."
    if re.search("hostname verification|no match found for server name|peer name", words, re.I):
        return message + ": its certificate is for another name", "Give that name in server_name."
    if tls and re.search("handshake|ssl|tls", words, re.I):
        return message + ": no TLS came about", "Does it speak TLS? Without, the address begins with grpc://"
    return message, "Is pachd, or a port-forward to it, running there? With TLS the address begins with grpcs://"


def _trouble(code: str, words: str, operation: str, settings: Settings, safe: bool, seconds: float) -> PachydermError:
    """The error for what gRPC reports."""
    kind = _kind(code, words)
    sent = code != "UNAVAILABLE" or not UNSENT.search(words)
    cut = code in ("UNAVAILABLE", "INTERNAL", "UNKNOWN", "CANCELLED") and bool(CUT.search(words))
    lost = not sent or cut or (code == "UNAVAILABLE" and not kind)
    message, hint = "%s: the server answers %s" % (operation, code), HINTS.get(kind, "")
    if re.search(r"http1\.x|http2 header with status|text/html|parsing HTTP", words, re.I):
        message, hint = "%s: what answers at %s is no pachd" % (operation, settings.address), "Its port is %d." % PORT
    elif not sent:
        message, hint = _unreachable(words, settings)
    elif cut:
        message, hint = "%s: the connection was lost" % operation, "Run again."
    elif code == "DEADLINE_EXCEEDED":
        message, hint = "%s: no answer within %g s" % (operation, seconds), "Is it busy? timeout can be raised."
        words = ""
    error = PachydermError(message, operation=operation, code=code, hint=hint)
    error.server_message = _plain(words, settings.auth_token)
    error.fatal, error.kind, error.sent = not sent or kind == "login", kind, sent
    undone = code == "UNKNOWN" and UNDONE.search(words)
    doomed = not sent and re.search("certificate|verification|handshake", words, re.I)
    error.transient = bool(undone) or (lost and (safe or not sent) and not doomed)
    return error


def _load() -> tuple[Any, Any]:
    """(grpc, our schema). Raises MissingLibrary."""
    # Before the first import: children of a fork get a working library, and the terminal no log of its core.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "1")
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    for module, package in (("google.protobuf.message_factory", "protobuf"), ("grpc", "grpcio")):
        try:
            importlib.import_module(module)
        except ImportError:
            raise errors.MissingLibrary(package, "to talk to Pachyderm") from None
    from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import schema

    return importlib.import_module("grpc"), schema


def preload() -> None:
    """Import the client library now, once before forks. Raises MissingLibrary."""
    _load()


class _Watch:
    """Cancels a call some seconds after `since`."""

    def __init__(self, call: Any, seconds: float) -> None:
        self.call, self.seconds, self.stalled = call, seconds, False
        self.since: float | None = None
        self.over = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        left = self.seconds
        while not self.over.wait(max(left, 0.01)):
            since = self.since
            left = self.seconds if since is None else since + self.seconds - time.monotonic()
            if left <= 0:
                self.stalled = True
                self.call.cancel()
                return

    def waits(self) -> None:
        self.since = time.monotonic()


class PachydermClient:
    """One pachd. Thread-safe; a fork makes its own connection. All errors are StorageErrors."""

    def __init__(self, settings: Settings, parallel: int = 8) -> None:
        self.settings, self.parallel = settings, parallel
        self.counters = Counters()
        self._grpc, self._schema = _load()
        self._retry, self._pid = Retry(settings.retries), 0
        self._version: tuple[int, int, int] | None = None
        self._foreign: list[Any] = []
        self._channels: dict[bool, Any] = {}
        self._own()

    def _own(self) -> None:
        if self._pid != os.getpid():  # after a fork: the channel is the parent's, and not ours to close
            self._foreign.append(self._channels)
            self._channels, self._calls = {}, dict[str, Any]()
            self._lock, self._asked, self.turn = (threading.Lock() for _turn in range(3))
            self._pid, self.room = os.getpid(), threading.Semaphore(20)  # MiB on their way

    def close(self) -> None:
        """Close the connection; the client can still be used."""
        self._own()
        with self._lock:
            for channel in self._channels.values():
                channel.close()
            self._channels, self._calls = {}, {}

    def _open(self, alone: bool) -> Any:
        name, tls = target(self.settings.address)
        # Messages have up to 20 MiB (alone: none is read ahead), and errors may quote a whole document.
        more: dict[str, Any] = {"max_receive_message_length": -1, "primary_user_agent": "polystore"}
        more.update(max_metadata_size=4 << 20, absolute_max_metadata_size=8 << 20)
        more.update(initial_reconnect_backoff_ms=200, max_reconnect_backoff_ms=2000)
        if name.startswith("unix:") or LOOPBACK.match(name.rpartition(":")[0].strip("[]")):
            more["enable_http_proxy"] = 0
        if tls and self.settings.server_name:
            more["ssl_target_name_override"] = self.settings.server_name
        options = [("grpc." + option, value) for option, value in more.items()]
        options += [("SingleThreadedUnaryStream", 1), ("grpc.http2.bdp_probe", 0)] if alone else []
        if not tls:
            return self._grpc.insecure_channel(name, options=options)
        return self._grpc.secure_channel(name, self._grpc.ssl_channel_credentials(self._roots()), options=options)

    def _roots(self) -> bytes | None:
        given = self.settings.ca_cert
        if not given:
            return None
        if given.lstrip().startswith("-----BEGIN"):
            return given.encode()
        try:
            with open(given, "rb") as stream:
                return stream.read()
        except OSError as error:
            raise OptionError("ca_cert", "%s: %s" % (given, error.strerror)) from None

    def _callable(self, method: str) -> Any:
        self._own()
        with self._lock:
            if method not in self._calls:
                alone = method.endswith(("/WalkFile", "/GetFile"))  # a thread between costs time, or holds 20 MB
                channel = self._channels[alone] = self._channels.get(alone) or self._open(alone)
                known = self._schema.METHODS[method]
                sides = ("stream" if streams else "unary" for streams in known[2:4])
                make, kind = getattr(channel, "_".join(sides)), None if method.endswith("/GetFile") else known.response
                self._calls[method] = make("/" + method, self._write, functools.partial(self._read, kind))
            return self._calls[method]

    def _write(self, message: Any) -> bytes:
        data: bytes = message.SerializeToString()
        self.counters.add(bytes_sent=len(data))
        return data

    def _read(self, kind: Any, data: bytes) -> Any:
        self.counters.add(bytes_received=len(data))
        return kind.FromString(data) if kind else data

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authn-token", self.settings.auth_token),) if self.settings.auth_token else ()

    def _failed(self, error: Any, operation: str, safe: bool, seconds: float, stalled: bool = False) -> PachydermError:
        code = "DEADLINE_EXCEEDED" if stalled else error.code().name
        made = _trouble(code, error.details() or "", operation, self.settings, safe, seconds)
        if code == "DEADLINE_EXCEEDED" and not self.counters.snapshot()["bytes_received"]:
            made.fatal, made.hint = True, _unreachable("", self.settings)[1]  # nobody has ever answered
        return made

    @staticmethod
    def _reads(method: str, request: Any) -> bool:
        return bool(READS.match(method.rpartition("/")[2]) or getattr(request, "dry_run", False))

    def call(
        self, method: str, request: Any, *, safe: bool | None = None, timeout: float | None = None, operation: str = ""
    ) -> Any:
        """The answer to one request. method: "pfs_v2.API/InspectRepo"; safe: may be sent twice (default: it reads).

        Sent again where that is safe, or where nothing has left. Raises PachydermError.
        """
        reads = self._reads(method, request)
        again = reads if safe is None else safe
        seconds = timeout or self.settings.timeout

        def once() -> Any:
            ask = self._callable(method)
            self.counters.add(requests=1, writes=int(not reads))
            try:
                return ask(request, timeout=seconds, metadata=self._metadata())
            except self._grpc.RpcError as error:
                raise self._failed(error, operation or _spoken(method), again, seconds) from None

        return self._retry.call(once)

    def maybe(self, method: str, request: Any, **more: Any) -> Any:
        """As call(); None where the server says that there is no such thing."""
        try:
            return self.call(method, request, **more)
        except PachydermError as error:
            if error.kind == "missing":
                return None
            raise

    def stream(self, method: str, request: Any, *, timeout: float | None = None, operation: str = "") -> Iterator[Any]:
        """The answers to a request, one at a time (GetFile: as bytes); leaving the iterator cancels the call.

        timeout: seconds without an answer. Asked again only while none has come.
        """
        seconds, told = timeout or self.settings.timeout, operation or _spoken(method)

        def begin() -> tuple[Any, _Watch, Any]:
            ask = self._callable(method)
            self.counters.add(requests=1, writes=int(not self._reads(method, request)))
            call = ask(request, metadata=self._metadata())
            watch = _Watch(call, seconds)
            try:
                watch.waits()
                return call, watch, next(call, None)
            except BaseException as error:
                watch.over.set()
                call.cancel()
                if isinstance(error, self._grpc.RpcError):
                    raise self._failed(error, told, True, seconds, watch.stalled) from None
                raise

        call, watch, answer = self._retry.call(begin)
        try:
            while answer is not None:
                watch.since = None
                yield answer
                answer, watch.since = None, time.monotonic()  # not held while the next one comes
                answer = next(call, None)
        except self._grpc.RpcError as error:
            raise self._failed(error, told, True, seconds, watch.stalled) from None
        finally:
            watch.over.set()
            call.cancel()

    def modify(self, branch: Any, messages: Iterable[Any], *, operation: str = "") -> None:
        """One atomic commit on a branch: pfs_v2.ModifyFileRequests with add_file, delete_file or copy_file.

        Whatever ends it early (an error in `messages` too, which is raised as it is) leaves nothing behind.
        timeout counts while the server takes or answers nothing. Never sent twice.
        """
        told, seconds = operation or "modify files", self.settings.timeout
        commit = self.message("pfs_v2.Commit", branch=branch, repo=branch.repo)  # an id would become a branch
        ready, over, turn = threading.Event(), threading.Event(), threading.Lock()
        source, wrong = iter(messages), list[Exception]()
        made: list[Any] = []  # the call and its watch, once they are there

        def requests() -> Iterator[Any]:
            yield self.message("pfs_v2.ModifyFileRequest", set_commit=commit)
            ready.wait()
            call, watch = made
            try:
                while True:
                    watch.since = None  # while a message is made it is not the server's turn
                    with turn:
                        message = None if over.is_set() else next(source, None)
                    watch.waits()
                    if message is None:
                        return
                    yield message
            except Exception as error:  # gRPC would log it; it is raised below
                wrong.append(error)
                call.cancel()
                over.wait()  # or the stream would end as if complete

        ask = self._callable("pfs_v2.API/ModifyFile")
        self.counters.add(requests=1, writes=1)
        call = ask.future(requests(), metadata=self._metadata())
        watch = _Watch(call, seconds)
        made[:] = call, watch
        call.add_done_callback(lambda _call: over.set())
        watch.waits()
        ready.set()
        try:
            call.result()
        except (self._grpc.RpcError, self._grpc.FutureCancelledError):
            if wrong:
                raise wrong[0] from None
            raise self._failed(call, told, False, seconds, watch.stalled) from None
        finally:
            watch.over.set()
            call.cancel()
            over.set()
            with turn:  # nothing of the iterable runs from here on
                getattr(source, "close", int)()

    def finished(self, commit: Any, timeout: float | None = None) -> Any:
        """The CommitInfo once it is finished. Raises PachydermError after timeout seconds, or if it failed."""
        request = self.message("pfs_v2.InspectCommitRequest", commit=commit, wait="FINISHED")
        info = self.call("pfs_v2.API/InspectCommit", request, timeout=timeout, operation="wait for the commit")
        if info.error:
            error = PachydermError("The commit %s failed on the server" % info.commit.id, code="UNKNOWN")
            error.operation, error.server_message = "wait for the commit", _plain(info.error, self.settings.auth_token)
            error.hint = "Its files are not there; the next commit starts from the last good one."
            raise error
        return info

    @property
    def version(self) -> tuple[int, int, int]:
        """(major, minor, micro); asked once. A server built without one (0.0.0) counts as the newest."""
        self._own()
        with self._asked:
            if self._version is None:
                found = self.call("versionpb_v2.API/GetVersion", self.message("google.protobuf.Empty"))
                self._version = (found.major, found.minor, found.micro)
                if not any(self._version):
                    self._version = NEWEST
        return self._version

    def can(self, feature: str) -> bool:
        """Whether this server has a feature, a key of SINCE."""
        return self.version >= SINCE[feature]

    def need(self, feature: str, what: str) -> None:
        """Raises PachydermError where it lacks that: "<what> needs Pachyderm 2.8, this is 2.4.1"."""
        if not self.can(feature):
            since, this = (".".join(map(str, v)) for v in (SINCE[feature], self.version))
            error = PachydermError("%s needs Pachyderm %s, this is %s" % (what, re.sub(r"\.0$", "", since), this))
            error.code, error.kind, error.sent = "UNIMPLEMENTED", "unimplemented", False
            raise error

    def message(self, full: str, /, **fields: Any) -> Any:
        """A message by its full name: "pfs_v2.CreateRepoRequest"."""
        return self._schema.message(full)(**fields)

    def project(self, name: str) -> Any:
        """pfs_v2.Project; any but "default" needs 2.5."""
        if name != "default":
            self.need("projects", "The project %s" % name)
        return self.message("pfs_v2.Project", name=name)

    def repo(self, project: str, name: str, type: str = "user") -> Any:
        """pfs_v2.Repo, complete."""
        return self.message("pfs_v2.Repo", name=name, type=type, project=self.project(project))

    def branch(self, project: str, repo: str, name: str) -> Any:
        """pfs_v2.Branch, complete."""
        return self.message("pfs_v2.Branch", repo=self.repo(project, repo), name=name)

    def commit(self, project: str, repo: str, branch: str = "", id: str = "") -> Any:
        """pfs_v2.Commit: the head of a branch, or one by its id; complete."""
        within = self.branch(project, repo, branch)
        return self.message("pfs_v2.Commit", repo=within.repo, branch=within, id=id)

    def file(self, commit: Any, path: str) -> Any:
        """pfs_v2.File."""
        return self.message("pfs_v2.File", commit=commit, path=path)

    def pipeline(self, project: str, name: str) -> Any:
        """pps_v2.Pipeline, complete."""
        return self.message("pps_v2.Pipeline", name=name, project=self.project(project))
