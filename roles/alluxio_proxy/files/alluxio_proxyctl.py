# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role alluxio_proxy needs on the host itself; Python 3.9 and its standard library, nothing else.

prepare    makes the directories; tells which Java there is, and which ones the release's start script accepts
unpack     puts the release in its place; tells the same again
configure  writes the files of conf that stdin names (a JSON object) and points at a release; tells whether anything
           differs from what ran well last
health     waits until the REST interface of the proxy answers; --keep: what runs now is what ran well last
restore    goes back to that
remove     what the role made
start, restart, stop, status
           the proxy in the background, for hosts without systemd; `run` is the supervisor that they start

All print one JSON object; what went wrong goes to stderr, with exit code 1.

A supervisor holds a lock on run/supervisor.lock as long as it lives, so nobody is fooled by a process id that was used
again. It starts the proxy anew when it ends, 1 s later at first and up to 30 s later when it keeps ending. SIGTERM
ends both.
"""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import http.client
import json
import os
import pwd
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from alluxio_proxy_files import (
    MARKER,
    ControlError,
    contents,
    java,
    link,
    mirror,
    prepare,
    put,
    remove,
    switch,
    unpack,
    write,
)

FIRST_DELAY, LAST_DELAY = 1.0, 30.0  # seconds before a proxy that ended is started again
STEADY = 60.0  # seconds after which a proxy counts as one that runs well
WRONG_SECONDS = 1.0  # how long answers may be wrong while a proxy starts
STOP_SECONDS = 30.0  # what a proxy gets to end by itself
LOG_BYTES = 10 * 1024 * 1024
ENDING = {signal.SIGTERM, signal.SIGINT}
WATCHED = {*ENDING, signal.SIGCHLD, signal.SIGHUP}
PR_SET_PDEATHSIG = 1
SHADOWED = (
    "%s answers 200 with nothing in it. Its REST interface is shadowed by the S3 one: the property "
    "alluxio.proxy.s3.v2.version.enabled has to be false"
)


def probe(url: str, version: str) -> tuple[str | None, str, bool]:
    """(version that answers or None, why not, whether waiting may help)."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as answer:
            body, kind = answer.read(1 << 22), answer.headers.get_content_type()
    except urllib.error.HTTPError as exc:
        return None, "%s answers with status %d: something else than an Alluxio proxy?" % (url, exc.code), False
    except (OSError, ValueError, http.client.HTTPException) as exc:
        return None, "%s does not answer: %s" % (url, getattr(exc, "reason", exc)), True
    if not body.strip():
        return None, SHADOWED % url, False
    try:
        told = json.loads(body)["version"]
    except (ValueError, TypeError, KeyError):
        return None, '%s answers %s without a "version": that is no Alluxio proxy' % (url, kind), False
    if version and not (str(told).startswith(version) or version.startswith(str(told))):
        return None, "%s answers as version %s, not %s: does another proxy hold the port?" % (url, told, version), False
    return str(told), "", False


def configured(top: Path) -> tuple[str, str]:
    """(URL to ask, version that has to answer) of an installation."""
    lines = (top / "conf" / "alluxio-site.properties").read_text("utf-8").splitlines()
    told = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    host = told.get("alluxio.proxy.web.bind.host", "127.0.0.1")
    host = {"0.0.0.0": "127.0.0.1", "*": "127.0.0.1", "::": "::1"}.get(host, host)
    host = "[%s]" % host if ":" in host else host
    release = (top / "conf" / "release").read_text("utf-8").strip()
    port = told.get("alluxio.proxy.web.port", "39999")
    return "http://%s:%s/api/v1/proxy/info" % (host, port), release.partition("-")[2]


def health(top: Path, seconds: float) -> dict[str, Any]:
    """Waits until the proxy answers as the wanted version. Nothing but wrong answers for a second ends the waiting."""
    last, wrong = time.monotonic() + seconds, 0.0  # since when
    url, version = configured(top)
    while True:
        told, why, patience = probe(url, version)
        if told is not None:
            return {"url": url, "version": told}
        now = time.monotonic()
        wrong = 0.0 if patience else wrong or now
        if (wrong and now - wrong >= WRONG_SECONDS) or now >= last:
            raise ControlError(why)
        time.sleep(0.2)


def born(pid: int) -> str:
    """When a process was started, in the kernel's ticks; "" when it has ended (also when nobody has waited for it)."""
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


