# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting, stopping and describing the servers of a sandbox."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from polystore_sandbox.endpoints import write_files
from polystore_sandbox.faults import RequestLog
from polystore_sandbox.home import Home, SandboxError, source_digest
from polystore_sandbox.registry import Running, Service, find, find_all

START_SECONDS = 120.0
STOP_SECONDS = 10.0


@contextmanager
def _alone(home: Home) -> Iterator[None]:
    lock = home.lock("start.lock", wait=True)
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


def _log_tail(home: Home, name: str) -> str:
    try:
        return (home.folder / name / "server.log").read_text(errors="replace")[-3000:]
    except OSError:
        return ""


def _url(address: str, port: int) -> str:
    return f"http://{address}:{port}"


def running(home: Home) -> dict[str, Any]:
    """Port, URL and process of the services that run, by name."""
    return {name: {key: info[key] for key in ("url", "port", "pid")} for name, info in describe(home).items()}


def describe(home: Home) -> dict[str, Any]:
    """All that a client needs of the services that run, by name; with passwords, so for files only."""
    found = {name: home.read(f"{name}/ready.json") for name in home.services() if home.pid(name)}
    urls = {name: str(ready["url"]) for name, ready in found.items() if "url" in ready}
    return {
        name: {"url": url, "port": found[name]["port"], "pid": home.pid(name), **find(name).endpoints(home, url, urls)}
        for name, url in urls.items()
    }


def start(
    home: Home,
    wanted: list[str],
    address: str = "127.0.0.1",
    ports: dict[str, int] | None = None,
    owner: int = 0,
    remove: bool = False,
    check: bool = False,
    options: dict[str, dict[str, str]] | None = None,
) -> dict[str, Any]:
    """Makes exactly the wanted services run; what runs as wanted is left alone. In check mode only tells.

    options: by service. Raises SandboxError.
    """
    services = find_all(wanted)
    missing = {name for service in services for name in service.requirements if not importlib.util.find_spec(name)}
    if missing and not check:
        raise SandboxError(f"{sys.executable} lacks the Python packages {', '.join(sorted(missing))}: see `install`")
    for name in (*(ports or {}), *(options or {})):
        find(name)
    changed = home.create(check)
    if check and changed:
        return {"changed": True, "services": {}}
    with _alone(home):
        for name in home.services():
            if home.pid(name) is not None and name not in [service.name for service in services]:
                changed = True
                if not check:
                    _end(home, name)
        peers: dict[str, str] = {}
        for service in services:
            port = (ports or {}).get(service.name) or home.read("ports.json").get(service.name, 0)
            settings = {"address": address, "port": port, "peers": dict(peers), "code": source_digest()}
            settings["options"] = (options or {}).get(service.name, {})
            if home.pid(service.name) is None or home.read(f"{service.name}/ready.json").get("settings") != settings:
                changed = True
                if check:
                    continue
                _end(home, service.name)
                _begin(home, service, settings, owner, remove)
            peers[service.name] = str(home.read(f"{service.name}/ready.json")["url"])
        changed = write_files(home, describe(home), check) or changed
    return {"changed": changed, "services": running(home)}


