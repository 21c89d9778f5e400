# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pachd_forward.py HOME [RUN]: keeps a tunnel to pachd; Python 3.9 and its standard library, nothing else.

Runs kubectl port-forward as HOME/settings.json says, asks pachd's version through it again and again, and starts
kubectl anew when it ends, when it does not listen where it should, or when nothing comes back through it.
RUN/state.json tells how it stands. A keeper holds a lock on RUN/keeper.lock as long as it lives.

A TCP connection proves nothing: kubectl accepts it also when the pod is gone or the API server hangs. And kubectl stays
with the one pod that it found at first, so whatever is wrong, the cure is a new kubectl.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

FIRST_DELAY, LAST_DELAY = 0.5, 10.0  # seconds before kubectl is started again
AGAIN = 1.0  # seconds until a probe that failed is repeated
START_SECONDS = 15.0  # what kubectl gets to listen, besides its own waiting for a pod
END_SECONDS = 5.0  # what kubectl gets to end by itself
LOG_BYTES = 1 << 20
ENDING = {signal.SIGTERM, signal.SIGINT}
WATCHED = {*ENDING, signal.SIGCHLD, signal.SIGHUP}
PR_SET_PDEATHSIG = 1
# What kubectl says; what that means for whoever wrote the play; whether trying again is no use.
MEANINGS = (
    (r"namespaces? \S+ not found", "pachd_port_forward_namespace has to name one that is there", True),
    (
        r"NotFound|not found$",
        "pachd_port_forward_target and pachd_port_forward_namespace have to name what is there",
        True,
    ),
    (r"does not have a service port", "remote in pachd_port_forward_ports has to be a port of the service", True),
    (
        r"context was not found|locate context|context \S+ does not exist",
        "pachd_port_forward_context has to name one of the kubeconfig",
        True,
    ),
    (r"must be logged in|Unauthorized", "the API server refuses the credentials of the kubeconfig", True),
    (r"forbidden", "they need get and list of services and pods, and create of pods/portforward", True),
    (r"x509|tls: ", "the kubeconfig does not fit that API server", True),
    (r"timed out waiting for the condition", "no pod runs that it selects", False),
    (r"pod is not running", "it is tried again until one runs", False),
    (r"unable to listen|cannot assign requested", "pachd_port_forward_address and local ports have to be free", True),
    (r"refused - did you specify", "no API server answers there", False),
)


class Ended(Exception):
    """A signal came to end."""


class Trouble(Exception):
    """Why there is no tunnel. hopeless: trying again is no use; alive: something came back, so the tunnel is not it."""

    def __init__(self, why: str, hopeless: bool = False, alive: bool = False) -> None:
        super().__init__(why)
        self.hopeless, self.alive = hopeless, alive


# --- asking through the tunnel: HTTP/2 and gRPC, as little as it takes ------------------------------------------------

DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
METHOD = b"/versionpb_v2.API/GetVersion"


def frame(kind: int, flags: int, stream: int, body: bytes = b"") -> bytes:
    """A frame of HTTP/2 (RFC 9113, 4.1)."""
    return struct.pack(">I", len(body))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + body


def question(authority: bytes) -> bytes:
    """All that a client sends for one GetVersion; headers as HPACK without its tables for names and values to come."""
    fields = (b"\x04", METHOD), (b"\x01", authority), (b"\x0f\x10", b"application/grpc"), (b"\x00\x02te", b"trailers")
    block = b"\x83\x86" + b"".join(name + bytes((len(value),)) + value for name, value in fields)
    opening = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0)
    return opening + frame(HEADERS, 4, 1, block) + frame(DATA, 1, 1, bytes(5))


