# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which ansible-core runs on which interpreter of this machine."""

from __future__ import annotations

import functools
import pathlib
import re
import shutil
import subprocess
import sys

# ansible-core's controller: the first and the last Python it supports (3.x).
PYTHONS = {"2.18": (11, 13), "2.19": (11, 13), "2.20": (12, 14), "2.21": (12, 14), "2.22": (13, 15)}
CANDIDATES = {"2.22"}  # not stable yet


@functools.cache
def interpreters() -> dict[int, str]:
    """Minor version of each Python 3 found (this one, on PATH, pyenv's) -> its path; those that can make a venv."""
    names = [sys.executable, *(shutil.which("python3.%d" % minor) or "" for minor in range(11, 16))]
    names += [str(path) for path in sorted(pathlib.Path.home().glob(".pyenv/versions/3.*/bin/python3"), reverse=True)]
    found: dict[int, str] = {}
    for name in filter(None, names):
        code = "import sys, venv, ensurepip; print(sys.version_info[1])"
        answer = subprocess.run([name, "-c", code], capture_output=True, text=True, check=False)
        if answer.returncode == 0 and re.fullmatch(r"\d+", answer.stdout.strip()):
            found.setdefault(int(answer.stdout), name)
    return found


def python_for(core: str) -> str | None:
    """The oldest interpreter found here that this ansible-core supports, or None."""
    first, last = PYTHONS[core]
    return next((interpreters()[minor] for minor in range(first, last + 1) if minor in interpreters()), None)


def fitting(core: str | None) -> str:
    """This interpreter, or for a core that it cannot run another one that can."""
    first, last = PYTHONS.get(core or "", (0, 99))
    return sys.executable if first <= sys.version_info[1] <= last else (python_for(core or "") or sys.executable)


def runnable() -> dict[str, str]:
    """Each ansible-core that something here can run -> the interpreter; the oldest first."""
    return {core: python for core in PYTHONS if (python := python_for(core))}


def ends() -> list[str]:
    """The oldest and the newest stable ansible-core that can run here."""
    stable = [core for core in runnable() if core not in CANDIDATES]
    return sorted({stable[0], stable[-1]}, key=list(PYTHONS).index) if stable else []
