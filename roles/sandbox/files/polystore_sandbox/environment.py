# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual environment that the servers run in; the standard library alone makes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from polystore_sandbox.home import SandboxError
from polystore_sandbox.registry import find_all

_LACKING = "import importlib.util, sys; print(*[n for n in sys.argv[1:] if not importlib.util.find_spec(n)])"


def install(folder: str, wanted: list[str], check: bool = False) -> dict[str, Any]:
    """Installs what the services need and the environment lacks; an environment that lacks nothing is left alone.

    Services that need nothing run with this interpreter, without an environment.
    Raises SandboxError with pip's words.
    """
    venv = Path(folder).expanduser().absolute()
    python = venv / "bin" / "python"
    requirements = {name: text for service in find_all(wanted) for name, text in service.requirements.items()}
    if not requirements:
        return {"changed": False, "installed": [], "python": sys.executable}
    lacking = list(requirements)
    if python.exists():
        lacking = run([str(python), "-c", _LACKING, *requirements]).split()
    packages = [requirements[name] for name in lacking]
    result = {"changed": bool(lacking), "installed": packages, "python": str(python)}
    if not lacking or check:
        return result
    if venv.exists() and not (venv / "pyvenv.cfg").exists():
        raise SandboxError(f"{venv} is no virtual environment, so nothing is installed into it")
    if not python.exists():
        run([sys.executable, "-m", "venv", str(venv)])
    run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages])
    return result


def run(command: list[str]) -> str:
    """What the command printed; SandboxError with its last words when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    if done.returncode:
        raise SandboxError(f"{' '.join(command)} failed:\n{(done.stderr or done.stdout)[-3000:]}")
    return done.stdout
