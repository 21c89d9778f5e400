# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are: the checkout, the cache, and an environment that the user's own settings do not reach."""

from __future__ import annotations

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / ".build"
REPORTS = BUILD / "reports"
CACHE = pathlib.Path(os.environ.get("POLYSTORE_CACHE") or pathlib.Path.home() / ".cache" / "polystore.storage")

# What a developer may have exported for their own clouds and playbooks; nothing here may depend on it.
FOREIGN = ("ANSIBLE_", "OS_", "ST_", "ALLUXIO_", "PACHD_", "PACH_", "FDFS_", "PEGASUS_", "SWIFT_")


def environment(python: pathlib.Path | None = None, home: pathlib.Path | None = None) -> dict[str, str]:
    """The caller's environment without foreign settings, with the venv of `python` first on PATH and a HOME of its own.

    python: an interpreter inside a venv, or None to leave PATH alone.
    home: where HOME and ANSIBLE_HOME lie; default a directory of the build, so that ~/.ansible stays untouched.
    """
    env = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
    for key in (
        "PYTHONPATH",
        "PYTHONHOME",
        "VIRTUAL_ENV",
        "MAKEFLAGS",
        "MFLAGS",
        "MAKELEVEL",
        "PYTHONDONTWRITEBYTECODE",
    ):
        env.pop(key, None)
    home = home or BUILD / "home"
    home.mkdir(parents=True, exist_ok=True)
    env.update(HOME=str(home), ANSIBLE_HOME=str(home / ".ansible"), LC_ALL="C.UTF-8", PYTHONUTF8="1")
    env["ANSIBLE_DEPRECATION_WARNINGS"] = "false"
    env["ANSIBLE_PYTHON_INTERPRETER"] = str(python) if python else "auto_silent"
    if python:
        env["PATH"] = "%s%s%s" % (python.parent, os.pathsep, env.get("PATH", os.defpath))
    return env
