# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role pachd_port_forward does on the host, besides the keeper; Python 3.9 and its standard library.

prepare  looks for kubectl, the kubeconfig and its context, and whether the local ports are free; changes nothing
login    writes that one context, with its certificates, to a kubeconfig of its own; without --own removes that
status   whether a keeper runs, and with these settings
wait     until the keeper says that pachd answers; then asks pachd itself
start, stop
         a keeper in the background, for hosts without systemd
remove   what the role made, this program too

All print one JSON object; what went wrong goes to stderr, with exit code 1.
"""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
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
from pathlib import Path
from typing import Any

import pachd_forward
from pachd_forward import Home, Trouble, ask, digest, put, read, settings_in, taken

STOP_SECONDS = 15.0
KUBECTL_SECONDS = 30.0  # a kubectl that looks for a fitting one asks the API server first


class ControlError(Exception):
    """Something that the user has to know."""


def until(condition: Any, seconds: float) -> bool:
    """Waits for a condition; False when it has not come."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return bool(condition())


def holder(port: int) -> str:
    """ " by process 12 (its command)", as far as one may know it."""
    rows: list[list[str]] = []
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            rows += [line.split() for line in Path("/proc/net/" + name).read_text().splitlines()[1:]]
    wanted = {"socket:[%s]" % row[9] for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(os.readlink(link) in wanted for link in (path / "fd").iterdir()):
                words = (path / "cmdline").read_bytes().split(b"\0")[:3]
                return " by process %s (%s)" % (path.name, b" ".join(words).decode("utf-8", "replace").strip())
    return ""


def status(home: Home) -> dict[str, Any]:
    """Whether a keeper runs, whether with other settings than those that are there, and what it tells."""
    pid = home.keeper()
    told = read(home.state) if pid is not None else {}
    differs = told.get("digest") != digest(home.settings, home.program, home.login)
    return {"running": pid is not None, "keeper": pid or 0, "differs": differs, "told": told}


# --- before anything is done ------------------------------------------------------------------------------------------


def open_to_all(path: str) -> bool:
    """Whether every user of the host may run what lies there."""
    real = Path(path).resolve()
    return all(place.stat().st_mode & stat.S_IXOTH for place in (real, *real.parents))


def kubectl(given: argparse.Namespace) -> str:
    """Where kubectl is."""
    found: str | None = shutil.which(given.kubectl)
    if not found:
        where = "at %s" % given.kubectl if "/" in given.kubectl else "on PATH (%s)" % os.environ.get("PATH", "")
        raise ControlError("There is no kubectl %s: install it, or name it as pachd_port_forward_kubectl" % where)
    return os.path.abspath(found)


def view(program: str, kubeconfig: str, context: str) -> dict[str, Any]:
    """One context of a kubeconfig, with its credentials, as an object; "" is the one that is current there."""
    if not os.path.isfile(kubeconfig):
        raise ControlError("There is no kubeconfig %s: name one as pachd_port_forward_kubeconfig" % kubeconfig)
    command = [program, "config", "view", "--kubeconfig=" + kubeconfig, "--raw", "--flatten", "--minify", "-o", "json"]
    command += ["--context=" + context] if context else []
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=KUBECTL_SECONDS, check=False
        )
        if done.returncode == 0:
            value: dict[str, Any] = json.loads(done.stdout)
            return value
        why = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    except (OSError, ValueError, subprocess.SubprocessError) as exc:
        why = exc.__class__.__name__ if isinstance(exc, ValueError) else str(exc)
    if "locate context" in why or "context was not found" in why:
        command = [program, "config", "get-contexts", "-o", "name", "--kubeconfig=" + kubeconfig]
        names = subprocess.run(command, capture_output=True, text=True, check=False, timeout=KUBECTL_SECONDS).stdout
        has = ", ".join(sorted(names.split())) or "none"
        words = "There is no context %s in %s; it has: %s. Name one as pachd_port_forward_context"
        raise ControlError(words % (context, kubeconfig, has))
    if "current-context must exist" in why:
        raise ControlError("%s has no current context: name one as pachd_port_forward_context" % kubeconfig)
    raise ControlError("%s cannot read %s: %s" % (program, kubeconfig, why))