class Home:
    """The directory of an installation."""

    def __init__(self, top: Path) -> None:
        self.top, self.run, self.logs = top, top / "run", top / "logs"
        self.marker, self.good = top / MARKER, top / "known-good"
        self.lock, self.proxy = self.run / "supervisor.lock", self.run / "proxy.json"

    def before(self) -> str:
        """The release that ran well last; "" when there is none."""
        return contents(self.good).get("release", b"").decode().strip()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One command at a time."""
        if not self.marker.is_dir():
            yield
            return
        with open(os.open(self.marker / "control.lock", os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def supervisor(self) -> int | None:
        """The process id of the supervisor; 0 when it has just begun, None when there is none."""
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

    def kill(self, pid: int, number: int, group: bool = False) -> None:
        """Sends a signal, if the process is one of the user that the logs belong to: its files are not trusted."""
        with suppress(FileNotFoundError, ProcessLookupError):
            if os.stat("/proc/%d" % pid).st_uid == self.logs.stat().st_uid:
                (os.killpg if group else os.kill)(pid, number)

    def child(self) -> int:
        """The process id of the proxy, 0 when it does not run."""
        told = read(self.proxy)
        pid = int(told.get("pid", 0))
        return pid if pid and told.get("born") and born(pid) == told["born"] else 0

    def status(self) -> dict[str, Any]:
        """Whether it runs, and what."""
        pid = self.supervisor()
        restarts = int(read(self.proxy).get("restarts", 0)) if pid is not None else 0
        return {"running": pid is not None, "supervisor": pid or 0, "pid": self.child(), "restarts": restarts}


def until(condition: Any, seconds: float) -> bool:
    """Waits for a condition; False when it has not come."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return bool(condition())


def start(home: Home, user: str) -> bool:
    """Starts the supervisor as the user; False when one runs already."""
    if home.supervisor() is not None:
        return False
    _end_child(home)  # of a supervisor that was killed
    account = pwd.getpwnam(user)
    # Credentials of whoever runs the playbook are none of the proxy's business.
    env = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "LC_ALL", "TZ")}
    env.update(HOME=account.pw_dir, USER=user, LOGNAME=user, PYTHONDONTWRITEBYTECODE="1")
    other: dict[str, Any] = {}
    if os.geteuid() == 0 and account.pw_uid != 0:
        other = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": os.getgrouplist(user, account.pw_gid)}
    elif os.geteuid() != account.pw_uid:
        raise ControlError("Only root can run the proxy as %s" % user)
    for path in (home.proxy, home.lock):
        path.unlink(missing_ok=True)
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).resolve()), "run", "--home", str(home.top)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **{"start_new_session": True, "cwd": home.top, "env": env, "umask": 0o027, **other},
    )
    if not until(lambda: home.supervisor() or process.poll() is not None, 20) or process.poll() is not None:
        raise ControlError("The supervisor does not start: see %s" % (home.logs / "supervisor.log"))
    return True


def _end_child(home: Home) -> bool:
    """Ends a proxy that nobody watches; False when there is none."""
    pid = home.child()
    for number, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, 10.0)):
        if home.child():
            home.kill(pid, number, group=True)
            until(lambda: not home.child(), seconds)
    if home.child():
        raise ControlError("The proxy (process %d) does not end" % pid)
    return bool(pid)


def stop(home: Home) -> bool:
    """Ends the supervisor and the proxy; False when none of them ran."""
    pid, ran = home.supervisor(), False
    for number, seconds in ((signal.SIGTERM, STOP_SECONDS + 10), (signal.SIGKILL, 10.0)):
        if pid is None:
            break
        ran = True
        until(lambda: home.supervisor() != 0, 10)
        pid = home.supervisor()
        if pid:
            home.kill(pid, number)
        until(lambda: home.supervisor() is None, seconds)
        pid = home.supervisor()
    if pid is not None:
        raise ControlError("The supervisor (process %d) does not end" % pid)
    return _end_child(home) or ran


