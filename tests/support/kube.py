# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""As much of a Kubernetes API server as `kubectl port-forward` asks for, on the loopback; and its handle for tests.

python kube.py PORT STATE: serves what the JSON file STATE says at each request. A pod's `targets` tell where its
container's ports really are; a port without one is refused as in a pod where nothing listens. Port-forward is spoken as
kubectl up to 1.30 does (SPDY/3.1) and as later ones do (the same within a WebSocket).
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.parse
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

# What both sides of SPDY/3 take as known before the first header (draft-mbelshe-httpbis-spdy-00, 2.6.10.1).
WORDS = """options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age
allow authorization cache-control connection content-base content-encoding content-language content-length
content-location content-md5 content-range content-type date etag expect expires from host if-match
if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma
proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade
user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie
keep-alive origin"""
TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
    "404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,"
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
KNOWN = b"".join(struct.pack(">I", len(w)) + w.replace("_", " ").encode() for w in WORDS.split()) + TAIL.encode()
SYN_STREAM, SYN_REPLY, RST_STREAM, PING, GOAWAY, FIN = 1, 2, 3, 6, 7, 1
MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
SUBPROTOCOL = "SPDY/3.1+portforward.k8s.io"


class Raw:
    """The bytes of a connection as they are."""

    def __init__(self, source: io.BufferedIOBase, sink: io.BufferedIOBase) -> None:
        self.source, self.sink = source, sink

    def read(self, count: int) -> bytes:
        """Exactly so many bytes; EOFError when they do not come."""
        data = self.source.read(count) if count else b""
        if len(data) < count:
            raise EOFError
        return data

    def write(self, data: bytes) -> None:
        """Sends it at once."""
        self.sink.write(data)
        self.sink.flush()


