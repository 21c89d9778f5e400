# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rows of the benchmark stand on: a server, directories, processes that are timed, and the peers' own venv."""

from __future__ import annotations

import contextlib
import dataclasses as dc
import functools
import json
import os
import pathlib
import pwd
import random
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.polystore.storage.tests.support import alluxio_real, memory, targets
from ansible_collections.polystore.storage.tests.support.fdfs import FdfsServer, start_fdfs
from ansible_collections.polystore.storage.tests.support.pegasus import PegasusServer, start_pegasus
from ansible_collections.polystore.storage.tests.support.servers import SwiftServer, start_pachd, start_swift

HERE = pathlib.Path(__file__).resolve().parent
MIB = 1024 * 1024
# openstack.cloud 2.5 has lost functions it calls with newer SDKs; python-swiftclient brings keystoneauth's v1password.
PEERS = ("ansible>=12,<13", "openstacksdk<4.15", "python-swiftclient")


class Missing(Exception):
    """A peer is not on this machine; the text says why."""


@dc.dataclass(frozen=True)
class Sample:
    """One measured value. what: the line of the table; budget: the most it may be, if there is one."""

    what: str
    value: float
    unit: str = "x"
    budget: float | None = None


@dc.dataclass
class Spent:
    """What a process cost: seconds, and the peak of its memory in MiB."""

    seconds: float
    peak: float
    output: str


