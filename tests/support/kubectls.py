# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kubectl programs of this machine."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

GCLOUD = Path("/usr/lib/google-cloud-sdk/bin")
PACKAGE = "kubernetes-client"  # Debian's; 1.20 in Debian 12, which never ends by itself
SECONDS = 120.0


def in_ci() -> bool:
    """Whether what is missing may be fetched, and is a failure else."""
    return os.environ.get("CI", "").lower() in ("true", "1")


def kubectls() -> list[str]:
    """Oldest first, without Debian's; POLYSTORE_KUBECTL (":" between several) names others."""
    if named := os.environ.get("POLYSTORE_KUBECTL"):
        return named.split(":")
    several = sorted(map(str, GCLOUD.glob("kubectl.1.[0-9][0-9]")))
    one = shutil.which("kubectl")
    return several or ([one] if one else [])


def debian() -> list[str]:
    """The kubectl of Debian's package. In CI it is fetched once, and not installed; [] where it cannot be had."""
    cache = Path(os.environ.get("POLYSTORE_CACHE") or Path.home() / ".cache" / "polystore.storage") / PACKAGE
    program = cache / "usr" / "bin" / "kubectl"
    if not program.exists() and in_ci() and shutil.which("apt-get") and shutil.which("dpkg-deb"):
        cache.parent.mkdir(parents=True, exist_ok=True)
        with cache.with_suffix(".lock").open("w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not program.exists():
                with contextlib.suppress(OSError, subprocess.SubprocessError):
                    _fetch(cache)
    return [str(program)] if program.exists() else []


def _fetch(cache: Path) -> None:
    with tempfile.TemporaryDirectory(dir=cache.parent) as name:
        folder = Path(name)
        for command in (["true"], ["apt-get", "-q", "update"]):  # what is known of packages may be old, or nothing
            subprocess.run(command, capture_output=True, timeout=SECONDS, check=True)
            download = ["apt-get", "-q", "download", PACKAGE]
            subprocess.run(download, cwd=folder, capture_output=True, timeout=SECONDS, check=False)
            if found := list(folder.glob("*.deb")):
                unpack = ["dpkg-deb", "-x", str(found[0]), str(folder / "root")]
                subprocess.run(unpack, capture_output=True, timeout=SECONDS, check=True)
                (folder / "root").rename(cache)
                return


def need_kubectl() -> None:
    """Skips the test where there is no kubectl; in CI that is a failure, if the machine's packages have one."""
    if kubectls():
        return
    reason = "there is no kubectl: apt-get install kubernetes-client, or name one as POLYSTORE_KUBECTL"
    if in_ci() and shutil.which("apt-cache"):
        command = ["apt-cache", "policy", "kubectl", PACKAGE]
        told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        if any(line.strip().startswith("Candidate: ") and "(none)" not in line for line in told.splitlines()):
            pytest.fail(reason)
    pytest.skip(reason)
