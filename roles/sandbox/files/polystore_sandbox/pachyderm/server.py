# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gRPC side: which class answers a call, the access log, and the faults that were ordered."""

from __future__ import annotations

import importlib
import pkgutil
import re
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from polystore_sandbox import pachyderm
from polystore_sandbox.faults import Fault, FaultPlan, RequestLog
from polystore_sandbox.home import SandboxError
from polystore_sandbox.pachyderm import graph
from polystore_sandbox.pachyderm.base import Call, Refused, Service
from polystore_sandbox.pachyderm.messages import METHODS
from polystore_sandbox.pachyderm.state import State
from polystore_sandbox.pachyderm.versions import age, has_call

ACTIONS = ("status", "delay", "hang", "close_after", "cut", "cut_upload")
READS = re.compile(r".*/(Inspect|List|Get|Glob|Walk|Diff|Find|WhoAmI|Subscribe)\w*")
WORKERS = 100
MOST = 20 * 2**20  # bytes of a message that come in
# grpcio ends the requests of a client that went away as those of one that has said all; that it went is known later.
GONE_SECONDS = 0.016
UNTYPED = ("NOT_FOUND", "ALREADY_EXISTS", "INVALID_ARGUMENT", "FAILED_PRECONDITION", "UNAVAILABLE")


def find_services(state: State) -> list[Service]:
    """One of each class that a module of the package lists."""
    found: list[Service] = []
    for module in pkgutil.iter_modules(pachyderm.__path__):
        listed = getattr(importlib.import_module(f"{pachyderm.__name__}.{module.name}"), "SERVICES", [])
        found += [kind(state) for kind in listed]
    return found


def target(request: Any) -> str:
    """What a request is about, for the log and for the faults: default/r@master:/path."""
    for name in ("set_commit", "file", "commit", "branch", "repo", "pipeline", "project", "secret", "new_file"):
        field = request.DESCRIPTOR.fields_by_name.get(name)
        if field and field.message_type and not field.is_repeated and request.HasField(name):
            return _named(getattr(request, name))
    return ""


def _named(value: Any) -> str:
    kind = value.DESCRIPTOR.name
    if kind == "File":
        return f"{_named(value.commit)}:{value.path}"
    if kind == "Commit":
        repo = value.repo if value.HasField("repo") else value.branch.repo
        return f"{_named(repo)}@{value.id or value.branch.name}"
    if kind == "Branch":
        return f"{_named(value.repo)}@{value.name}"
    if kind in ("Repo", "Pipeline"):
        return f"{value.project.name or 'default'}/{value.name}"
    return str(getattr(value, "name", ""))


def client_gone(context: Any) -> bool:
    """True when the end of a client's stream was its end too."""
    until = time.monotonic() + GONE_SECONDS
    while context.is_active() and time.monotonic() < until:
        time.sleep(GONE_SECONDS / 8)
    return not context.is_active()


class Exchange:
    """One call: its log line, its fault, and its end."""

    def __init__(self, server: Server, method: str, context: Any) -> None:
        self.server, self.method, self.context = server, method, context
        self.called = method
        self.path, self.bytes_in, self.bytes_out = "", 0, 0
        self.fault: Fault | None = None
        self.refused: Refused | None = None  # what ended the client's stream
        self.logged = False

    def read(self, request: Any) -> None:
        """What the request is, is known: a dry run changes nothing, and the log says so."""
        if getattr(request, "dry_run", False):
            self.called = self.method + " (dry run)"

    def asked(self, path: str) -> None:
        """What it is about is known: the fault that hits it is carried out."""
        self.path = path
        self.fault = fault = self.server.faults.match(self.called, path)
        if fault is None:
            return
        if fault.action == "status":
            raise Refused(str(fault.status), fault.body or "as it was ordered")
        if fault.action == "delay":
            time.sleep(fault.seconds)
        elif fault.action == "hang":
            self.server.faults.hang()
            raise Refused("UNAVAILABLE", "as it was ordered: no answer")

    def cut(self, *actions: str, passed: int | None = None) -> None:
        """Ends the call when such a fault was ordered, and as many bytes have passed; None: at the end."""
        fault = self.fault
        if fault and fault.action in actions and (passed is None or passed >= fault.bytes):
            raise Refused("UNAVAILABLE", "as it was ordered: the connection was cut")

    def log(self, status: str) -> None:
        """Writes the line, once."""
        if self.logged:
            return
        self.logged = True
        self.server.log.write(
            method=self.called,
            path=self.path,
            status=status,
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            client=self.context.peer(),
            fault=self.fault.action if self.fault else None,
        )

    def end(self, exc: BaseException) -> None:
        """Tells the client of an error."""
        if not isinstance(exc, Refused):
            traceback.print_exc()
            exc = Refused("INTERNAL", f"the stand-in failed: {type(exc).__name__}: {exc}")
        code = exc.code if exc.code in grpc.StatusCode.__members__ else "UNKNOWN"
        self.log(code)
        self.context.abort(grpc.StatusCode[code], exc.words)