def version_in(message: bytes) -> str:
    """major.minor.micro and what follows, of an encoded versionpb_v2.Version."""
    numbers, extra, at = [0, 0, 0], "", 0
    while at < len(message):
        tag, value, shift, at = message[at], 0, 0, at + 1
        while True:
            value, shift, at = value | (message[at] & 127) << shift, shift + 7, at + 1
            if message[at - 1] < 128:
                break
        if tag in (8, 16, 24):
            numbers[tag // 8 - 1] = value
        elif tag == 34:
            extra, at = message[at : at + value].decode(), at + value
        else:
            raise ValueError("field %d" % (tag >> 3))
    return ".".join(map(str, numbers)) + extra


class Reader:
    """Reads from a socket until a time."""

    def __init__(self, sock: socket.socket, end: float) -> None:
        self.sock, self.end, self.got, self.any = sock, end, b"", False

    def take(self, count: int) -> bytes:
        """Exactly so many bytes; EOFError when fewer come."""
        while len(self.got) < count:
            self.sock.settimeout(max(0.01, self.end - time.monotonic()))
            more = self.sock.recv(65536)
            if not more:
                raise EOFError
            self.got, self.any = self.got + more, True
        part, self.got = self.got[:count], self.got[count:]
        return part


def conversation(sock: socket.socket, reader: Reader, authority: str) -> str:
    """Asks for the version; Trouble when something else than pachd answers."""
    stranger = "something else than pachd answers"
    sock.sendall(question(authority.encode()))
    body, first = b"", True
    while True:
        head = reader.take(9)
        size, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        if (first and kind != SETTINGS) or size > 1 << 20:
            raise Trouble("%s: %r" % (stranger, head), alive=True)
        part, first = reader.take(size), False
        if kind in (SETTINGS, PING) and not flags & 1:
            sock.sendall(frame(kind, 1, 0, part if kind == PING else b""))
        elif kind == DATA:
            body += part[1 : len(part) - part[0]] if flags & 8 else part
            if len(body) >= 5 and len(body) - 5 >= int.from_bytes(body[1:5], "big"):
                with contextlib.suppress(ValueError, IndexError):
                    return version_in(body[5:])
                raise Trouble("%s: a version that cannot be read" % stranger, alive=True)
        elif kind in (RESET, GOAWAY) or (kind == HEADERS and flags & 1):
            raise Trouble("it speaks HTTP/2, but tells no version of pachd", alive=True)


def ask(address: str, port: int, how: str, seconds: float) -> str:
    """pachd's version through a port (how: version), or "" when HTTP is spoken there (how: http); else Trouble."""
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)
    host = "[%s]" % address if ":" in address else address
    where = "%s:%d" % (host, port)
    reader = None
    try:
        with socket.create_connection((address, port), seconds) as sock:
            reader = Reader(sock, time.monotonic() + seconds)
            if how == "version":
                return conversation(sock, reader, where)
            sock.sendall(b"GET / HTTP/1.0\r\nHost: %s\r\n\r\n" % where.encode())
            if reader.take(5) != b"HTTP/":
                raise Trouble("%s does not speak HTTP" % where, alive=True)
            return ""
    except Trouble as exc:
        raise Trouble("%s: %s" % (where, exc), alive=True) from None
    except socket.timeout:
        raise Trouble("%s: no answer within %g s" % (where, seconds), alive=bool(reader and reader.any)) from None
    except (EOFError, ConnectionResetError, BrokenPipeError):
        why = "the connection is accepted and then closed: the pod is gone, or nothing listens in it"
        raise Trouble("%s: %s" % (where, why)) from None
    except OSError as exc:
        raise Trouble("%s: %s" % (where, exc.strerror or exc)) from None


# --- ports ------------------------------------------------------------------------------------------------------------


def taken(address: str, port: int) -> str:
    """Why nobody can listen there; "" when one can."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((address, port))
            sock.listen(1)
        except OSError as exc:
            why = "is taken" if exc.errno == errno.EADDRINUSE else "cannot be used: %s" % exc.strerror
            return "local port %d at %s %s" % (port, address, why)
    return ""


# --- the files of an instance -----------------------------------------------------------------------------------------


def born(pid: int) -> str:
    """When a process was started, in the kernel's ticks; "" when it has ended."""
    try:
        words = Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return ""
    return "" if words[0] in "ZX" else words[19]


