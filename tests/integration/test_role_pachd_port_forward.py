# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role pachd_port_forward, with the machine's own kubectl against an API server of ours.

What disturbs a tunnel is tried on its keeper alone, which is what every service manager runs; the role's own life is
run in the background, under a real systemd, and as a user's unit.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest
from ansible_collections.polystore.storage.tests.support import targets
from ansible_collections.polystore.storage.tests.support.alluxio_real import free_ports
from ansible_collections.polystore.storage.tests.support.booted import Booted, booted, need_booted
from ansible_collections.polystore.storage.tests.support.kube import SECRET, Kube
from ansible_collections.polystore.storage.tests.support.kubectls import debian, kubectls, need_kubectl
from ansible_collections.polystore.storage.tests.support.pachd_small import Pachd
from ansible_collections.polystore.storage.tests.support.servers import need
from ansible_collections.polystore.storage.tests.support.waiting import wait_for

pytestmark = [pytest.mark.pachyderm, pytest.mark.second]
FILES = targets.COLLECTION / "roles" / "pachd_port_forward" / "files"
ROLE = "polystore.storage.pachd_port_forward"
PROGRAMS = ("pachd_forward.py", "pachd_forwardctl.py")
OLD, NEW = "2.11.6", "2.12.0"


@pytest.fixture(scope="module")
def pachds() -> Iterator[dict[str, Pachd]]:
    """Two of them, by version."""
    need_kubectl()
    need("grpc")
    with contextlib.ExitStack() as ending:
        found = {}
        for version, port in zip((NEW, OLD), free_ports(2), strict=True):
            found[version] = Pachd(port, version)
            ending.callback(found[version].kill)
        yield found


@pytest.fixture
def kube(tmp_path: pathlib.Path, pachds: dict[str, Pachd]) -> Iterator[Kube]:
    """A cluster whose one pod is the newer pachd."""
    with cluster(tmp_path / "cluster", pachds) as found:
        yield found


@contextlib.contextmanager
def cluster(folder: pathlib.Path, pachds: dict[str, Pachd]) -> Iterator[Kube]:
    folder.mkdir()
    found = Kube(folder, free_ports(1)[0])
    found.pods(pachd_0=pachds[NEW].target)
    try:
        yield found
    finally:
        found.kill()


