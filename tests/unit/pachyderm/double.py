# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A gRPC server that answers what a test tells it to, and keeps what it was asked. It knows no Pachyderm."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import schema
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.client import (
    PachydermClient,
    PachydermError,
    Settings,
)


class Refused(Exception):
    """Ends a call with a status: Refused("NOT_FOUND", "words")."""


class Seen:
    """One call: method, the messages that came (parsed where the method is known), metadata, how it ended."""

    def __init__(self, method: str, context: Any) -> None:
        self.method = method
        self.metadata = dict(context.invocation_metadata())
        self.requests: list[Any] = []
        self.whole = False  # the client has ended its stream well
        self.over = threading.Event()
        context.add_callback(self.over.set)


class Double(grpc.GenericRpcHandler):  # type: ignore[misc]
    """answers: by method, a message, bytes, a list of them (for streams), an exception, or a function of Seen."""

    def __init__(self, credentials: Any = None, bind: str = "127.0.0.1:0", version: tuple[int, int, int] = (2, 12, 2)):
        self.seen: list[Seen] = []
        self.answers: dict[str, Any] = {}
        self.early: dict[str, Refused] = {}  # refusals that do not wait for the client's stream to end
        self.version = version
        self._server = grpc.server(ThreadPoolExecutor(16), handlers=[self], options=[("grpc.so_reuseport", 0)])
        if credentials is None:
            self.port = self._server.add_insecure_port(bind)
        else:
            self.port = self._server.add_secure_port(bind, credentials)
        self._server.start()

    @property
    def address(self) -> str:
        return "grpc://127.0.0.1:%d" % self.port

    def stop(self) -> None:
        self._server.stop(0).wait()

    def client(self, **settings: Any) -> PachydermClient:
        """A client of this server that never asks again, unless told otherwise."""
        return PachydermClient(Settings(**{"address": self.address, "retries": 0, "timeout": 20.0, **settings}))

    def methods(self) -> list[str]:
        """What was asked, without the version."""
        return [seen.method for seen in self.seen if not seen.method.endswith("/GetVersion")]

    # --- the server's side

    def service(self, details: Any) -> Any:
        name = details.method.lstrip("/")
        method = schema.METHODS.get(name)
        wanted = method.request.FromString if method else bytes

        def serve(requests: Iterator[Any], context: Any) -> Iterator[bytes]:
            seen = Seen(name, context)
            self.seen.append(seen)
            with contextlib.suppress(grpc.RpcError):
                for request in requests:
                    seen.requests.append(request)
                    if name in self.early and len(seen.requests) > 1:
                        break
                else:  # grpcio's server may take a call that was broken off for one that ended, for a moment
                    seen.whole = not (method and method.client_stream and seen.over.wait(0.1))
            if name in self.early:
                context.abort(grpc.StatusCode[self.early[name].args[0]], self.early[name].args[1])
            if not seen.whole:
                return
            try:
                yield from self._answers(name, seen)
            except Refused as error:
                code, words = error.args
                context.abort(grpc.StatusCode[code], words)

        return grpc.stream_stream_rpc_method_handler(serve, request_deserializer=wanted)

    def _answers(self, name: str, seen: Seen) -> Iterator[bytes]:
        told = self.answers.get(name)
        if isinstance(told, Callable):  # type: ignore[arg-type]
            told = told(seen)
        if isinstance(told, Exception):
            raise told
        if told is None and name == "versionpb_v2.API/GetVersion":
            major, minor, micro = self.version
            told = schema.message("versionpb_v2.Version")(major=major, minor=minor, micro=micro)
        method = schema.METHODS.get(name)
        if told is None:
            told = [] if method and method.server_stream else b""
        for answer in told if hasattr(told, "__iter__") and not isinstance(told, bytes) else [told]:
            if isinstance(answer, Exception):
                raise answer
            yield answer if isinstance(answer, bytes) else answer.SerializeToString()


@contextlib.contextmanager
def doubled(**options: Any) -> Iterator[Double]:
    """A Double for the length of a with."""
    double = Double(**options)
    try:
        yield double
    finally:
        double.stop()


def refusal(double: Double, code: str, words: str, **settings: Any) -> PachydermError:
    """The error of one call that the server refuses in this way."""
    method = "pfs_v2.API/InspectRepo"
    double.answers[method] = Refused(code, words)
    client = double.client(**settings)
    with pytest.raises(PachydermError) as caught:
        client.call(method, schema.METHODS[method].request())
    client.close()
    return caught.value
