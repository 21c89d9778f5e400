# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs every linter and says how each one fared: python tools/lint.py [NAME ...]. Exits 1 when any found something.

Two run at a time. What a failed one said is printed; of the others only the time.
"""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable

from build import build
from paths import ROOT, environment
from stage import collections_path, tree
from venvs import venv

Said = tuple[int, str]
ROLES = ("roles/sandbox/files", "roles/alluxio_proxy/files", "roles/pachd_port_forward/files")
TYPED = ("plugins", "tools", "tests/support", *ROLES)


def tool(name: str, *command: str, cwd: pathlib.Path, **extra: str) -> Said:
    """Runs a command of the venv `name` with extra variables; (exit code, what it said)."""
    interpreter = venv(name)
    line = [str(interpreter.parent / command[0]), *command[1:]]
    env = environment(interpreter) | extra
    done = subprocess.run(line, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout.decode("utf-8", "replace")


def mypy(collection: pathlib.Path) -> Said:
    """mypy --strict over everything that is typed, in the staged tree, where ansible_collections.* can be found."""
    top = pathlib.Path(collections_path(collection))
    bases = [collection / "tools", *(collection / "roles").glob("*/files")]
    paths = [str(collection / path) for path in TYPED if (collection / path).is_dir()]
    options = ["--config-file", str(collection / "pyproject.toml"), "--cache-dir", str(ROOT / ".mypy_cache")]
    return tool("lint", "mypy", *options, *paths, cwd=top, MYPYPATH=os.pathsep.join(map(str, bases)))


def antsibull_docs(collection: pathlib.Path) -> Said:
    """The documentation of every plugin, and the guides."""
    command = ["antsibull-docs", "lint-collection-docs", "--plugin-docs", "--skip-rstcheck", "."]
    return tool("docs", *command, cwd=collection, ANSIBLE_COLLECTIONS_PATH=collections_path(collection))


def ansible_lint(collection: pathlib.Path) -> Said:
    """ansible-lint, which takes an unknown module for an error: so the collection is on its path."""
    options = ["--offline", "--profile", "production", "--strict", "--nocolor"]
    path = collections_path(collection)
    return tool("ansible-lint", "ansible-lint", *options, cwd=collection, ANSIBLE_COLLECTIONS_PATH=path)


def galaxy_importer(collection: pathlib.Path) -> Said:
    """galaxy-importer on a tarball. It exits 0 with warnings; here they count as findings."""
    tarball = build(collection)
    code, said = tool("galaxy-importer", "python", "-m", "galaxy_importer.main", str(tarball), cwd=tarball.parent)
    bad = [line for line in said.splitlines() if line.startswith(("WARNING", "ERROR"))]
    return code or int(bool(bad)), said


def checks(collection: pathlib.Path) -> dict[str, Callable[[], Said]]:
    """Every linter by name, the slow ones first."""

    def script(name: str, *options: str) -> Said:
        return tool("lint", "python", str(ROOT / "tools" / name), *options, cwd=ROOT)

    return {
        "ansible-lint": lambda: ansible_lint(collection),
        "galaxy-importer": lambda: galaxy_importer(collection),
        "mypy --strict": lambda: mypy(collection),
        "antsibull-docs": lambda: antsibull_docs(collection),
        "ruff check": lambda: tool("lint", "ruff", "check", "--output-format=concise", ".", cwd=ROOT),
        "ruff format": lambda: tool("lint", "ruff", "format", "--check", ".", cwd=ROOT),
        "house": lambda: script("house.py"),
        "generated files": lambda: script("generate.py", "--check"),
        "yamllint": lambda: tool("lint", "yamllint", "--strict", ".", cwd=collection),
        "changelog": lambda: tool("changelog", "antsibull-changelog", "lint", cwd=collection),
    }


def timed(check: Callable[[], Said]) -> tuple[int, str, float]:
    started = time.monotonic()
    try:
        code, said = check()
    except SystemExit as stopped:
        code, said = 1, str(stopped.code)
    return code, said, time.monotonic() - started


def main() -> None:
    failed = passed = 0
    with tree() as collection, concurrent.futures.ThreadPoolExecutor(2) as pool:
        every = checks(collection)
        if unknown := set(sys.argv[1:]) - set(every):
            sys.exit("Unknown: %s. Known: %s" % (", ".join(sorted(unknown)), ", ".join(every)))
        jobs = {pool.submit(timed, every[name]): name for name in (sys.argv[1:] or every)}
        for job in concurrent.futures.as_completed(jobs):
            code, said, seconds = job.result()
            failed, passed = failed + bool(code), passed + (not code)
            print("%-7s %-18s %6.1f s" % ("FAILED" if code else "ok", jobs[job], seconds), flush=True)
            if code:
                print("\n".join("        " + line for line in said.strip().splitlines()[-60:]), flush=True)
    print("lint: %d passed, %d failed" % (passed, failed))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