class Supervisor:
    """Keeps one proxy running until it is told to end."""

    def __init__(self, home: Home) -> None:
        self.home, self.restarts = home, 0
        self.libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def note(self, text: str) -> None:
        """A line in logs/supervisor.log."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        with self.open("supervisor.log") as file:
            file.write(("%s %s\n" % (stamp, text)).encode())

    def open(self, name: str) -> Any:
        """A log to add to; a long one is put aside first."""
        path = self.home.logs / name
        with suppress(FileNotFoundError):
            if path.stat().st_size > LOG_BYTES:
                path.replace(path.with_name(name + ".1"))
        return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640), "ab")

    def _in_child(self) -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
        if self.libc is not None:
            self.libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    def begin(self) -> subprocess.Popen[bytes] | None:
        """Starts the proxy; None when that fails."""
        top = self.home.top
        env = {**os.environ, "ALLUXIO_CONF_DIR": str(top / "conf"), "ALLUXIO_LOGS_DIR": str(self.home.logs)}
        try:
            with self.open("proxy.out") as log:
                process = subprocess.Popen(
                    [str(top / "current" / "bin" / "launch-process"), "proxy"],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=top,
                    env=env,
                    start_new_session=True,
                    preexec_fn=self._in_child,
                )
        except OSError as exc:
            self.note("the proxy cannot be started: %s" % exc)
            return None
        told = {"pid": process.pid, "born": born(process.pid), "restarts": self.restarts}
        put(self.home.proxy, json.dumps(told).encode(), self.home.lock)
        self.note("proxy started, process %d" % process.pid)
        return process

    def told(self, seconds: float) -> bool:
        """Waits for a signal; whether it was one to end."""
        info = signal.sigtimedwait(WATCHED, seconds)
        return info is not None and info.si_signo in ENDING

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """Ends the proxy: asked first, then killed."""
        for number, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, 10.0)):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
                break
        self.note("proxy ended as asked")

    def serve(self) -> None:
        """Starts the proxy, again whenever it ends, until SIGTERM or SIGINT."""
        signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
        delay = FIRST_DELAY
        while True:
            began = time.monotonic()
            process = self.begin()
            while process is not None and process.poll() is None:
                if self.told(5.0):
                    return self.end(process)
            delay = FIRST_DELAY if time.monotonic() - began >= STEADY else delay
            if process is not None:
                self.note("proxy ended with code %d; it is started again in %g s" % (process.returncode, delay))
            back = time.monotonic() + delay
            while time.monotonic() < back:
                if self.told(max(0.0, back - time.monotonic())):
                    return None
            delay = min(delay * 2, LAST_DELAY)
            self.restarts += 1


def run(home: Home) -> None:
    """The supervisor itself, in the foreground."""
    os.umask(0o027)
    with open(os.open(home.lock, os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=0) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ControlError("A supervisor runs already in %s" % home.top) from None
        lock.truncate(0)
        lock.write(b"%d" % os.getpid())
        supervisor = Supervisor(home)
        try:
            supervisor.serve()
        except Exception as exc:
            supervisor.note("the supervisor ends: %r" % exc)
            raise


def control(command: str, home: Home, user: str, check: bool) -> dict[str, Any]:
    """start, restart, stop or status. In check mode nothing is done, and told what would be."""
    with home.alone():
        runs = home.supervisor() is not None
        changed = {"start": not runs, "restart": True, "stop": runs or bool(home.child()), "status": False}[command]
        if not check:
            if command in ("stop", "restart"):
                stop(home)
            if command in ("start", "restart"):
                start(home, user)
        return {"changed": changed, **home.status()}


def configure(command: str, home: Home, given: argparse.Namespace) -> dict[str, Any]:
    """prepare, unpack, configure or restore."""
    top, release, check = home.top, given.release, given.check
    if command == "configure":
        wrote = write(top, given.user, json.load(sys.stdin), check)
        told = switch(top, release, check)
        return {"changed": wrote or told["changed"], "differs": wrote or told["differs"]}
    if command == "restore":
        mirror(home.good, top / "conf")
        link(top, home.before(), False)
        return {"changed": True}
    found: dict[str, Any] = {"changed": True, "before": home.before()}
    launcher = top / release / "bin" / "launch-process"
    if command == "unpack" and not check:
        unpack(top, release, given.archive, given.checksum)
    found["java"] = java(given.java_home, top / release)
    if command == "prepare":
        found["changed"] = prepare(top, given.user, launcher.exists(), check)
    return {**found, "installed": launcher.exists()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words = ["prepare", "unpack", "configure", "restore", "health", "remove"]
    words += ["start", "restart", "stop", "status", "run"]
    parser.add_argument("command", choices=words)
    parser.add_argument("--home", type=Path, default=Path("."), help="the directory of the installation")
    parser.add_argument("--user", default=pwd.getpwuid(os.geteuid()).pw_name, help="whom the proxy runs as")
    parser.add_argument("--check", action="store_true", help="do nothing")
    parser.add_argument("--java-home", default="")
    parser.add_argument("--release", default="current", help="the directory of a release")
    parser.add_argument("--archive", default="", help="where it is, if not in the directory `unpacking`")
    parser.add_argument("--checksum", default="", help="what the archive has to have, as sha256:...")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--keep", action="store_true", help="health: what answers is what ran well last")
    given = parser.parse_args()
    home = Home(given.home.absolute())
    try:
        if given.command == "run":
            return run(home)
        if given.command == "health":
            result = health(home.top, given.seconds)
            if given.keep:
                mirror(home.top / "conf", home.good, exact=True)
        elif given.command == "remove":
            result = remove(home.top, given.check)
        elif given.command in words[:4]:
            result = configure(given.command, home, given)
        else:
            result = control(given.command, home, given.user, given.check)
    except (ControlError, OSError, KeyError, ValueError) as exc:
        sys.exit(str(exc))
    print(json.dumps(result))
    return None


if __name__ == "__main__":
    main()