class Tunnel:
    """A keeper of its own: no role, and probes that hurry."""

    def __init__(self, top: pathlib.Path, kube: Kube, kubectl: str) -> None:
        self.top, self.kube, self.seen = top, kube, 0
        self.home, self.port = top / "instance", free_ports(1)[0]
        self.home.mkdir(parents=True)
        for name in PROGRAMS:
            (self.home / name).write_bytes((FILES / name).read_bytes())
        self.settings: dict[str, Any] = {
            "manager": "background",
            "kubectl": kubectl,
            "kubeconfig": str(kube.kubeconfig),
            "context": "tests",
            "namespace": "pach",
            "own_login": False,
            "target": "svc/pachd",
            "address": "127.0.0.1",
            "ports": [{"local": self.port, "remote": "30650", "probe": "version"}],
            "environment": {"HOME": str(top)},
            "interval": 0.3,
            "probe_seconds": 1.0,
            "pod_seconds": 1,
            "unit": "",
        }

    def control(self, command: str, *options: str) -> dict[str, Any]:
        """What a command of the role's helper tells; {"failed": words} when it fails."""
        done = subprocess.run(
            [sys.executable, "-B", str(self.home / PROGRAMS[1]), command, "--home", str(self.home), *options],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            return {"failed": done.stderr}
        value: dict[str, Any] = json.loads(done.stdout)
        return value

    def start(self, **settings: Any) -> None:
        """(Re)starts the keeper with some other settings."""
        self.settings |= settings
        (self.home / "settings.json").write_text(json.dumps(self.settings), "utf-8")
        assert self.control("start") == {"changed": True}

    def wait(self, seconds: float = 30) -> str:
        """The version that answers, or why none does."""
        told = self.control("wait", "--seconds", str(seconds))
        return str(told.get("failed") or told["versions"][str(self.port)])

    def prepare(self, **given: str) -> str:
        """Why nothing can be started, "" when all is there."""
        named = {"kubectl": self.settings["kubectl"], "kubeconfig": self.settings["kubeconfig"]}
        named |= {"address": "127.0.0.1", "manager": "background", "python": sys.executable, "port": str(self.port)}
        named |= {"run": str(self.home / "run")} | given
        return str(self.control("prepare", *["--%s=%s" % pair for pair in named.items()]).get("failed", ""))

    def told(self) -> dict[str, Any]:
        """The keeper's own words."""
        value: dict[str, Any] = json.loads((self.home / "run" / "state.json").read_text("utf-8"))
        return value

    def back(self, what: str, version: str, restarts: int, began: float = 0.0) -> None:
        """Waits until a version answers after so many restarts; says how long that took."""
        began = began or time.monotonic()

        def right() -> bool:
            told = self.told()
            return told["restarts"] >= restarts and (told["state"], told["why"]) == ("answers", version)

        wait_for(right, what)
        print("%s, %s: %.1f s" % (pathlib.Path(self.settings["kubectl"]).name, what, time.monotonic() - began))
        self.seen = self.told()["restarts"]


@pytest.fixture
def tunnel(tmp_path: pathlib.Path, kube: Kube) -> Iterator[Tunnel]:
    """With the newest kubectl."""
    found = Tunnel(tmp_path, kube, kubectls()[-1])
    yield found
    found.control("stop")


def test_with_every_kubectl(tmp_path: pathlib.Path, kube: Kube, pachds: dict[str, Pachd]) -> None:
    """Side by side, each with its keeper: all of this machine, and Debian's 1.20, which never ends by itself."""
    programs = [*debian(), *kubectls()]
    print("with", *programs)
    tunnels = [Tunnel(tmp_path / str(number), kube, path) for number, path in enumerate(programs)]

    def all_back(what: str, version: str) -> None:
        began = time.monotonic()
        for tunnel in tunnels:
            tunnel.back(what, version, tunnel.seen + 1, began)

    def lost() -> None:
        wait_for(lambda: all(tunnel.told()["state"] != "answers" for tunnel in tunnels), "that is seen")

    try:
        for tunnel in tunnels:
            tunnel.start()
        for tunnel in tunnels:
            assert tunnel.wait() == NEW
            assert tunnel.control("start") == {"changed": False}
        assert kube.forwards() == len(tunnels)
        kube.pods(pachd_1=pachds[OLD].target)
        all_back("the pod was replaced", OLD)
        # The container refuses once: pachd is being restarted in its pod.
        kube.pods(pachd_1=None)
        lost()
        kube.pods(pachd_1=pachds[NEW].target)
        all_back("the container listens again", NEW)
        kube.kill()
        lost()
        kube.start()
        all_back("the API server is there again", NEW)
        for tunnel in tunnels:
            pid = tunnel.told()["kubectl"]["pid"]
            assert tunnel.control("stop") == {"changed": True}
            assert not pathlib.Path("/proc/%d" % pid).exists() and tunnel.told()["state"] == "ended"
        assert tunnels[0].control("stop") == {"changed": False}
    finally:
        for tunnel in tunnels:
            tunnel.control("stop")


def test_an_api_server_that_hangs(tunnel: Tunnel) -> None:
    tunnel.start()
    assert tunnel.wait() == NEW
    with tunnel.kube.hung():
        began = time.monotonic()
        wait_for(lambda: tunnel.told()["restarts"], "the tunnel is given up")
        print("half open, seen after %.1f s" % (time.monotonic() - began))
        assert "no answer within 1 s" in tunnel.told()["trouble"], tunnel.told()
        with socket.create_connection(("127.0.0.1", tunnel.kube.port)):
            assert "no answer within 1 s" in tunnel.wait(0.5)
    tunnel.back("the API server goes on", NEW, 1)


def test_what_ends_by_accident(tunnel: Tunnel) -> None:
    tunnel.start()
    assert tunnel.wait() == NEW
    first = tunnel.told()
    os.kill(first["kubectl"]["pid"], signal.SIGKILL)
    tunnel.back("kubectl was killed", NEW, 1)
    # The keeper itself, which takes its kubectl along; the next run starts both.
    second = tunnel.told()
    os.kill(second["keeper"], signal.SIGKILL)
    wait_for(lambda: not tunnel.control("status")["running"], "the keeper is gone")
    wait_for(lambda: not pathlib.Path("/proc/%d" % second["kubectl"]["pid"]).exists(), "kubectl too")
    assert "the keeper does not run" in tunnel.wait(0.1)
    assert tunnel.control("start", "--check") == {"changed": True} and tunnel.control("start") == {"changed": True}
    assert tunnel.wait() == NEW and tunnel.told()["keeper"] != second["keeper"]
    # Other settings: a new keeper.
    tunnel.start(interval=0.4)
    assert tunnel.wait() == NEW


def test_a_port_that_is_taken(tunnel: Tunnel) -> None:
    with socket.create_server(("127.0.0.1", tunnel.port)):
        who = "local port %d at 127.0.0.1 is taken by process %d (" % (tunnel.port, os.getpid())
        assert who in tunnel.prepare()
        # Taken after it was looked for.
        tunnel.start()
        assert who in tunnel.wait()
        assert not tunnel.told()["kubectl"], "kubectl was not even begun"
    tunnel.back("the port is free", NEW, 1)
    # One's own is not taken, but another instance cannot have it.
    assert tunnel.prepare() == ""
    assert "is taken by process %d" % tunnel.told()["kubectl"]["pid"] in tunnel.prepare(run=str(tunnel.top))


def test_a_kubectl_that_listens_elsewhere(tunnel: Tunnel) -> None:
    script = tunnel.top / "kubectl"
    script.write_text("#!/bin/sh\necho 'Forwarding from [::1]:%d -> 1650'; exec sleep 60\n" % tunnel.port)
    script.chmod(0o755)
    with socket.create_server(("::1", tunnel.port), family=socket.AF_INET6):
        tunnel.start(kubectl=str(script))
        assert "pachd does not answer within 1 s" in tunnel.wait(1)


def test_what_cannot_be_started(tunnel: Tunnel, pachds: dict[str, Pachd]) -> None:
    tunnel.kube.service("empty", {"name": "api", "port": 30650, "targetPort": 1650})
    tunnel.kube.state["services"]["pach/empty"]["selector"] = {"app": "nobody"}
    tunnel.kube.save()
    port = {"local": tunnel.port, "probe": "version"}
    for settings, words in (
        ({"target": "svc/nope"}, 'services "nope" not found (pachd_port_forward_target and'),
        ({"namespace": "nope"}, 'namespaces "nope" not found (pachd_port_forward_namespace has'),
        ({"ports": [{**port, "remote": "9999"}]}, "not have a service port 9999 (remote in pachd_port_forward_ports"),
        ({"context": "nope"}, "pachd_port_forward_context has to name one"),
        ({"kubectl": str(tunnel.top / "kubectl")}, "cannot be run: No such file or directory"),
    ):
        before = dict(tunnel.settings)
        tunnel.start(**settings)
        began = time.monotonic()
        told = tunnel.wait()
        assert words in told, told
        print("%s: %.1f s" % (words, time.monotonic() - began))
        tunnel.settings = before
    # What may change by itself is waited for.
    tunnel.start(target="svc/empty")
    wait_for(lambda: tunnel.told()["trouble"], "kubectl gave up")
    assert "no pod runs that it selects" in tunnel.wait(0.2)
    tunnel.kube.service("empty", {"name": "api", "port": 30650, "targetPort": 1650})
    tunnel.back("a pod is there", NEW, 1)
    tunnel.kube.save(locked=True)
    tunnel.kube.pods()
    wait_for(lambda: "refuses the credentials" in tunnel.told()["trouble"], "what the API server says is told")


def test_what_is_seen_before_anything_is_started(tunnel: Tunnel) -> None:
    assert tunnel.prepare() == ""
    assert "There is no context nope in " in (told := tunnel.prepare(context="nope")) and "it has: tests." in told
    assert "There is no kubectl at /nowhere/kubectl: install it" in tunnel.prepare(kubectl="/nowhere/kubectl")
    assert "There is no kubectl on PATH" in tunnel.prepare(kubectl="kubectl-of-nobody")
    assert "There is no kubeconfig /nowhere/config" in tunnel.prepare(kubeconfig="/nowhere/config")
    assert "it has to be an IP address" in tunnel.prepare(address="localhost")
    config = json.loads(tunnel.kube.kubeconfig.read_text("utf-8"))
    other = tunnel.top / "other"
    other.write_text(json.dumps(config | {"current-context": ""}), "utf-8")
    assert "no current context: name one" in tunnel.prepare(kubeconfig=str(other))
    config["users"][0]["user"] = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "gke"}}
    other.write_text(json.dumps(config), "utf-8")
    assert tunnel.prepare(kubeconfig=str(other)) == ""
    told = tunnel.prepare(kubeconfig=str(other), manager="systemd")
    assert "uses exec" in told and "set pachd_port_forward_user" in told, told
    assert tunnel.prepare(kubeconfig=str(other), manager="systemd", user="somebody") == ""
    other.write_text("{nothing", "utf-8")
    assert "cannot read " in tunnel.prepare(kubeconfig=str(other))


