# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role alluxio_proxy needs on the host itself; Python 3.9 and its standard library, nothing else.

prepare  makes the directories; tells which Java there is, and which ones the release's start script accepts
switch   points at a release; tells whether anything differs from what ran well last
keep     what runs now is what ran well last; restore goes back to that
health   waits until the REST interface of the proxy answers
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
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

FIRST_DELAY, LAST_DELAY = 1.0, 30.0  # seconds before a proxy that ended is started again
STEADY = 60.0  # seconds after which a proxy counts as one that runs well
STOP_SECONDS = 30.0  # what a proxy gets to end by itself
DIRECTORIES = {"bin": 0o755, "conf": 0o750, "known-good": 0o750, "logs": 0o750, "run": 0o750}
OWNED = {"logs", "run"}  # by the proxy's user
LOG_BYTES = 10 * 1024 * 1024
ENDING = {signal.SIGTERM, signal.SIGINT}
WATCHED = {*ENDING, signal.SIGCHLD, signal.SIGHUP}
PR_SET_PDEATHSIG = 1
SHADOWED = (
    "%s answers 200 with nothing in it. Its REST interface is shadowed by the S3 one: the property "
    "alluxio.proxy.s3.v2.version.enabled has to be false"
)


class ControlError(Exception):
    """Something that the user has to know."""


def java(home: str, release: Path) -> dict[str, Any]:
    """Path, home, version and major version of Java; wanted: the majors that the start script insists on, [] for any.

    home: where Java is; "" looks on PATH.
    """
    found = os.path.join(home, "bin", "java") if home else shutil.which("java")
    if not found or not os.access(found, os.X_OK):
        where = "at %s" % found if found else "on PATH"
        raise ControlError("There is no Java %s: install one and name its directory as alluxio_proxy_java_home" % where)
    done = subprocess.run([found, "-version"], capture_output=True, text=True, errors="replace", check=False)
    match = re.search(r'version "(?:1\.)?(\d+)[^"]*"', done.stderr + done.stdout)
    if not match:
        raise ControlError("%s -version says no version (exit code %d)" % (found, done.returncode))
    real = home or os.path.dirname(os.path.dirname(os.path.realpath(found)))
    script = release / "libexec" / "alluxio-config.sh"
    rule = re.search(r"Alluxio requires ([^\n,]*)", script.read_text("utf-8", "replace")) if script.is_file() else None
    wanted = [int(major) for major in re.findall(r"Java (?:1\.)?(\d+)", rule[1])] if rule else []
    version = match[0].split('"')[1]
    return {"path": found, "home": real, "version": version, "major": int(match[1]), "wanted": wanted}


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
    """Waits until the proxy answers as the wanted version. A wrong answer, three times in a row, ends the waiting."""
    last, wrong = time.monotonic() + seconds, 0
    url, version = configured(top)
    while True:
        told, why, patience = probe(url, version)
        if told is not None:
            return {"url": url, "version": told}
        wrong = 0 if patience else wrong + 1
        if wrong >= 3 or time.monotonic() >= last:
            raise ControlError(why)
        time.sleep(0.5)


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
        self.marker, self.good = top / ".polystore-alluxio-proxy", top / "known-good"
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


def prepare(home: Home, user: str, check: bool) -> bool:
    """Makes the directories; whether that changed anything. Owners matter only to root."""
    account, root, changed = pwd.getpwnam(user), os.geteuid() == 0, False
    for name, mode in DIRECTORIES.items():
        path = home.top / name
        there = path.stat() if path.is_dir() else None
        owner = account.pw_uid if name in OWNED else 0
        wanted = (mode, owner, account.pw_gid) if root else (mode,)
        present = there and (stat.S_IMODE(there.st_mode), there.st_uid, there.st_gid)[: len(wanted)]
        if present != wanted:
            changed = True
            if not check:
                path.mkdir(exist_ok=True)
                path.chmod(mode)
                if root:
                    os.chown(path, owner, account.pw_gid)
    return changed


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a directory, but hidden ones."""
    paths = folder.iterdir() if folder.is_dir() else ()
    return {path.name: path.read_bytes() for path in paths if path.is_file() and not path.name.startswith(".")}


def put(path: Path, data: bytes, like: Path) -> None:
    """Replaces a file at one stroke; owner and mode are those of another."""
    fresh, other = path.with_name(".%s.new" % path.name), like.stat()
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
    if os.geteuid() == 0:
        os.chown(fresh, other.st_uid, other.st_gid)
    fresh.chmod(stat.S_IMODE(other.st_mode))
    fresh.replace(path)


def mirror(source: Path, target: Path, exact: bool = False) -> None:
    """Makes the files of two directories equal. exact: removes what is only in the second."""
    here, there = contents(source), contents(target)
    for name in [name for name in here if here[name] != there.get(name)]:
        put(target / name, here[name], source / name)
    for name in set(there) - set(here) if exact else ():
        (target / name).unlink()


def link(home: Home, release: str, check: bool) -> bool:
    """Points `current` at a release, at one stroke; whether that changed anything."""
    current = home.top / "current"
    if current.is_symlink() and os.readlink(current) == release:
        return False
    if not check:
        fresh = home.top / ".current.new"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(release)
        fresh.replace(current)
    return True


def switch(home: Home, release: str, check: bool) -> dict[str, bool]:
    """Points at a release and takes its settings of logs over; differs: from what ran well last."""
    conf, log4j = home.top / "conf", home.top / release / "conf" / "log4j.properties"
    wanted = {"release": b"%s\n" % release.encode(), **({log4j.name: log4j.read_bytes()} if log4j.is_file() else {})}
    present = contents(conf)
    new = {name: data for name, data in wanted.items() if present.get(name) != data}
    for name, data in () if check else new.items():
        put(conf / name, data, conf / "alluxio-env.sh")
    changed = link(home, release, check) or bool(new)
    return {"changed": changed, "differs": changed or present != contents(home.good)}


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
    """prepare, switch, keep or restore."""
    if command == "prepare":
        found = {"java": java(given.java_home, home.top / given.release), "before": home.before()}
        launcher = home.top / given.release / "bin" / "launch-process"
        return {"changed": prepare(home, given.user, given.check), "installed": launcher.exists(), **found}
    if command == "switch":
        return switch(home, given.release, given.check)
    if command == "restore":
        mirror(home.good, home.top / "conf")
        link(home, home.before(), False)
    else:
        mirror(home.top / "conf", home.good, exact=True)
    return {"changed": True}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words = ["prepare", "switch", "keep", "restore", "health", "start", "restart", "stop", "status", "run"]
    parser.add_argument("command", choices=words)
    parser.add_argument("--home", type=Path, default=Path("."), help="the directory of the installation")
    parser.add_argument("--user", default=pwd.getpwuid(os.geteuid()).pw_name, help="whom the proxy runs as")
    parser.add_argument("--check", action="store_true", help="do nothing")
    parser.add_argument("--java-home", default="")
    parser.add_argument("--release", default="current", help="the directory of a release")
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()
    home = Home(given.home.absolute())
    try:
        if given.command == "run":
            return run(home)
        if given.command == "health":
            result = health(home.top, given.seconds)
        elif given.command in words[:4]:
            result = configure(given.command, home, given)
        else:
            result = control(given.command, home, given.user, given.check)
    except (ControlError, OSError, KeyError) as exc:
        sys.exit(str(exc))
    print(json.dumps(result))
    return None


if __name__ == "__main__":
    main()
