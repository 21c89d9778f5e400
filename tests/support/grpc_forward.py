# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A forwarder in front of a real pachd that logs its clients' calls and carries out ordered faults.

    PYTHONPATH=roles/sandbox/files python tests/support/grpc_forward.py --home DIR --to grpc://HOST:PORT [--remove]

It lays what tests.support.servers.PachdServer wants below DIR/pachyderm: access.jsonl, control.json, and forward.json
with its address and the server's version. Messages are handed on byte by byte. It ends when its standard input does;
--remove: then DIR is deleted.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
from polystore_sandbox.control import start_control
from polystore_sandbox.faults import FaultPlan, RequestLog
from polystore_sandbox.pachyderm.base import Refused
from polystore_sandbox.pachyderm.messages import METHODS, message
from polystore_sandbox.pachyderm.server import ACTIONS, Exchange, Server, client_gone, target

OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", 2**22),
    ("grpc.absolute_max_metadata_size", 2**23),
    ("grpc.enable_http_proxy", 0),
]
HOP = ("user-agent", "content-type", "te")
BLOCK = 65536


class Forward(Server):
    """Hands every call on."""

    def __init__(self, folder: Path, to: str) -> None:
        self.faults, self.log = FaultPlan(ACTIONS), RequestLog(str(folder / "access.jsonl"))
        scheme, _colon, place = to.rpartition("://")
        if scheme in ("grpcs", "https"):
            self.channel = grpc.secure_channel(place, grpc.ssl_channel_credentials(), options=OPTIONS)
        else:
            self.channel = grpc.insecure_channel(place, options=OPTIONS)
        self.server: Any = None
        self.port = 0

    def service(self, details: Any) -> Any:
        """How a call is handed on (grpc.GenericRpcHandler)."""
        method = details.method.lstrip("/")
        known = METHODS.get(method)
        come, go = bool(known and known.client_stream), bool(known and known.server_stream)
        kind = f"{'stream' if come else 'unary'}_{'stream' if go else 'unary'}"
        headers = [pair for pair in details.invocation_metadata if pair[0] not in HOP]

        def streamed(data: Any, context: Any) -> Iterator[bytes]:
            exchange = Exchange(self, method, context)
            try:
                yield from self._pass(exchange, kind, headers, data)
            except Exception as exc:
                exchange.end(self._told(exchange, exc))
            finally:
                exchange.log("CANCELLED")

        if go:
            return grpc.unary_stream_rpc_method_handler(streamed)
        make = grpc.stream_unary_rpc_method_handler if come else grpc.unary_unary_rpc_method_handler
        return make(lambda data, context: next(streamed(data, context)))

    def _told(self, exchange: Exchange, exc: Exception) -> Exception:
        """What the client is told of an error: the server's own code and words, or what was ordered."""
        if not isinstance(exc, grpc.RpcError):
            return exc
        if exchange.refused:
            return exchange.refused
        return Refused(exc.code().name, exc.details() or "")

    def _requests(self, exchange: Exchange, stream: Any) -> Iterator[bytes]:
        """The client's messages, counted; one that went away, and a fault, end the server's call too."""
        first = True
        try:
            for data in stream:
                exchange.bytes_in += len(data)
                if first:
                    exchange.asked(self._target(exchange, data))
                    first = False
                exchange.cut("cut_upload", "cut", passed=exchange.bytes_in)
                yield data
            if first:
                exchange.asked("")
            exchange.cut("cut_upload", "cut")
            if client_gone(exchange.context):
                raise Refused("CANCELLED", "context canceled")
        except Refused as exc:
            exchange.refused = exc
            raise

    def _target(self, exchange: Exchange, data: bytes) -> str:
        known = METHODS.get(exchange.method)
        if not known:
            return ""
        request = known.request.FromString(data)
        exchange.read(request)
        return target(request)

    def _pass(self, exchange: Exchange, kind: str, headers: Any, data: Any) -> Iterator[bytes]:
        given = data
        if kind.startswith("stream"):
            given = self._requests(exchange, data)
        else:
            exchange.bytes_in += len(data)
            exchange.asked(self._target(exchange, data))
        call = getattr(self.channel, kind)("/" + exchange.method)
        left = exchange.context.time_remaining()
        answers = call(given, timeout=left if left and left < 1e8 else None, metadata=headers)
        if kind.endswith("unary"):
            answers = iter([answers])
        else:
            exchange.context.add_callback(answers.cancel)
        live, held = "/Subscribe" in exchange.method, None
        for reply in answers:
            if held is not None:
                exchange.cut("cut", passed=exchange.bytes_out)
                exchange.bytes_out += len(held)
                yield held
            held = reply
            if live:
                exchange.bytes_out += len(reply)
                yield reply
                held = None
        exchange.cut("cut", "close_after")
        exchange.bytes_out += len(held or b"")
        exchange.log("OK")
        if held is not None:
            yield held


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--to", required=True)
    parser.add_argument("--remove", action="store_true")
    wanted = parser.parse_args()
    folder = wanted.home / "pachyderm"
    folder.mkdir(parents=True, exist_ok=True)
    forward = Forward(folder, wanted.to.rstrip("/"))
    empty = message("google.protobuf.Empty")().SerializeToString()
    answer = forward.channel.unary_unary("/versionpb_v2.API/GetVersion")(empty, timeout=60)
    version = message("versionpb_v2.Version").FromString(answer)
    port = forward.open("127.0.0.1", 0)
    token = secrets.token_urlsafe(24)
    control = start_control("127.0.0.1", token, forward.faults, lambda on: forward.listen("127.0.0.1", on))
    (folder / "control.json").write_text(json.dumps({"url": "http://127.0.0.1:%d" % control, "token": token}))
    beside = folder / "forward.json.new"
    address = "grpc://127.0.0.1:%d" % port
    told = {"address": address, "version": "%d.%d.%d" % (version.major, version.minor, version.micro)}
    beside.write_text(json.dumps({**told, "url": address, "port": port, "env": {"PACHD_ADDRESS": address}}))
    beside.rename(folder / "forward.json")
    while sys.stdin.buffer.read(BLOCK):
        continue
    if wanted.remove:
        shutil.rmtree(wanted.home, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main()