# --- the role ---------------------------------------------------------------------------------------------------------


class Place:
    """Plays of the role, for instances in a directory of the test."""

    def __init__(self, scratch: pathlib.Path, kube: Kube, within: tuple[str, ...] = ()) -> None:
        self.scratch, self.kube, self.within, self.count = scratch, kube, within, 0
        self.dir, self.ports = scratch / "opt" / "tunnels", free_ports(2)
        self.dir.parent.mkdir(parents=True)
        self.variables: dict[str, Any] = {}
        self.settings: dict[str, Any] = {
            "dir": str(self.dir),
            "kubectl": kubectls()[-1],
            "kubeconfig": str(kube.kubeconfig),
            "health_interval": 0.5,
            "health_timeout": 2,
            "wait_timeout": 60,
            "ports": [{"local": self.ports[0], "remote": 30650}],
        }

    def steps(self, *options: str, each: Iterable[Mapping[str, Any]]) -> list[targets.Step]:
        """Runs the role once for each of these settings (variables without their prefix); second: for another
        instance too."""
        self.count += 1
        given = []
        for one in each:
            settings = {**self.settings, **one}
            second = settings.pop("second", False)
            given.append([{"pachd_port_forward_" + name: value for name, value in settings.items()}])
            if second:
                ports = [{"local": self.ports[1], "remote": "api-grpc-port"}]
                other = {"pachd_port_forward_name": "second", "pachd_port_forward_ports": ports}
                given[-1].append({**given[-1][0], **other})
        run = self.scratch / ("run%d" % self.count)
        began = time.monotonic()
        self.ran, steps = targets.run_steps(ROLE, given, run, *options, variables=self.variables, within=self.within)
        print("run %d, %d plays: %.1f s" % (self.count, len(given), time.monotonic() - began))
        assert SECRET not in self.ran.output and SECRET not in json.dumps([row.result for row in self.ran.rows])
        return steps

    def goods(self, *options: str, each: Iterable[Mapping[str, Any]] = ({}, {})) -> list[int]:
        """Runs the role several times, which all have to succeed; the numbers of tasks that changed something."""
        steps = self.steps(*options, each=each)
        assert self.ran.code == 0 and not any(step.failed for step in steps), self.ran.output
        return [step.changed for step in steps]

    def good(self, *options: str, **settings: Any) -> int:
        """Runs the role, which has to succeed; the number of tasks that changed something."""
        return self.goods(*options, each=[settings])[0]

    def version(self, which: int = 0) -> str:
        """What answers at a local port, "" when nothing does."""
        done = subprocess.run(
            [sys.executable, "-c", ASK, str(FILES), str(self.ports[which])], capture_output=True, text=True, check=False
        )
        return done.stdout.strip()