class Framed(Raw):
    """The bytes in the binary messages of a WebSocket (RFC 6455)."""

    def __init__(self, source: io.BufferedIOBase, sink: io.BufferedIOBase) -> None:
        super().__init__(source, sink)
        self.rest = b""

    def read(self, count: int) -> bytes:
        while len(self.rest) < count:
            self.rest += self._message()
        data, self.rest = self.rest[:count], self.rest[count:]
        return data

    def _message(self) -> bytes:
        kind, size = super().read(2)
        length = size & 127
        if length > 125:
            length = int.from_bytes(super().read(2 if length == 126 else 8), "big")
        mask = super().read(4) if size & 128 else bytes(4)
        data = super().read(length)
        key = (mask * (length // 4 + 1))[:length]
        data = (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(length, "big")
        if kind & 15 == 8:
            raise EOFError
        if kind & 15 == 9:
            self._send(10, data)
        return data if kind & 15 < 3 else b""

    def _send(self, kind: int, data: bytes) -> None:
        size = len(data)
        if size < 126:
            head = bytes((size,))
        else:
            head = b"\x7e" + struct.pack(">H", size) if size < 1 << 16 else b"\x7f" + struct.pack(">Q", size)
        super().write(bytes((128 | kind,)) + head + data)

    def write(self, data: bytes) -> None:
        self._send(2, data)


class Spdy:
    """One connection of kubectl: each forwarded connection is a stream for errors and one for data."""

    def __init__(self, wire: Raw, pod: str, targets: dict[str, str]) -> None:
        self.wire, self.pod, self.targets, self.lock = wire, pod, targets, threading.Lock()
        self.inflate, self.deflate = zlib.decompressobj(zdict=KNOWN), zlib.compressobj(zdict=KNOWN)
        self.errors: dict[str, int] = {}
        self.inside: dict[int, socket.socket] = {}

    def serve(self) -> None:
        """Until kubectl leaves."""
        try:
            while True:
                first, second = struct.unpack(">II", self.wire.read(8))
                flags, body = second >> 24, self.wire.read(second & 0xFFFFFF)
                if not first >> 31:
                    self._inward(first, body, flags)
                elif first & 0xFFFF == SYN_STREAM:
                    self._open(body)
                elif first & 0xFFFF == PING:
                    self._control(PING, body)
                elif first & 0xFFFF == RST_STREAM:
                    self._drop(struct.unpack(">I", body[:4])[0])
                elif first & 0xFFFF == GOAWAY:
                    return
        except (EOFError, OSError):
            return
        finally:
            for stream in list(self.inside):
                self._drop(stream)

    def _control(self, kind: int, body: bytes) -> None:
        with self.lock:
            self.wire.write(struct.pack(">HHI", 0x8003, kind, len(body)) + body)

    def _data(self, stream: int, body: bytes, flags: int = 0) -> None:
        with self.lock, contextlib.suppress(OSError, ValueError):
            self.wire.write(struct.pack(">II", stream, flags << 24 | len(body)) + body)

    def _drop(self, stream: int) -> None:
        if sock := self.inside.pop(stream, None):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _headers(self, block: bytes) -> dict[str, str]:
        plain, words, at = self.inflate.decompress(block), [], 4
        for _number in range(2 * struct.unpack(">I", plain[:4])[0]):
            size = struct.unpack(">I", plain[at : at + 4])[0]
            words.append(plain[at + 4 : at + 4 + size].decode())
            at += 4 + size
        return {name.lower(): value for name, value in zip(words[::2], words[1::2], strict=True)}

    def _open(self, body: bytes) -> None:
        stream = struct.unpack(">I", body[:4])[0]
        told = self._headers(body[10:])
        with self.lock:
            empty = self.deflate.compress(bytes(4)) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
            self.wire.write(struct.pack(">HHII", 0x8003, SYN_REPLY, 4 + len(empty), stream) + empty)
        if told["streamtype"] == "error":
            self.errors[told["requestid"]] = stream
            return
        error, port = self.errors.pop(told["requestid"]), told["port"]
        try:
            host, _colon, number = self.targets[port].rpartition(":")
            sock = socket.create_connection((host, int(number)), 5)
        except (KeyError, OSError):
            words = (
                "error forwarding port %s to pod %s, uid : failed to execute portforward in network namespace: "
                "failed to connect to localhost:%s inside namespace: connect: connection refused"
            )
            self._data(error, (words % (port, self.pod, port)).encode(), FIN)
            self._data(stream, b"", FIN)
            return
        sock.settimeout(None)
        self.inside[stream] = sock
        threading.Thread(target=self._outward, args=(stream, error, sock), daemon=True).start()

    def _outward(self, stream: int, error: int, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := sock.recv(32768):
                self._data(stream, data)
        self._data(stream, b"", FIN)
        self._data(error, b"", FIN)

    def _inward(self, stream: int, body: bytes, flags: int) -> None:
        if sock := self.inside.get(stream):
            with contextlib.suppress(OSError):
                sock.sendall(body)
                if flags & FIN:
                    sock.shutdown(socket.SHUT_WR)


class Handler(BaseHTTPRequestHandler):
    """The requests of kubectl."""

    protocol_version = "HTTP/1.1"
    state_file: Path

    def log_message(self, format: str, *args: Any) -> None:
        sys.stderr.write("%s %s\n" % (time.strftime("%T"), format % args))
        sys.stderr.flush()

    def say(self, value: dict[str, Any], code: int = 200) -> None:
        """Answers with an object."""
        body = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, code: int, reason: str, message: str, kind: str = "", name: str = "") -> None:
        """Answers with a Status; kubectl believes its message only when it says what it is about."""
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code}
        self.say(status | {"message": message, "details": {"kind": kind, "name": name}}, code)

    def do_GET(self) -> None:
        """All of it: kubectl up to 1.30 begins a port-forward with POST."""
        url = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(url.query)
        parts = url.path.split("/")[1:]
        state = json.loads(self.state_file.read_text("utf-8"))
        if state.get("locked"):
            return self.refuse(401, "Unauthorized", "Unauthorized")
        if parts == ["version"]:
            minor = str(state.get("minor", 33))
            return self.say({"major": "1", "minor": minor, "gitVersion": "v1.%s.0" % minor})
        if parts in (["api"], ["apis"], ["api", "v1"]):
            return self.say(discovery(parts))
        if len(parts) == 7 and parts[6] == "portforward":
            return self.forward(parts[3], parts[5], state)
        if len(parts) in (5, 6) and parts[2] == "namespaces" and parts[4] in ("pods", "services"):
            namespace, kind = parts[3], parts[4]
            if len(parts) == 5:
                return self.pods(namespace, query)
            found = state[kind].get("%s/%s" % (namespace, parts[5]))
            if found is not None:
                return self.say((pod if kind == "pods" else service)(namespace, parts[5], found))
            return self.refuse(404, "NotFound", '%s "%s" not found' % (kind, parts[5]), kind, parts[5])
        if len(parts) == 4 and parts[2] == "namespaces" and parts[3] == "pach":
            return self.say({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "pach"}})
        return self.refuse(404, "NotFound", '%s "%s" not found' % (parts[-2], parts[-1]), parts[-2], parts[-1])

    do_POST = do_GET

    def pods(self, namespace: str, query: dict[str, list[str]]) -> None:
        """The pods of a selector, and (watch) those that come."""
        wanted = dict(term.split("=", 1) for term in query.get("labelSelector", [""])[0].split(",") if term)

        def selected() -> list[dict[str, Any]]:
            rows = json.loads(self.state_file.read_text("utf-8"))["pods"].items()
            here = [(key.split("/")[1], value) for key, value in rows if key.startswith(namespace + "/")]
            return [pod(namespace, name, value) for name, value in here if wanted.items() <= value["labels"].items()]

        if "watch" not in query:
            return self.say(
                {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": selected()}
            )
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        seen: set[str] = set()
        with contextlib.suppress(OSError):
            while True:
                for event in [json.dumps({"type": "ADDED", "object": one}) for one in selected()]:
                    if event not in seen:
                        seen.add(event)
                        self.wfile.write(event.encode() + b"\n")
                self.wfile.flush()
                time.sleep(0.1)
        return None

    def forward(self, namespace: str, name: str, state: dict[str, Any]) -> None:
        """Becomes a tunnel."""
        found = state["pods"].get("%s/%s" % (namespace, name))
        if found is None:
            return self.refuse(404, "NotFound", 'pods "%s" not found' % name, "pods", name)
        upgrade = self.headers.get("Upgrade", "").lower()
        if upgrade not in ("websocket", "spdy/3.1"):
            return self.refuse(400, "BadRequest", "Upgrade request required")
        self.close_connection = True
        self.send_response(101)
        self.send_header("Connection", "Upgrade")
        self.send_header("Upgrade", "websocket" if upgrade == "websocket" else "SPDY/3.1")
        if upgrade == "websocket":
            key = hashlib.sha1((self.headers["Sec-WebSocket-Key"] + MAGIC).encode(), usedforsecurity=False).digest()
            self.send_header("Sec-WebSocket-Accept", base64.b64encode(key).decode())
            self.send_header("Sec-WebSocket-Protocol", SUBPROTOCOL)
        else:
            self.send_header("X-Stream-Protocol-Version", "portforward.k8s.io")
        self.end_headers()
        self.wfile.flush()
        live = Targets(self.state_file, "%s/%s" % (namespace, name))
        Spdy((Framed if upgrade == "websocket" else Raw)(self.rfile, self.wfile), name, live).serve()
        return None


class Targets(dict[str, str]):
    """Where the ports of a pod are now; none when it is gone."""

    def __init__(self, file: Path, key: str) -> None:
        super().__init__()
        self.file, self.key = file, key

    def __getitem__(self, port: str) -> str:
        pods = json.loads(self.file.read_text("utf-8"))["pods"]
        target: str = pods[self.key]["targets"][port]
        return target


def discovery(parts: list[str]) -> dict[str, Any]:
    """What kubectl wants to know of the API itself."""
    if parts == ["api"]:
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
    if parts == ["apis"]:
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": []}
    rows = [
        {"name": name, "singularName": kind.lower(), "namespaced": True, "kind": kind, "shortNames": [short]}
        | {"verbs": ["create", "get", "list", "watch"]}
        for name, kind, short in (("pods", "Pod", "po"), ("services", "Service", "svc"))
    ]
    return {"kind": "APIResourceList", "groupVersion": "v1", "resources": rows}


def pod(namespace: str, name: str, value: dict[str, Any]) -> dict[str, Any]:
    """A Pod as the API tells it."""
    phase = value.get("phase", "Running")
    meta = {"namespace": namespace, "name": name, "uid": name, "labels": value["labels"], "resourceVersion": "1"}
    container = {"name": "pachd", "image": "pachd", "ports": value["ports"]}
    ready = [{"type": "Ready", "status": str(phase == "Running")}]
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": meta | {"creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"nodeName": "node", "containers": [container]},
        "status": {"phase": phase, "conditions": ready},
    }