def ports_free(given: argparse.Namespace) -> None:
    """ControlError when somebody else listens where kubectl is to."""
    try:
        ipaddress.ip_address(given.address)
    except ValueError:
        words = "pachd_port_forward_address is %r: it has to be an IP address, as 127.0.0.1 or ::1"
        raise ControlError(words % given.address) from None
    ours: set[tuple[str, int]] = set()
    for run in given.run:
        home = Home(given.home, run)
        if home.keeper() is not None:
            told = read(home.state)
            ours |= {(told.get("address", ""), port) for port in told.get("ports", [])}
    for port in given.port:
        why = "" if (given.address, port) in ours else taken(given.address, port)
        if why:
            words = "%s%s: name another one in pachd_port_forward_ports, or as pachd_port_forward_address"
            raise ControlError(words % (why, holder(port) if why.endswith("taken") else ""))


def prepare(given: argparse.Namespace) -> dict[str, Any]:
    """What the settings need to know of the host. given.user: whom the unit runs as, "" for nobody in particular."""
    ports_free(given)
    program = kubectl(given)
    account = pwd.getpwuid(os.geteuid())
    kubeconfig = os.path.abspath(given.kubeconfig or os.path.join(account.pw_dir, ".kube", "config"))
    found = view(program, kubeconfig, given.context)
    own = given.manager == "systemd" and not given.user
    if own:
        user = (found.get("users") or [{}])[0].get("user") or {}
        other = [name for name in ("exec", "auth-provider", "tokenFile") if user.get(name)]
        if other:
            words = (
                "The context uses %s, which nobody in particular cannot: set pachd_port_forward_user to a user who can"
            )
            raise ControlError(words % other[0])
        for path, name in ((program, "kubectl"), (given.python, "python")):
            path = shutil.which(path) or path
            if os.path.exists(path) and not open_to_all(path):
                words = "%s is not for everybody to run: name another one as pachd_port_forward_%s, or set _user"
                raise ControlError(words % (path, name))
    context = (found.get("contexts") or [{}])[0].get("context") or {}
    return {
        "changed": False,
        "kubectl": program,
        "kubeconfig": kubeconfig,
        "context": found.get("current-context", ""),
        "namespace": given.namespace or context.get("namespace", "default"),
        "own_login": own,
        "has_login": Home(given.home).login.exists(),
    }


def login(given: argparse.Namespace, home: Home) -> dict[str, Any]:
    """Keeps the one context apart; what is there is replaced when it differs."""
    if not given.own:
        changed = home.login.exists()
        if changed and not given.check:
            home.login.unlink()
        return {"changed": changed}
    found = view(kubectl(given), given.kubeconfig, given.context)
    data = json.dumps(found, sort_keys=True).encode()
    changed = not home.login.exists() or home.login.read_bytes() != data
    if changed and not given.check:
        put(home.login, data, 0o600)
    return {"changed": changed}


# --- afterwards -------------------------------------------------------------------------------------------------------


def wait(home: Home, seconds: float) -> dict[str, Any]:
    """pachd's versions by local port; ControlError with the reason when it does not answer."""
    end = time.monotonic() + seconds
    while True:
        known = status(home)
        told = known["told"]
        if not known["running"] or known["differs"]:
            why = "the keeper does not run" if not known["running"] else "the keeper runs with other settings"
        elif told["state"] == "answers":
            try:
                return {"changed": False, "versions": versions(home)}
            except Trouble as exc:
                why = str(exc)
        else:
            why = told["why"] or told["trouble"] or "kubectl waits for a running pod, or for the API server"
            if told["hopeless"] and told["failures"] >= 2:
                raise ControlError(explained(why))
        if time.monotonic() >= end:
            raise ControlError("pachd does not answer within %g s: %s" % (seconds, explained(why)))
        time.sleep(0.1)


def explained(why: str) -> str:
    """With who has the port, if it is about that: the keeper may not be allowed to know."""
    match = re.match(r"local port (\d+) at \S+ is taken", why)
    return why + holder(int(match[1])) if match else why