ASK = "import sys; sys.path.insert(0, sys.argv[1]); sys.dont_write_bytecode = True; import pachd_forward; "
ASK += "print(pachd_forward.ask('127.0.0.1', int(sys.argv[2]), 'version', 5))"


def test_a_life_in_the_background(tmp_path: pathlib.Path, kube: Kube) -> None:
    place = Place(tmp_path / "place", kube)
    place.settings["service_manager"] = "background"
    try:
        assert place.good("--check", "--diff") > 0 and not place.dir.exists()
        new, same = place.goods("--diff", each=({"second": True}, {"second": True}))
        assert new > 0 and (place.version(0), place.version(1)) == (NEW, NEW)
        tunnels = kube.forwards()
        assert same == 0 and tunnels == 2, "started again for nothing"
        assert place.good("--check", "--diff", health_timeout=3) == 2, "the settings, and the keeper"
        secret = {"environment": {"HTTPS_PROXY": SECRET}}
        lost, missing, stopped = place.steps(
            each=({"context": "nope"}, {"target": "svc/nope", **secret}, {"state": "stopped"})
        )
        assert lost.failed and "pachd_port_forward pachd: There is no context nope in " in lost.why, lost.why
        words = missing.why
        assert missing.failed, place.ran.output
        assert "pachd_port_forward pachd (svc/nope, namespace pach, context tests): kubectl ended" in words, words
        assert 'services "nope" not found' in words and "keeper.log" in words and kube.forwards() == tunnels, words
        assert (stopped.failed, stopped.changed) == (False, 1), place.ran.output
        assert not place.version(0) and place.version(1) == NEW
        gone = {"state": "absent"}
        assert place.goods(each=({**gone, "second": True}, gone)) == [3, 0]
        assert not place.version(1) and not place.dir.exists()
    finally:
        for name in ("pachd", "second"):
            end(place.dir / name)


