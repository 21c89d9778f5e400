# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real systemd as PID 1 in namespaces of its own, for tests of units. Needs root; the network is the machine's."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.polystore.storage.tests.support.waiting import wait_for

SCRIPT = Path(__file__).with_name("booted.sh")
PROGRAMS = ("unshare", "nsenter", "systemctl", "systemd-analyze", "mount", "pivot_root")


def need_booted() -> None:
    """Skips the test where systemd cannot be booted; in CI that is a failure."""
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    reason = "systemd in namespaces needs %s" % (", ".join(missing) if missing else "root")
    if not missing and os.geteuid() == 0:
        return
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(reason)
    pytest.skip(reason)


class Booted:
    """shared: a directory that is the same inside and outside; enter: the words before a command to run it inside."""

    def __init__(self, shared: Path, pid: int) -> None:
        self.shared, self.enter = shared, ["nsenter", "-t", str(pid), "-a", "--"]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs a command inside."""
        return subprocess.run(
            [*self.enter, *command], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )

    def show(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", "-P", name, unit).stdout.strip()


def _join(group: Path) -> None:
    """In the new process: into the group, and to end with us."""
    (group / "cgroup.procs").write_text(str(os.getpid()))
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _child(pid: int) -> int:
    words = Path("/proc/%d/task/%d/children" % (pid, pid)).read_text().split()
    return int(words[0]) if words else 0


@contextlib.contextmanager
def booted() -> Iterator[Booted]:
    """Boots, waits until all that starts has started, and removes every trace in the end."""
    # Not below /tmp, where a boot likes to tidy up.
    shared = Path(tempfile.mkdtemp(prefix="polystore-booted-", dir="/var/tmp"))
    shared.chmod(0o755)
    tree = Path("/sys/fs/cgroup/unified")
    group = (tree if tree.is_dir() else tree.parent) / shared.name
    group.mkdir()
    command = ["unshare", "--pid", "--mount", "--fork", "--cgroup", "--uts", "--ipc", "--kill-child"]
    command += ["--propagation", "private", "--", "sh", str(SCRIPT), str(shared)]
    with (shared / "boot.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=lambda: _join(group),
            start_new_session=True,
        )
    try:
        inside = Booted(shared, wait_for(lambda: _child(process.pid), "the first process inside"))

        def up() -> bool:
            if process.poll() is not None:
                raise RuntimeError("systemd ended: " + (shared / "boot.log").read_text("utf-8", "replace"))
            return inside.run("systemctl", "is-system-running").stdout.strip() in ("running", "degraded")

        wait_for(up, "systemd has booted")
        yield inside
    finally:
        process.kill()
        process.wait()
        wait_for(lambda: _emptied(group), "the processes inside have ended")
        shutil.rmtree(shared, ignore_errors=True)


def _emptied(group: Path) -> bool:
    """Removes a group and those below it; False while a process is in one of them."""
    if not group.exists():
        return True
    for folder, _names, _files in os.walk(group, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    return not group.exists()