class Bench:
    """The machine of one benchmark. directory: where files lie; they go when it ends."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.scratch = directory  # of the last play
        self._count = 0

    @functools.cached_property
    def server(self) -> SwiftServer:
        """A real Swift, started when it is first asked for."""
        return start_swift()

    @functools.cached_property
    def alluxio(self) -> str:
        """The proxy's address of a real Alluxio 2.9.6. Raises Missing."""
        try:
            url: str = alluxio_real.launch("2.9.6").direct_url
            return url
        except (OSError, RuntimeError) as reason:
            raise Missing("no real Alluxio: %s" % reason) from None

    @functools.cached_property
    def pachd(self) -> str:
        """The address of a pachd: the one in PACHD_ADDRESS, else the sandbox's."""
        if os.environ.get("PACHD_ADDRESS"):
            return os.environ["PACHD_ADDRESS"]
        return str(start_pachd().connection()["address"])

    @functools.cached_property
    def fdfs(self) -> FdfsServer:
        """The sandbox's FastDFS, 6.16.1."""
        return start_fdfs()

    @functools.cached_property
    def pegasus(self) -> PegasusServer:
        """The Pegasus at PEGASUS_META_SERVERS, else the sandbox's."""
        return start_pegasus()

    @functools.cached_property
    def env(self) -> dict[str, str]:
        """The environment of all that runs here."""
        return {**os.environ, **self.server.environment(), "ANSIBLE_PIPELINING": "false"}

    def name(self, word: str) -> str:
        """A new name for a container."""
        self._count += 1
        return "bench-%s-%d" % (word, self._count)

    def play(
        self, tasks: list[dict[str, Any]], python: str = sys.executable, hosts: int = 1, **more: str
    ) -> targets.Ran:
        """Runs a play of these tasks; python: whose Ansible; hosts: on how many names of this machine; more: variables.

        Ansible's defaults, so no pipelining.
        """
        scratch = self.scratch = self.directory / self.name("play")
        scratch.mkdir(parents=True)
        playbook, inventory = scratch / "play.json", scratch / "inventory"
        playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]), "utf-8")
        line = "host%%d ansible_connection=local ansible_python_interpreter=%s\n" % python
        inventory.write_text("".join(line % number for number in range(hosts)), "utf-8")
        record = scratch / "record.jsonl"
        env = {**targets.environment(scratch, self.server.environment()), "POLYSTORE_RECORD": str(record)}
        env.update(ANSIBLE_PIPELINING="false", **more)
        if python != sys.executable:
            env.pop("ANSIBLE_COLLECTIONS_PATH")
            env.pop("PYTHONPATH", None)
        command = [python, "-m", "ansible", "playbook", "-i", str(inventory), str(playbook)]
        done = subprocess.run(command, env=env, cwd=scratch, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Missing("a playbook failed:\n%s" % (done.stdout + done.stderr)[-3000:])
        rows = [targets.Row(**json.loads(line)) for line in record.read_text("utf-8").splitlines()]
        return targets.Ran(0, done.stdout, rows)

    def work(self, *rows: Sequence[Any]) -> list[dict[str, Any]]:
        """Runs modules in one process of their own; see worker.py."""
        tasks = [[row[0], row[1], bool(row[2]) if len(row) > 2 else False] for row in rows]
        command = [sys.executable, str(HERE / "worker.py")]
        env = {**self.env, "PYTHONPATH": str(targets.COLLECTION.parents[2])}
        done = subprocess.run(command, input=json.dumps(tasks), env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Missing("%s: %s" % ([row[0] for row in rows], done.stderr[-3000:]))
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found

    def spend(self, *command: str | pathlib.Path, env: Mapping[str, str] | None = None) -> Spent:
        """Runs another tool, through a small process: a child of this one would be counted with this one's memory.

        Raises Missing with its words when it fails.
        """
        log, told = self.directory / "tool.log", self.directory / "tool.json"
        with log.open("wb") as output:
            done = subprocess.run(
                [sys.executable, "-I", "-S", memory.__file__, str(told), *map(str, command)],
                env={**self.env, **(env or {})},
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                check=False,
            )
        words = log.read_text("utf-8", "replace")
        if done.returncode:
            raise Missing("%s failed: %s" % (command[0], words[-2000:]))
        return Spent(**json.loads(told.read_text("utf-8")), output=words)

    # --- files -------------------------------------------------------------------------------------------------------

    def tree(self, count: int, size: int) -> pathlib.Path:
        """A directory with so many files of so many random bytes, made once."""
        top = self.directory / ("tree-%d-%d" % (count, size))
        if not top.exists():
            source = random.Random(count)
            for number in range(count):
                path = top / ("d%03d" % (number // 100)) / ("f%05d" % number)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(source.randbytes(size))
        return top

    def large(self, mib: int = 1024) -> pathlib.Path:
        """A file of random bytes, made once."""
        path = self.directory / ("large-%d" % mib)
        if not path.exists():
            with path.open("wb") as file:
                for _part in range(mib):
                    file.write(os.urandom(MIB))
        return path

    @staticmethod
    def touch_one_byte(path: pathlib.Path) -> None:
        """Changes one byte in the middle of a file."""
        with path.open("r+b") as file:
            file.seek(path.stat().st_size // 2)
            old = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([old[0] ^ 1]))

    def received(self, mark: int) -> float:
        """MiB that the server was sent since a mark of its log."""
        return sum(entry["bytes_in"] or 0 for entry in self.server.requests(mark)) / MIB

    # --- peers -------------------------------------------------------------------------------------------------------

    def swift(self, *words: str | pathlib.Path) -> Spent:
        """The swift command of python-swiftclient."""
        return self.spend(sys.executable, "-m", "swiftclient.shell", *words)

    def rclone(self, *words: str | pathlib.Path) -> Spent:
        """Debian's rclone; "s:" is the server."""
        auth = self.server.environment()
        env = {
            "RCLONE_CONFIG": os.devnull,
            "RCLONE_CONFIG_S_TYPE": "swift",
            "RCLONE_CONFIG_S_AUTH": auth["ST_AUTH"],
            "RCLONE_CONFIG_S_USER": auth["ST_USER"],
            "RCLONE_CONFIG_S_KEY": auth["ST_KEY"],
            "RCLONE_CONFIG_S_AUTH_VERSION": "1",
        }
        return self.spend(rclone(), *words, env=env)

    def openstack(self, module: str, **args: Any) -> dict[str, Any]:
        """A task of openstack.cloud, connected to the server."""
        auth = self.server.environment()
        login = {"auth_url": auth["ST_AUTH"], "username": auth["ST_USER"], "password": auth["ST_KEY"]}
        return {"openstack.cloud." + module: {"auth_type": "v1password", "auth": login, **args}}


_FOUND: dict[str, str] = {}


def rclone() -> str:
    """The path of rclone, from Debian's package when it can be had. Raises Missing."""
    if "rclone" not in _FOUND:
        if shutil.which("rclone") is None and shutil.which("apt-get") and os.geteuid() == 0:
            print("Installing Debian's rclone ...", file=sys.stderr, flush=True)
            with contextlib.suppress(subprocess.SubprocessError):
                for words in (["update"], ["install", "-y", "--no-install-recommends", "rclone"]):
                    subprocess.run(["apt-get", "-qq", *words], capture_output=True, check=True, timeout=300)
        _FOUND["rclone"] = shutil.which("rclone") or ""
    if not _FOUND["rclone"]:
        raise Missing("rclone is not installed (Debian: apt-get install rclone)")
    return _FOUND["rclone"]


def openstack_python() -> str:
    """The interpreter of a venv with openstack.cloud. Raises Missing."""
    return peer_python("openstack", PEERS)


def pachyderm_python() -> str:
    """The interpreter of a venv with Pachyderm's official SDK. Raises Missing."""
    command = [sys.executable, str(targets.COLLECTION / "tools" / "venvs.py"), "pachyderm-sdk"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Missing("pachyderm-sdk cannot be installed: %s" % done.stderr[-500:])
    return done.stdout.strip()


def peer_python(name: str, packages: Sequence[str]) -> str:
    """The interpreter of a venv with these packages, built in the cache when it is missing. Raises Missing."""
    home = pathlib.Path(pwd.getpwuid(os.getuid()).pw_dir)
    cache = pathlib.Path(os.environ.get("POLYSTORE_CACHE") or home / ".cache" / "polystore.storage")
    version = "%d.%d" % sys.version_info[:2]
    place = cache / "peers" / ("%s-py%s" % (name, version))
    python, ready = place / "bin" / "python", place / ".ready"
    if not ready.exists():
        print("Building %s (once, some minutes) ..." % place, file=sys.stderr, flush=True)
        shutil.rmtree(place, ignore_errors=True)
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        for command in (
            [sys.executable, "-m", "venv", str(place)],
            [str(python), "-m", "pip", "install", "-q", *packages],
        ):
            done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
            if done.returncode:
                raise Missing("%s cannot be installed: %s" % (packages[0], done.stderr[-500:]))
        ready.touch()
    return str(python)