def end(home: pathlib.Path) -> None:
    """Ends a keeper in the background, in case a test failed before it did."""
    command = [sys.executable, "-B", str(FILES / PROGRAMS[1]), "stop", "--home", str(home)]
    subprocess.run(command, check=False, capture_output=True)


@pytest.fixture(scope="module")
def machine(pachds: dict[str, Pachd]) -> Iterator[tuple[Booted, Kube]]:
    """A systemd, and a cluster that it can reach."""
    need_booted()
    with booted() as found, cluster(found.shared / "cluster", pachds) as kube:
        yield found, kube


def test_a_life_under_systemd(machine: tuple[Booted, Kube], pachds: dict[str, Pachd]) -> None:
    inside, kube = machine
    place = Place(inside.shared / "system", kube, tuple(inside.enter))
    # The interpreter of these tests may lie where only its owner gets to.
    place.settings |= {"dir": "", "python": "/usr/bin/python3"}
    unit = "pachd-port-forward-pachd.service"
    began = kube.forwards()
    new, same = place.goods("--diff")
    assert new > 5 and place.version() == NEW
    assert same == 0 and kube.forwards() == began + 1
    assert [inside.show(unit, name) for name in ("ActiveState", "UnitFileState", "NRestarts", "StatusText")] == [
        "active",
        "enabled",
        "0",
        "answers: " + NEW,
    ]
    status = pathlib.Path("/proc/%d/status" % host_pid(inside, unit)).read_text()
    assert "CapEff:\t0000000000000000" in status and "NoNewPrivs:\t1" in status and "Uid:\t0" not in status
    checked = inside.run("systemd-analyze", "verify", "/etc/systemd/system/" + unit)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    judged = inside.run("systemd-analyze", "security", "--no-pager", "--threshold=20", unit)
    assert judged.returncode == 0, judged.stdout
    print(judged.stdout.splitlines()[-1])

    at = time.monotonic()
    kube.pods(pachd_1=pachds[OLD].target)
    wait_for(lambda: place.version() == OLD, "the other pod answers")
    print("the pod was replaced: %.1f s" % (time.monotonic() - at))
    assert inside.show(unit, "NRestarts") == "0"
    at = time.monotonic()
    inside.run("systemctl", "kill", "-s", "KILL", unit)
    wait_for(lambda: inside.show(unit, "NRestarts") == "1" and place.version(), "systemd starts the keeper again")
    print("all was killed: %.1f s" % (time.monotonic() - at))
    kube.pods(pachd_0=pachds[NEW].target)
    # As a user of the host, who reads the kubeconfig itself.
    assert place.good(user="daemon") > 0 and place.version() == NEW
    assert inside.show(unit, "User") == "daemon" and inside.show(unit, "DynamicUser") == "no"
    assert inside.run("ls", "/var/lib/pachd-port-forward/pachd/kubeconfig").returncode != 0
    # Kept by other means from now on.
    assert place.good(service_manager="background") > 0 and place.version() == NEW
    assert inside.run("systemctl", "cat", unit).returncode != 0
    assert place.good(state="absent") == 2 and not place.version()
    assert inside.run("ls", "/var/lib/pachd-port-forward").returncode != 0


