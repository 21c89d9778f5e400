# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what follows from the modules alone, so that a new module needs no registration by hand.

    python tools/generate.py            writes
    python tools/generate.py --check    writes nothing, names what is not up to date, exits 1 when something is

Made here: plugins/action/<module>.py (not of modules that are action plugins alone), the action groups of
meta/runtime.yml, the table of modules in README.md, and the sandbox's copy of Pachyderm's schema.
"""

from __future__ import annotations

import argparse
import pathlib
import re
import sys

from paths import ROOT

HEADER = """\
# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""

ACTION = (
    HEADER
    + '''\
# Made by tools/generate.py from the module of the same name.

from __future__ import annotations

from ansible_collections.polystore.storage.plugins.modules import %(module)s
from ansible_collections.polystore.storage.plugins.plugin_utils.fastpath import FastPath


class ActionModule(FastPath):
    """Runs polystore.storage.%(module)s in the controller where that is the same thing."""

    module = %(module)s
'''
)

# prefix of a module's name -> (action group, the name people know)
SYSTEMS = {
    "swift": ("swift", "OpenStack Swift"),
    "alluxio": ("alluxio", "Alluxio"),
    "pachyderm": ("pachyderm", "Pachyderm"),
    "fdfs": ("fastdfs", "FastDFS"),
    "pegasus": ("pegasus", "Apache Pegasus"),
    "estate": ("estate", "All of them"),
}
SCHEMA = "plugins/module_utils/pachyderm/schema.py"
SCHEMA_COPY = "roles/sandbox/files/polystore_sandbox/pachyderm/schema.py"
BEGIN, END = "<!-- modules: made by tools/generate.py -->", "<!-- end of modules -->"


def modules(root: pathlib.Path) -> list[str]:
    """The names of the collection's modules, sorted."""
    return sorted(path.stem for path in (root / "plugins" / "modules").glob("*.py") if path.stem != "__init__")


def system(module: str) -> str:
    """The key of SYSTEMS that a module belongs to. Raises SystemExit for a name with an unknown prefix."""
    prefix = module.split("_")[0]
    if prefix not in SYSTEMS:
        raise SystemExit("%s: the name begins with none of %s" % (module, ", ".join(SYSTEMS)))
    return prefix


def alone(root: pathlib.Path, module: str) -> bool:
    """Whether a module is its documentation and an action plugin that is written by hand."""
    return "SUBJECT = " not in (root / "plugins" / "modules" / ("%s.py" % module)).read_text("utf-8")


def summary(root: pathlib.Path, module: str) -> str:
    """A module's short_description."""
    text = (root / "plugins" / "modules" / ("%s.py" % module)).read_text("utf-8")
    found = re.search(r"^short_description: *(.+)$", text, re.MULTILINE)
    return found[1].strip().strip("\"'") if found else ""


def runtime(names: list[str]) -> str:
    """The text of meta/runtime.yml."""
    lines = ["---", "# Made by tools/generate.py.", 'requires_ansible: ">=2.18.0"']
    groups = {SYSTEMS[prefix][0]: [name for name in names if system(name) == prefix] for prefix in SYSTEMS}
    if names:
        lines.append("action_groups:")
    for group, members in groups.items():
        if members:
            lines += ["  %s:" % group, *("    - %s" % name for name in members)]
    return "\n".join(lines) + "\n"


def readme(root: pathlib.Path, names: list[str]) -> str:
    """README.md with its table of modules renewed."""
    rows = ["| Module | What it does |", "|---|---|"]
    for prefix, (_group, title) in SYSTEMS.items():
        members = [name for name in names if system(name) == prefix]
        if members:
            rows.append("| **%s** | |" % title)
            rows += ["| `polystore.storage.%s` | %s |" % (name, summary(root, name)) for name in members]
    old = (root / "README.md").read_text("utf-8")
    table = "%s\n\n%s\n\n%s" % (BEGIN, "\n".join(rows), END)
    return re.sub(re.escape(BEGIN) + ".*?" + re.escape(END), lambda _found: table, old, flags=re.DOTALL)


def wanted(root: pathlib.Path) -> dict[pathlib.Path, str]:
    """Every made file and the text it should hold."""
    names = modules(root)
    actions = root / "plugins" / "action"
    made = {actions / ("%s.py" % name): ACTION % {"module": name} for name in names if not alone(root, name)}
    made[root / "meta" / "runtime.yml"] = runtime(names)
    made[root / "README.md"] = readme(root, names)
    made[root / SCHEMA_COPY] = (root / SCHEMA).read_text("utf-8")
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    made = wanted(ROOT)
    stale = [path for path, text in made.items() if not path.exists() or path.read_text("utf-8") != text]
    known = {"%s.py" % name for name in modules(ROOT)}
    orphans = [path for path in (ROOT / "plugins" / "action").glob("*.py") if path.name not in known]
    for path in stale + orphans:
        print("%s: %s" % (path.relative_to(ROOT), "not up to date" if path in made else "its module is gone"))
        if check:
            continue
        if path in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(made[path], "utf-8")
        else:
            path.unlink()
    if check and (stale or orphans):
        sys.exit("Run: make generate")


if __name__ == "__main__":
    main()