class Server(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers all calls."""

    def __init__(self, state: State, faults: FaultPlan, log: RequestLog) -> None:
        self.state, self.faults, self.log = state, faults, log
        faults.actions = ACTIONS
        self.services = find_services(state)
        self.names = {name.partition("/")[0] for name in METHODS} | {service.grpc for service in self.services}
        self.calls: dict[str, Callable[..., Any]] = {}
        for service in self.services:
            for name, value in service.settings.items():
                state.settings.setdefault(name, value)
            for name in METHODS:
                package, _slash, rpc = name.partition("/")
                if package == service.grpc and hasattr(service, rpc):
                    if name in self.calls:
                        raise SandboxError(f"two classes have {name}")
                    self.calls[name] = getattr(service, rpc)
        state.calls = self.calls
        self.arounds = [
            service.around for service in sorted(self.services, key=lambda s: s.order) if hasattr(service, "around")
        ]
        self.checks = [service.check for service in self.services if hasattr(service, "check")]
        state.on_due = lambda commit: graph.due(state, commit)
        self.server: Any = None
        self.port = 0

    # --- the port ------------------------------------------------------------------------------------------------

    def open(self, address: str, port: int) -> int:
        """Listens; raises SandboxError when the port is taken."""
        options = [
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", MOST),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_metadata_size", 2**22),
            ("grpc.absolute_max_metadata_size", 2**23),
        ]
        pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="call")
        self.server = grpc.server(pool, handlers=[self], options=options)
        try:
            self.port = self.server.add_insecure_port(f"{address}:{port}")
        except RuntimeError:
            self.port = 0
        if not self.port:
            raise SandboxError(f"cannot listen on {address}:{port}: choose another one with sandbox_ports")
        self.server.start()
        return int(self.port)

    def listen(self, address: str, on: bool) -> None:
        """Closes the port, and with it all connections, or opens it again."""
        if on and self.server is None:
            self.open(address, self.port)
        elif not on and self.server is not None:
            self.server.stop(0).wait()
            self.server = None

    # --- calls ---------------------------------------------------------------------------------------------------

    def service(self, details: Any) -> Any:
        """How a call is answered (grpc.GenericRpcHandler)."""
        method = details.method.lstrip("/")
        headers = {str(key): str(value) for key, value in details.invocation_metadata}
        known = METHODS.get(method)
        function = self.calls.get(method)
        package, _slash, name = method.partition("/")
        if package not in self.names:
            words = f"unknown service {package}"
        elif known is None or not has_call(method, self.state.version):
            words = f"unknown method {name} for service {package}"
        elif function is None:
            words = f"this stand-in has no {method}"
        else:
            kinds = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
            if known.client_stream:
                kinds = grpc.stream_unary_rpc_method_handler, grpc.stream_stream_rpc_method_handler
            answer = self._streamed if known.server_stream else self._single
            return kinds[known.server_stream](lambda data, context: answer(method, headers, data, context))

        def refuse(_data: bytes, context: Any) -> None:
            Exchange(self, method, context).end(Refused("UNIMPLEMENTED", words))

        return grpc.unary_unary_rpc_method_handler(refuse)

    def _parse(self, exchange: Exchange, data: bytes) -> Any:
        exchange.bytes_in += len(data)
        request = METHODS[exchange.method].request()
        try:
            request.ParseFromString(data)
        except Exception as exc:
            raise Refused("INTERNAL", f"grpc: error unmarshalling request: {exc}") from exc
        return age(request, self.state.version)

    def _requests(self, exchange: Exchange, stream: Any) -> Iterator[Any]:
        """The messages of a client's stream; one that was broken off raises."""
        first = True
        for data in stream:
            request = self._parse(exchange, data)
            if first:
                exchange.asked(target(request))
                first = False
            exchange.cut("cut_upload", "cut", passed=exchange.bytes_in)
            yield request
        if first:
            exchange.asked("")
        exchange.cut("cut_upload", "cut")
        if client_gone(exchange.context):
            raise Refused("CANCELLED", "context canceled")

    def _begin(self, exchange: Exchange, data: Any) -> Any:
        if METHODS[exchange.method].client_stream:
            return self._requests(exchange, data)
        request = self._parse(exchange, data)
        exchange.read(request)
        exchange.asked(target(request))
        return request

    def _call(self, method: str, headers: dict[str, str], context: Any) -> Call:
        call = Call(method, headers, context.is_active)
        with self.state.lock:
            self.state.settle()
            for check in self.checks:
                check(method, call)
        return call

    def _refusal(self, method: str, exc: Refused) -> Refused:
        """Old versions know no codes."""
        typed = 4 if method.startswith("pps_v2") else 2
        if exc.code in UNTYPED and not self.state.since(typed) and not exc.words.startswith("as it was ordered"):
            return Refused("UNKNOWN", exc.words)
        return exc

    def _single(self, method: str, headers: dict[str, str], data: Any, context: Any) -> bytes:
        exchange = Exchange(self, method, context)
        try:
            request = self._begin(exchange, data)
            call = self._call(method, headers, context)
            try:
                answer = self._answer(method, request, call)
            except Refused as exc:
                if exchange.fault and exchange.fault.action in ("status", "cut", "cut_upload"):
                    raise
                raise self._refusal(method, exc) from exc
            reply: bytes = age(answer, self.state.version).SerializeToString()
            exchange.cut("close_after", "cut")
            exchange.bytes_out = len(reply)
            exchange.log("OK")
            return reply
        except Exception as exc:
            exchange.end(exc)
            raise

    def _answer(self, method: str, request: Any, call: Call) -> Any:
        function = self.calls[method]
        self.state.admit(method, call)
        if METHODS[method].client_stream or getattr(function, "waits", False):
            answer = function(request, call)
        else:
            with self.state.lock:
                self.state.settle()
                answer = self._through(0, method, request, call)
        if not READS.fullmatch(method):
            self._touched()
        return answer

    def _through(self, index: int, method: str, request: Any, call: Call) -> Any:
        """Through the hooks from that one on."""
        if index == len(self.arounds):
            return self.calls[method](request, call)
        return self.arounds[index](method, request, call, lambda: self._through(index + 1, method, request, call))

    def _touched(self) -> None:
        with self.state.lock:
            self.state.dirty = True
            self.state.changed.notify_all()

    def _streamed(self, method: str, headers: dict[str, str], data: Any, context: Any) -> Iterator[bytes]:
        exchange = Exchange(self, method, context)
        try:
            try:
                request = self._begin(exchange, data)
                call = self._call(method, headers, context)
                self.state.admit(method, call)
                held: bytes | None = None
                live = "/Subscribe" in method  # what comes is told at once
                for answer in self.calls[method](request, call):
                    reply = age(answer, self.state.version).SerializeToString()
                    if live:
                        exchange.bytes_out += len(reply)
                        yield reply
                        continue
                    if held is not None:
                        exchange.cut("cut", passed=exchange.bytes_out)
                        exchange.bytes_out += len(held)
                        yield held
                    held = reply
                exchange.cut("cut", "close_after")
                exchange.bytes_out += len(held or b"")
                exchange.log("OK")
                if held is not None:
                    yield held
            except Refused as exc:
                ordered = exchange.fault and exchange.fault.action in ("status", "cut", "close_after")
                exchange.end(exc if ordered else self._refusal(method, exc))
            except Exception as exc:
                if exchange.logged:
                    raise
                exchange.end(exc)
        finally:
            exchange.log("CANCELLED")

    # --- saving --------------------------------------------------------------------------------------------------

    def keep_saving(self, seconds: float = 1.0) -> None:
        """Saves in a thread, for as long as the process is there."""

        def run() -> None:
            while True:
                time.sleep(seconds)
                begun = time.monotonic()
                self.state.save()
                time.sleep(20 * (time.monotonic() - begun))  # one that takes long comes seldom

        threading.Thread(target=run, daemon=True).start()