def service(namespace: str, name: str, value: dict[str, Any]) -> dict[str, Any]:
    """A Service as the API tells it."""
    spec = {"type": "ClusterIP", "clusterIP": "10.0.0.9", "selector": value["selector"], "ports": value["ports"]}
    return {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {"namespace": namespace, "name": name},
        "spec": spec,
    }


# --- for tests --------------------------------------------------------------------------------------------------------

SECRET = "token-not-for-you"
LABELS = {"app": "pachd", "suite": "pachyderm"}


class Kube:
    """A server with a namespace `pach`, its kubeconfig, and ways to disturb it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.process: subprocess.Popen[bytes] | None = None
        self.file, self.kubeconfig, self.log = folder / "state.json", folder / "kubeconfig", folder / "kube.log"
        self.state: dict[str, Any] = {"services": {}, "pods": {}, "locked": False}
        cluster = {"name": "c", "cluster": {"server": "http://127.0.0.1:%d" % port}}
        users = [{"name": "u", "user": {"token": SECRET}}]
        contexts = [{"name": "tests", "context": {"cluster": "c", "user": "u", "namespace": "pach"}}]
        config = {"apiVersion": "v1", "kind": "Config", "clusters": [cluster], "users": users, "contexts": contexts}
        self.kubeconfig.write_text(json.dumps(config | {"current-context": "tests"}), "utf-8")
        self.service("pachd", {"name": "api-grpc-port", "port": 30650, "targetPort": 1650})
        self.start()

    def service(self, name: str, *ports: dict[str, Any]) -> None:
        """Makes a service of pachd's pods."""
        self.state["services"]["pach/" + name] = {"selector": LABELS, "ports": list(ports)}
        self.save()

    def pods(self, **targets: str | None) -> None:
        """These are the pods from now on, each with where its port 1650 is; None where nothing listens."""
        ports = [{"name": "api-grpc-port", "containerPort": 1650}]
        self.state["pods"] = {
            "pach/" + name.replace("_", "-"): {
                "labels": LABELS,
                "ports": ports,
                "targets": {"1650": target} if target else {},
            }
            for name, target in targets.items()
        }
        self.save()

    def save(self, **more: Any) -> None:
        """Lets the server know, at one stroke."""
        self.state |= more
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json.dumps(self.state), "utf-8")
        fresh.replace(self.file)

    def start(self) -> None:
        """Starts it (again, at the same port), and waits until it listens."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, __file__, str(self.port), str(self.file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            if time.monotonic() > until or self.process.poll() is not None:
                raise RuntimeError("the API server does not start: " + self.log.read_text("utf-8", "replace"))
            time.sleep(0.02)

    def kill(self) -> None:
        """Ends it as a crash does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    @contextlib.contextmanager
    def hung(self) -> Iterator[None]:
        """It neither reads nor answers meanwhile."""
        if self.process is None:
            raise RuntimeError("the API server does not run")
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def forwards(self) -> int:
        """How many tunnels were begun."""
        return self.log.read_text("utf-8").count("/portforward")


class Server(ThreadingHTTPServer):
    """Each tunnel in a thread of its own, which ends with the process."""

    daemon_threads = True


if __name__ == "__main__":
    Handler.state_file = Path(sys.argv[2])
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
