# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the documentation site with antsibull-docs and sphinx: python tools/docs.py. A warning is an error."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zlib

from paths import BUILD, ROOT, environment
from stage import collections_path, tree
from venvs import venv

SITE = ROOT / "docs" / "build" / "html"
ANSIBLE = "https://docs.ansible.com/projects/ansible/latest/"
# The pages of Ansible's own documentation that the generated ones refer to, so that no network is needed.
LABELS = {
    "ansible_configuration_settings": "reference_appendices/config.html",
    "action_plugins": "plugins/action.html",
    "common_return_values": "reference_appendices/common_return_values.html",
    "ansible_variable_precedence": "reference_appendices/general_precedence.html",
    "playbooks_lookups": "playbook_guide/playbooks_lookups.html",
    "playbooks_filters": "playbook_guide/playbooks_filters.html",
    "module_defaults": "playbook_guide/playbooks_module_defaults.html",
    "terminology": "reference_appendices/glossary.html",
}
SETTINGS = """
html_title = title = html_short_title = "polystore.storage"
copyright = "polystore.storage contributors"
intersphinx_mapping = {"ansible": ("%s", "ansible.inv")}
"""


def inventory() -> bytes:
    """LABELS as a Sphinx inventory."""
    head = b"# Sphinx inventory version 2\n# Project: ansible\n# Version:\n"
    head += b"# The remainder of this file is compressed using zlib.\n"
    lines = ["%s std:label -1 %s %s\n" % (label, page, label) for label, page in LABELS.items()]
    return head + zlib.compress("".join(lines).encode())


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
            if code := subprocess.run(command, cwd=work, env=env, check=False).returncode:
                return code
            if command is sphinx_init:
                (work / "rst" / "ansible.inv").write_bytes(inventory())
                with (work / "conf.py").open("a", encoding="utf-8") as settings:
                    settings.write(SETTINGS % ANSIBLE)
    shutil.copytree(work / "build" / "html", SITE)
    print("The site: %s" % (SITE / "index.html"))
    return 0


if __name__ == "__main__":
    sys.exit(build())