def read(path: Path) -> dict[str, Any]:
    """A JSON object; {} when there is none."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def settings_in(path: Path) -> dict[str, Any]:
    """The settings with their types: older versions of Ansible make strings of numbers."""
    given: dict[str, Any] = json.loads(path.read_text("utf-8"))
    given["interval"], given["probe_seconds"] = float(given["interval"]), float(given["probe_seconds"])
    given["pod_seconds"], given["own_login"] = int(given["pod_seconds"]), str(given["own_login"]).lower() == "true"
    given["environment"] = {name: str(value) for name, value in given["environment"].items()}
    given["ports"] = [
        {"local": int(port["local"]), "remote": str(port["remote"]), "probe": port.get("probe") or "version"}
        for port in given["ports"]
    ]
    return given


def put(path: Path, data: bytes, mode: int) -> None:
    """Replaces a file at one stroke."""
    fresh = path.with_name(".%s.new" % path.name)
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
    fresh.replace(path)


def digest(*paths: Path) -> str:
    """What these files hold, in short."""
    total = hashlib.sha256()
    for path in paths:
        data = path.read_bytes() if path.exists() else b""
        total.update(b"%d " % len(data) + data)
    return total.hexdigest()


class Home:
    """The directories of an instance: what it is to be, and (run) what it is."""

    def __init__(self, top: Path, run: Path | None = None) -> None:
        self.top, self.run = top, run or top / "run"
        self.program, self.settings, self.login = top / "pachd_forward.py", top / "settings.json", top / "kubeconfig"
        self.lock, self.state, self.log = self.run / "keeper.lock", self.run / "state.json", self.run / "keeper.log"

    def keeper(self) -> int | None:
        """The process id of the keeper; 0 when it has just begun, None when there is none."""
        text = b""
        try:
            with self.lock.open("rb") as file:
                text = file.read().strip()
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(text) if text.isdigit() else 0
        except FileNotFoundError:
            pass
        return None

    def kubectl(self) -> int:
        """The process id of kubectl, 0 when it does not run."""
        told = read(self.state).get("kubectl") or {}
        pid = int(told.get("pid", 0))
        return pid if pid and told.get("born") and born(pid) == told["born"] else 0


# --- the keeper -------------------------------------------------------------------------------------------------------


class Keeper:
    """Keeps one kubectl running until it is told to end."""

    def __init__(self, home: Home) -> None:
        credentials = os.environ.get("CREDENTIALS_DIRECTORY")
        files = Path(credentials) if credentials else home.top
        self.home, self.given = home, settings_in(files / "settings.json")
        if credentials and self.given["own_login"]:
            self.given["kubeconfig"] = str(files / "kubeconfig")
        self.told: dict[str, Any] = {
            "keeper": os.getpid(),
            "digest": digest(files / "settings.json", home.program, files / "kubeconfig"),
            "address": self.given["address"],
            "ports": [port["local"] for port in self.given["ports"]],
            "state": "",
            "restarts": 0,
            "failures": 0,
            "hopeless": False,
            "trouble": "",
        }
        self.output, self.errors = home.run / "kubectl.out", home.run / "kubectl.err"
        self.libc = ctypes.CDLL(None)
        self.last = ""

    def tell(self, state: str, why: str = "", **more: Any) -> None:
        """Writes down how it stands; notes it where that is new."""
        self.told.update(more, state=state, why=why)
        put(self.home.state, json.dumps(self.told).encode(), 0o644)
        text = "%s%s" % (state, ": " + why if why else "")
        self.notify("STATUS=" + text)
        if text != self.last and (state != "starting" or not self.last):
            self.note(text)
            self.last = text

    def note(self, text: str) -> None:
        """A line in the journal, or in a log that is put aside when it is long."""
        if "NOTIFY_SOCKET" in os.environ:
            print(text, flush=True)
            return
        with contextlib.suppress(FileNotFoundError):
            if self.home.log.stat().st_size > LOG_BYTES:
                self.home.log.replace(self.home.log.with_name(self.home.log.name + ".1"))
        with self.home.log.open("a", encoding="utf-8") as file:
            file.write("%s %s\n" % (time.strftime("%Y-%m-%dT%H:%M:%S%z"), text))

    def notify(self, text: str) -> None:
        """Tells systemd, where it asked to be told."""
        name = os.environ.get("NOTIFY_SOCKET", "")
        if name:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
                sock.sendto(text.encode(), "\0" + name[1:] if name.startswith("@") else name)

    def pause(self, seconds: float, process: subprocess.Popen[bytes] | None = None) -> None:
        """Waits, at most until kubectl ends; Ended when a signal came to end."""
        until = time.monotonic() + seconds
        while process is None or process.poll() is None:
            self.notify("WATCHDOG=1")
            left = until - time.monotonic()
            info = signal.sigtimedwait(WATCHED, max(0.0, min(left, 5.0)))
            if info is not None and info.si_signo in ENDING:
                raise Ended
            if left <= 0:
                return

    def _in_child(self) -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
        self.libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    def begin(self) -> subprocess.Popen[bytes]:
        """Starts kubectl."""
        given = self.given
        command = [given["kubectl"], "port-forward", "--address=" + given["address"]]
        command += ["--%s=%s" % (name, given[name]) for name in ("kubeconfig", "context", "namespace") if given[name]]
        command += ["--pod-running-timeout=%ds" % given["pod_seconds"], given["target"]]
        command += ["%d:%s" % (port["local"], port["remote"]) for port in given["ports"]]
        for path in (self.output, self.errors):
            path.write_bytes(b"")
        with self.output.open("ab") as output, self.errors.open("ab") as errors:
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=errors,
                    cwd="/",
                    env={**os.environ, **given["environment"]},
                    start_new_session=True,
                    preexec_fn=self._in_child,
                )
            except OSError as exc:
                raise Trouble("%s cannot be run: %s" % (given["kubectl"], exc.strerror), True) from None
        self.tell("starting", kubectl={"pid": process.pid, "born": born(process.pid)})
        return process

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """Ends kubectl: asked first, then killed."""
        for number, seconds in ((signal.SIGINT, END_SECONDS), (signal.SIGKILL, 10.0)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
                return

    def said(self, process: subprocess.Popen[bytes]) -> Trouble:
        """What kubectl ended with."""
        lines = [line.strip() for line in self.errors.read_text("utf-8", "replace").splitlines() if line.strip()]
        plain = [line for line in lines if not re.match(r"[EWI]\d{4} ", line)]
        why = (plain or lines or ["it said nothing"])[-1]
        inner = [line.split("] ", 1)[-1] for line in lines if "error forwarding port" in line]
        why = "kubectl ended with code %s: %s" % (process.returncode, why[:500])
        for pattern, meaning, hopeless in MEANINGS:
            if re.search(pattern, why):
                return Trouble("%s (%s)" % (why, meaning), hopeless)
        return Trouble("%s (%s)" % (why, inner[-1][:500]) if inner else why)

    def listening(self, process: subprocess.Popen[bytes]) -> None:
        """Waits until kubectl listens where it should."""
        given = self.given
        host = "[%s]" % given["address"] if ":" in given["address"] else given["address"]
        wanted = ["Forwarding from %s:%d -> " % (host, port["local"]) for port in given["ports"]]
        until = time.monotonic() + START_SECONDS + given["pod_seconds"]
        while True:
            output = self.output.read_text("utf-8", "replace")
            if all(line in output for line in wanted):
                return
            if process.poll() is not None:
                raise self.said(process)
            if time.monotonic() > until:
                raise Trouble("kubectl does not get as far as listening: does the API server answer?")
            self.pause(0.05, process)

    def ask_all(self) -> dict[str, str]:
        """What answers at each local port that is asked."""
        given = self.given
        versions = {}
        for port in given["ports"]:
            if port["probe"] != "none":
                self.notify("WATCHDOG=1")
                told = ask(given["address"], port["local"], port["probe"], given["probe_seconds"])
                versions[str(port["local"])] = told
        return versions

    def prove(self, process: subprocess.Popen[bytes]) -> None:
        """Asks; once more when nothing comes back. Trouble when that is the tunnel's fault."""
        for attempt in (1, 2):
            try:
                versions = self.ask_all()
                words = " ".join(sorted(set(versions.values())))
                return self.tell("answers", words, versions=versions, failures=0, trouble="")
            except Trouble as exc:
                if exc.alive:
                    return self.tell("silent", str(exc), failures=self.told["failures"] + 1)
                # A probe that reaches a dead pod ends most versions of kubectl, and those say why.
                self.pause(AGAIN if attempt == 1 else 0.0, process)
                if process.poll() is not None:
                    raise self.said(process) from None
                if attempt == 2:
                    raise
        return None

    def once(self) -> None:
        """Runs one kubectl; Trouble says why there has to be another."""
        given = self.given
        for port in given["ports"]:
            why = taken(given["address"], port["local"])
            if why:
                raise Trouble(why, True)
        process = self.begin()
        try:
            self.listening(process)
            while process.poll() is None:
                self.prove(process)
                self.pause(given["interval"] if self.told["state"] == "answers" else 1.0, process)
                for path in (self.output, self.errors):
                    if path.stat().st_size > LOG_BYTES:
                        os.truncate(path, 0)
            raise self.said(process)
        finally:
            self.end(process)

    def serve(self) -> None:
        """Starts kubectl, again whenever that is needed, until SIGTERM or SIGINT."""
        signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
        self.notify("READY=1")
        delay = FIRST_DELAY
        try:
            while True:
                try:
                    self.once()
                except Trouble as exc:
                    delay = FIRST_DELAY if self.told["state"] == "answers" else min(delay * 2, LAST_DELAY)
                    failures, restarts = self.told["failures"] + 1, self.told["restarts"] + 1
                    more = {"failures": failures, "restarts": restarts, "hopeless": exc.hopeless, "kubectl": None}
                    self.tell("waiting", str(exc), trouble=str(exc), **more)
                self.pause(delay)
        except Ended:
            self.tell("ended", kubectl=None)


def main() -> None:
    """Becomes the keeper."""
    if not 2 <= len(sys.argv) <= 3:
        sys.exit(__doc__)
    os.umask(0o027)
    home = Home(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) == 3 else None)
    with open(os.open(home.lock, os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=0) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit("A keeper runs already in %s" % home.run)
        lock.truncate(0)
        lock.write(b"%d" % os.getpid())
        Keeper(home).serve()


if __name__ == "__main__":
    main()
