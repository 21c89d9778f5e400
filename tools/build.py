# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the collection's tarball from the staged tree: python tools/build.py prints its path."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import sys

from paths import BUILD, environment
from stage import tree
from venvs import venv


def build(collection: pathlib.Path) -> pathlib.Path:
    """The tarball made of a staged collection. Raises SystemExit with ansible-galaxy's words."""
    interpreter = venv("lint")
    output = BUILD / ("tarball-%s" % collection.parents[2].name)
    shutil.rmtree(output, ignore_errors=True)
    command = [str(interpreter.parent / "ansible-galaxy"), "collection", "build", "--output-path", str(output)]
    done = subprocess.run(
        command, cwd=collection, env=environment(interpreter), check=False, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return next(output.glob("*.tar.gz"))


if __name__ == "__main__":
    with tree() as staged:
        print(build(staged))
