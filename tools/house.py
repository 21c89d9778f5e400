# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of the house that no other linter knows: python tools/house.py. Exits 1 when one is broken.

Licence headers; files of at most 500 lines and functions of at most 80; the stairs (modules -> resources -> client;
core knows no system, a client knows no Ansible); no swallowed exceptions; modules of at most 45 lines of code besides
their documentation.
"""

from __future__ import annotations

import ast
import pathlib
import re
import sys
from collections.abc import Iterator

from paths import ROOT
from stage import listed

HEADER = (
    "# Copyright: (c) 2026, polystore.storage contributors",
    "# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)",
    "# SPDX-License-Identifier: GPL-3.0-or-later",
)
FILE_LINES, FUNCTION_LINES, MODULE_LINES, MAIN_LINES = 500, 80, 45, 12
COLLECTION = "ansible_collections.polystore.storage.plugins."
UTILS = pathlib.PurePath("plugins/module_utils")
SYSTEMS = {"alluxio", "pachyderm", "fastdfs", "pegasus", "swift"}
CLIENT = {"admin", "auth", "client", "dialect", "ids", "lines", "schema", "wire"}
DOCUMENTS = {"DOCUMENTATION", "EXAMPLES", "RETURN"}
LATER = re.compile(r"\b(TOD[O]|FIXM[E])\b")


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every import; of `from a import b` both a and a.b count as one name a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield from ((node.lineno, "%s.%s" % (base, alias.name)) for alias in node.names)


def forbidden(path: pathlib.PurePath, name: str) -> str:
    """Why a file may not import a name; empty when it may."""
    if name.startswith("."):
        return "imports inside the collection are absolute"
    ours = name[len(COLLECTION) :].split(".") if name.startswith(COLLECTION) else []
    utils = ours[1:] if ours[:1] == ["module_utils"] else []
    system = utils[0] if utils and utils[0] in SYSTEMS else ""
    if path.is_relative_to("plugins/modules"):
        if system and len(utils) > 1 and utils[1] in CLIENT:
            return "a module speaks to resources, not to a client"
        return "a module imports module_utils only" if ours and not utils else ""
    if not path.is_relative_to(UTILS):
        return ""
    if ours and not utils:
        return "module_utils know nothing above them"
    room = path.relative_to(UTILS).parts[0]
    if room == "core":
        return "core knows no system" if system else ""
    if system and system != room:
        return "systems do not know each other"
    if path.stem in CLIENT:
        if name.split(".")[0] == "ansible" or utils[:2] == ["core", "host"]:
            return "a client knows no Ansible"
        if system and len(utils) > 1 and utils[1] not in CLIENT:
            return "a client knows no resources"
    return ""


def swallowed(tree: ast.AST) -> Iterator[int]:
    """Lines of handlers that catch everything and do nothing about it."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        broad = node.type is None or getattr(node.type, "id", "") in {"Exception", "BaseException"}
        if broad and all(isinstance(step, ast.Pass | ast.Continue) for step in node.body):
            yield node.lineno


def code_lines(tree: ast.Module, lines: list[str]) -> int:
    """How many lines of a module file are code: no blank lines, comments, docstrings or documentation constants."""
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            words = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        elif isinstance(node, ast.Assign):
            words = bool({getattr(target, "id", "") for target in node.targets} & DOCUMENTS)
        else:
            continue
        if words:
            skipped |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return sum(
        1 for number, line in enumerate(lines, 1) if line.strip() and line.strip()[0] != "#" and number not in skipped
    )


def findings(path: pathlib.PurePath, text: str) -> Iterator[tuple[int, str]]:
    """(line, what is wrong) of one Python file."""
    lines = text.splitlines()
    if tuple(lines[:4])[-3:] != HEADER and tuple(lines[:3]) != HEADER:
        yield 1, "the licence header is missing"
    if len(lines) > FILE_LINES:
        yield FILE_LINES, "%d lines; a file has at most %d" % (len(lines), FILE_LINES)
    yield from ((number, "left for later") for number, line in enumerate(lines, 1) if LATER.search(line))
    tree = ast.parse(text)
    if "from __future__ import annotations" not in lines and any(line.strip() for line in lines[3:]):
        yield 4, "from __future__ import annotations is missing"
    yield from ((line, "an exception is swallowed") for line in swallowed(tree))
    for line, name in imported(tree):
        if reason := forbidden(path, name):
            yield line, "%s: %s" % (name, reason)
    is_module = path.is_relative_to("plugins/modules")
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            most = MAIN_LINES if is_module and node.name == "main" else FUNCTION_LINES
            if length > most:
                yield node.lineno, "%s has %d lines; at most %d" % (node.name, length, most)
        if isinstance(node, ast.Assert) and path.parts[0] == "plugins":
            yield node.lineno, "assert in a plugin"
    if is_module and (count := code_lines(tree, lines)) > MODULE_LINES:
        yield 1, "%d lines of code besides the documentation; at most %d" % (count, MODULE_LINES)


def main() -> None:
    count = files = 0
    for path in listed():
        if path.suffix != ".py":
            continue
        files += 1
        for line, what in findings(path, (ROOT / path).read_text("utf-8")):
            count += 1
            print("%s:%d: %s" % (path, line, what))
    print("%d files, %d findings" % (files, count))
    sys.exit(bool(count))


if __name__ == "__main__":
    main()
