# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the documentation site with antsibull-docs and sphinx: python tools/docs.py. A warning is an error."""

from __future__ import annotations

import shutil
import subprocess
import sys

from paths import BUILD, ROOT, environment
from stage import collections_path, tree
from venvs import venv

SITE = ROOT / "docs" / "build" / "html"


def build() -> int:
    """Builds docs/build/html; the first failing command's exit code, else 0."""
    interpreter = venv("docs")
    work = BUILD / "docs"
    shutil.rmtree(work, ignore_errors=True)
    shutil.rmtree(SITE, ignore_errors=True)
    work.mkdir(parents=True)
    tools = interpreter.parent
    sphinx_init = [str(tools / "antsibull-docs"), "sphinx-init", "--use-current", "--fail-on-error", "--lenient"]
    sphinx_init += ["--dest-dir", ".", "--squash-hierarchy", "--project", "polystore.storage", "polystore.storage"]
    plugins = [str(tools / "antsibull-docs"), "--config-file", "antsibull-docs.cfg", "collection", "--use-current"]
    plugins += ["--fail-on-error", "--squash-hierarchy", "--dest-dir", "rst", "polystore.storage"]
    sphinx = [str(tools / "sphinx-build"), "-M", "html", "rst", "build", "-c", ".", "-W", "--keep-going", "-q"]
    with tree() as collection:
        env = environment(interpreter) | {"ANSIBLE_COLLECTIONS_PATH": collections_path(collection)}
        for command in (sphinx_init, plugins, sphinx):
            code = subprocess.run(command, cwd=work, env=env, check=False).returncode
            if code:
                return code
    shutil.copytree(work / "build" / "html", SITE)
    print("The site: %s" % (SITE / "index.html"))
    return 0


if __name__ == "__main__":
    sys.exit(build())
