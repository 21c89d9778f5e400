# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual environments outside the checkout, one for each set of pinned requirements and interpreter.

    python tools/venvs.py NAME [--core 2.19]     builds it when it is missing and prints its interpreter

A venv is named by a hash of everything that decides its content, so a changed pin makes a new one and an old
checkout keeps its own. It is built in place (venvs cannot be moved) and counts only once its stamp is there.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

from paths import CACHE, ROOT, environment

REQUIREMENTS = ROOT / "tools" / "requirements"
CORE = "core"  # stands for core-<version>.txt

ENVIRONMENTS: dict[str, tuple[str, ...]] = {
    "quickstart": (CORE, "runtime", "server"),
    "test": (CORE, "runtime", "server", "test"),
    "core": (CORE,),
    "keystone": ("server", "runtime", "keystone"),  # the stand-in for pachd needs grpcio too
    "target": ("target",),
    "alluxio-client": ("alluxio-client",),
    "pachyderm-sdk": ("pachyderm-sdk",),
    "python-pachyderm": ("python-pachyderm",),
    "pypegasus3": ("pypegasus3",),
    "lint": (CORE, "runtime", "test", "lint"),
    "ansible-lint": ("ansible-lint",),
    "galaxy-importer": ("galaxy-importer",),
    "docs": (CORE, "docs"),
    "changelog": ("changelog",),
}


def default_core(python: str = sys.executable) -> str:
    """The ansible-core of a command that is not told: 2.19, or 2.21 where the interpreter is too new for that."""
    minor = version_of(python)[1]
    return "2.19" if minor <= 13 else "2.21"


def version_of(python: str) -> tuple[int, ...]:
    """(major, minor, micro) of an interpreter."""
    if python == sys.executable:
        return sys.version_info[:3]
    code = "import platform; print(platform.python_version())"
    answer = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout
    return tuple(int(part) for part in answer.strip().split(".")[:3])


@contextlib.contextmanager
def locked(path: pathlib.Path) -> Iterator[None]:
    """Holds an exclusive lock on a file, waiting for whoever has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="ascii") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def venv(name: str, core: str | None = None, python: str = sys.executable) -> pathlib.Path:
    """The interpreter of the venv `name`, built first when it is not there. Two runs may ask at once.

    core: ansible-core's "major.minor"; its exact version stands in tools/requirements/core-<core>.txt.
    Raises SystemExit with pip's own last words when it cannot be built.
    """
    core = core or default_core(python)
    parts = ENVIRONMENTS[name]
    label = "%s-%s" % (name, core) if CORE in parts else name
    files = [REQUIREMENTS / ("%s.txt" % (("core-" + core) if part == CORE else part)) for part in parts]
    version = ".".join(map(str, version_of(python)))
    recipe = "\n".join(["1", version, platform.machine(), *(file.read_text("utf-8") for file in files)])
    key = hashlib.sha256(recipe.encode()).hexdigest()[:12]
    place = CACHE / "venvs" / ("%s-py%s-%s" % (label, version, key))
    ready, interpreter = place / ".ready", place / "bin" / "python"
    if not ready.exists():
        with locked(place.with_name(place.name + ".lock")):
            if not ready.exists():
                _build(place, python, files)
                ready.touch()
    return interpreter


def _build(place: pathlib.Path, python: str, files: list[pathlib.Path]) -> None:
    started = time.monotonic()
    print("Building %s (once) ..." % place.name, file=sys.stderr, flush=True)
    shutil.rmtree(place, ignore_errors=True)
    env = dict(os.environ) | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
    env.pop("PYTHONPATH", None)
    log = place.with_name(place.name + ".log")
    pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    steps = [[python, "-m", "venv", str(place)], [*pip, *(word for file in files for word in ("-r", str(file)))]]
    with log.open("w", encoding="utf-8") as output:
        for step in steps:
            if subprocess.run(step, env=env, stdout=output, stderr=subprocess.STDOUT, check=False).returncode:
                tail = log.read_text("utf-8", errors="replace").strip().splitlines()[-12:]
                sys.exit("Could not build %s:\n  %s\nThe whole log: %s" % (place.name, "\n  ".join(tail), log))
    print("Built %s in %.0f s" % (place.name, time.monotonic() - started), file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(ENVIRONMENTS))
    parser.add_argument("--core")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("command", nargs="*", help="run this in the venv instead of printing its interpreter")
    wanted = parser.parse_args()
    interpreter = venv(wanted.name, wanted.core, wanted.python)
    if wanted.command:
        line = [str(interpreter), *wanted.command]
        sys.exit(subprocess.run(line, env=environment(interpreter), check=False).returncode)
    print(interpreter)


if __name__ == "__main__":
    main()