def versions(home: Home) -> dict[str, str]:
    """Asks through the tunnel."""
    given = settings_in(home.settings)
    asked = [port for port in given["ports"] if port["probe"] != "none"]
    seconds = given["probe_seconds"]
    return {str(port["local"]): ask(given["address"], port["local"], port["probe"], seconds) for port in asked}


def start(home: Home) -> bool:
    """Starts the keeper; False when one runs already."""
    if home.keeper() is not None:
        return False
    end_kubectl(home)  # of a keeper that was killed
    home.run.mkdir(mode=0o750, exist_ok=True)
    for path in (home.state, home.lock):
        path.unlink(missing_ok=True)
    account = pwd.getpwuid(os.geteuid())
    env = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "LC_ALL", "TZ")}
    env.update(HOME=account.pw_dir, USER=account.pw_name, LOGNAME=account.pw_name)
    with home.log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-B", str(home.program), str(home.top), str(home.run)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=env,
            start_new_session=True,
        )
    until(lambda: home.keeper() or process.poll() is not None, 20)
    if process.poll() is not None or not home.keeper():
        raise ControlError("The keeper does not start: see %s" % home.log)
    return True


def end_kubectl(home: Home) -> bool:
    """Ends a kubectl that nobody watches; False when there is none."""
    pid = home.kubectl()
    for number in (signal.SIGINT, signal.SIGKILL):
        if home.kubectl():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, number)
            until(lambda: not home.kubectl(), pachd_forward.END_SECONDS)
    if home.kubectl():
        raise ControlError("kubectl (process %d) does not end" % pid)
    return bool(pid)


def stop(home: Home) -> bool:
    """Ends the keeper and its kubectl; False when none of them ran."""
    pid, ran = home.keeper(), False
    for number in (signal.SIGTERM, signal.SIGKILL):
        if pid is None:
            break
        ran = True
        until(lambda: home.keeper() != 0, 10)
        pid = home.keeper()
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        until(lambda: home.keeper() is None, STOP_SECONDS)
        pid = home.keeper()
    if pid is not None:
        raise ControlError("The keeper (process %d) does not end" % pid)
    return end_kubectl(home) or ran


def control(command: str, home: Home, check: bool, again: bool) -> dict[str, Any]:
    """start or stop, or (check) what that would be. start replaces a keeper with other settings; again: any."""
    known = status(home)
    runs = bool(known["running"] or home.kubectl())
    right = known["running"] and not known["differs"] and not again
    changed = runs if command == "stop" else not right
    if changed and not check:
        stop(home)
        if command == "start":
            start(home)
    return {"changed": changed}


def remove(home: Home, check: bool) -> dict[str, Any]:
    """What the role made, and directories that are empty then."""
    if not check:
        shutil.rmtree(home.top / "run", ignore_errors=True)
        for path in (home.login, home.settings, home.program, Path(__file__)):
            path.unlink(missing_ok=True)
        for folder in (home.top, home.top.parent):
            with contextlib.suppress(OSError):
                folder.rmdir()
    return {"changed": True}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["prepare", "login", "status", "wait", "start", "stop", "remove"])
    parser.add_argument("--home", type=Path, required=True, help="the directory of the instance")
    parser.add_argument("--run", type=Path, action="append", default=[], help="where its keeper keeps its state")
    parser.add_argument("--check", action="store_true", help="do nothing")
    parser.add_argument("--own", action="store_true", help="a kubeconfig of its own is needed")
    parser.add_argument("--again", action="store_true", help="start: also when one runs")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--port", type=int, action="append", default=[], help="a local port")
    for name in ("kubectl", "kubeconfig", "context", "namespace", "address", "manager", "user", "python"):
        parser.add_argument("--" + name, default="")
    given = parser.parse_args()
    home = Home(given.home, given.run[0] if given.run else None)
    try:
        if given.command == "prepare":
            result = prepare(given)
        elif given.command == "login":
            result = login(given, home)
        elif given.command == "wait":
            result = wait(home, given.seconds)
        elif given.command == "status":
            result = {"changed": False, **status(home)}
        elif given.command == "remove":
            result = remove(home, given.check)
        else:
            result = control(given.command, home, given.check, given.again)
    except (ControlError, OSError) as exc:
        sys.exit(str(exc))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