def host_pid(inside: Booted, unit: str) -> int:
    """The keeper's process id, as seen from here."""
    number = inside.show(unit, "MainPID")
    for path in pathlib.Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            line = next(line for line in path.read_text().splitlines() if line.startswith("NSpid:"))
            if line.split()[2:] == [number]:
                return int(path.parent.name)
    raise LookupError(unit)


def test_a_life_as_a_user_unit(machine: tuple[Booted, Kube]) -> None:
    inside, kube = machine
    assert inside.run("useradd", "--create-home", "alice").returncode == 0
    place = Place(inside.shared / "user", kube, tuple(inside.enter))
    place.settings |= {"dir": "", "python": "/usr/bin/python3"}
    place.variables = {"ansible_become": True, "ansible_become_user": "alice", "ansible_become_method": "su"}
    place.variables["ansible_python_interpreter"] = "/usr/bin/python3"
    unit, user = "pachd-port-forward-pachd.service", inside.run("id", "-u", "alice").stdout.strip()
    # Who lingers already gets it by "auto".
    new, same = place.goods("--diff", each=({"service_manager": "systemd_user"}, {}))
    assert new > 0 and same == 0 and place.version() == NEW
    assert inside.run("ls", "/var/lib/systemd/linger/alice").returncode == 0

    def alice(*command: str) -> subprocess.CompletedProcess[str]:
        env = ("env", "HOME=/home/alice", "XDG_RUNTIME_DIR=/run/user/" + user)
        return inside.run("runuser", "-u", "alice", "--", *env, *command)

    def show(name: str) -> str:
        return alice("systemctl", "--user", "show", "-P", name, unit).stdout.strip()

    told = [show(name) for name in ("ActiveState", "UnitFileState", "NRestarts", "StatusText")]
    assert told == ["active", "enabled", "0", "answers: " + NEW]
    assert inside.run("systemctl", "cat", unit).returncode != 0, "that is no unit of the system"
    checked = alice("systemd-analyze", "--user", "verify", "/home/alice/.config/systemd/user/" + unit)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    at = time.monotonic()
    assert inside.run("kill", "-KILL", show("MainPID")).returncode == 0
    wait_for(lambda: show("NRestarts") == "1" and place.version(), "alice's systemd starts the keeper again")
    print("alice's keeper was killed: %.1f s" % (time.monotonic() - at))
    assert place.good(state="absent") > 0 and not place.version()
    assert inside.run("ls", "/home/alice/.local/share/pachd-port-forward").returncode != 0