def _begin(home: Home, service: Service, settings: dict[str, Any], owner: int, remove: bool) -> None:
    folder = home.service(service.name)
    (folder / "ready.json").unlink(missing_ok=True)
    home.write(f"{service.name}/settings.json", settings)
    command = [
        sys.executable,
        "-m",
        "polystore_sandbox",
        "serve",
        "--dir",
        str(home.folder),
        "--services",
        service.name,
    ]
    command += ["--owner", str(owner)] if owner else []
    command += ["--remove"] if remove else []
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "ST_", "PYTHON"))}
    with open(os.open(folder / "server.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=home.folder,
            env={
                **kept,
                "PYTHONPATH": str(Path(__file__).parents[1]),
                "PYTHONUTF8": "1",
                "PYTHONDONTWRITEBYTECODE": "1",
            },
        )
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        ready = home.read(f"{service.name}/ready.json")
        if ready and service.answers(settings["address"], ready["port"]):
            return
        if process.poll() is not None:
            raise SandboxError(f"{service.name} ended while it started:\n{_log_tail(home, service.name)}")
        time.sleep(0.02)
    process.kill()
    raise SandboxError(f"{service.name} did not answer in {START_SECONDS:.0f} s:\n{_log_tail(home, service.name)}")


def _end(home: Home, name: str) -> bool:
    pid = home.pid(name)
    if pid is None:
        return False
    for number in (signal.SIGTERM, signal.SIGKILL):
        until = time.monotonic() + STOP_SECONDS
        while home.pid(name) is not None and time.monotonic() < until:
            pid = home.pid(name)
            if pid:
                with suppress(ProcessLookupError):  # it has just ended, and its lock with it
                    os.kill(pid, number)
            time.sleep(0.02)
    if home.pid(name) is not None:
        raise SandboxError(f"{name} (process {home.pid(name)}) does not end")
    (home.folder / name / "ready.json").unlink(missing_ok=True)
    return True


def stop(home: Home, wanted: list[str] | None = None, check: bool = False) -> dict[str, Any]:
    """Ends the services, all when none are named. Their data stays."""
    if not home.is_sandbox():
        return {"changed": False, "services": {}}
    with _alone(home):
        ended = [name for name in home.services() if home.pid(name) is not None and (not wanted or name in wanted)]
        if not check:
            for name in ended:
                _end(home, name)
            write_files(home, describe(home))
    return {"changed": bool(ended), "services": running(home)}


def absent(home: Home, check: bool = False) -> dict[str, Any]:
    """Ends all services and deletes the directory."""
    if not home.folder.exists():
        return {"changed": False, "services": {}}
    if not check:
        stop(home)
        home.remove()
    return {"changed": True, "services": {}}


def _gone(pid: int, born: str) -> bool:
    """True when the process has ended, also when nobody has waited for it yet."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    now = _birth(pid)
    return now.startswith("Z") or (bool(born) and now[1:] != born[1:])


def _birth(pid: int) -> str:
    """State letter and start time; "" where there is no /proc."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return ""
    return words[0] + words[19]


def serve(home: Home, name: str, owner: int = 0, remove: bool = False) -> None:
    """Runs one service in this process, until it is ended or its owner is gone."""
    service = find(name)
    service.prepare()
    from polystore_sandbox.control import start_control  # after prepare, which may exchange the socket module

    lock = home.lock(f"{name}/run.lock")
    if lock is None:
        raise SandboxError(f"{name} runs already in {home.folder}")
    os.truncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    if owner:
        threading.Thread(target=_watch, args=(home, owner, _birth(owner), remove), daemon=True).start()
    settings = home.read(f"{name}/settings.json")
    given = Running(
        home=home,
        name=name,
        address=settings["address"],
        port=settings["port"],
        peers=settings["peers"],
        options=settings["options"],
        log=RequestLog(str(home.folder / name / "access.jsonl")),
    )

    def ready(port: int, listen: Any, behave: Any = None) -> None:
        token = home.secret(f"{name}.control")
        control = start_control("127.0.0.1", token, given.faults, listen, behave)
        home.write(f"{name}/control.json", {"url": _url("127.0.0.1", control), "token": token})
        ports = home.read("ports.json")
        home.write("ports.json", {**ports, name: port})
        settings["port"] = port
        url = _url(given.address, port)
        home.write(f"{name}/ready.json", {"url": url, "port": port, "settings": settings})

    given.ready = ready
    service.serve(given)


def _watch(home: Home, owner: int, born: str, remove: bool) -> None:
    while not _gone(owner, born):
        time.sleep(0.3)
    if remove and home.is_sandbox():
        shutil.rmtree(home.folder, ignore_errors=True)
    os.kill(os.getpid(), signal.SIGKILL)
