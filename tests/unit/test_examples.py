# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of the README, the modules and the guides: every task is validated against its module's own spec."""

from __future__ import annotations

import importlib
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.polystore.storage.plugins.module_utils.core.host import Query, argument_spec_of, build_items

COLLECTION = pathlib.Path(__file__).resolve().parents[2]
MODULES = sorted((COLLECTION / "plugins" / "modules").glob("*.py"))
NAMES = {path.stem for path in MODULES}
PREFIX = "polystore.storage."
GROUPS = {"fdfs": "fastdfs"}  # action groups that are not called as their modules begin


def example_text(path: pathlib.Path) -> str:
    """EXAMPLES of a module file."""
    module = importlib.import_module("ansible_collections.polystore.storage.plugins.modules." + path.stem)
    text: str = module.EXAMPLES
    return text


def documents() -> dict[str, str]:
    """Where an example stands -> its YAML."""
    found = {"modules/" + path.stem: example_text(path) for path in MODULES}
    for markdown in (COLLECTION / "README.md", *sorted((COLLECTION / "roles").glob("*/README.md"))):
        blocks = re.findall(r"^```yaml\n(.*?)^```", markdown.read_text("utf-8"), re.DOTALL | re.MULTILINE)
        name = str(markdown.relative_to(COLLECTION))
        found.update(("%s #%d" % (name, number), block) for number, block in enumerate(blocks, 1))
    for page in sorted((COLLECTION / "docs" / "docsite" / "rst").glob("*.rst")):
        pattern = r"^\.\. code-block:: (?:yaml|yaml\+jinja)\n(?: +:.*\n)*\n((?:(?: +.*)?\n)+)"
        blocks = re.findall(pattern, page.read_text("utf-8") + "\n", re.MULTILINE | re.IGNORECASE)
        found.update(("%s #%d" % (page.name, number), block) for number, block in enumerate(blocks, 1))
    return found


def tasks(entries: Any, defaults: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(module, options with the defaults of its group) of every task of ours in a play, a block or a list of them."""
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict):
            continue
        inside = defaults | entry.get("module_defaults", {})
        for part in ("pre_tasks", "tasks", "post_tasks", "handlers", "block", "rescue", "always"):
            yield from tasks(entry.get(part), inside)
        for key, options in entry.items():
            name = key.removeprefix(PREFIX)
            if key.startswith(PREFIX):
                assert name in NAMES, "there is no module %s" % key
                system = name.split("_")[0]
                group = inside.get("group/%s%s" % (PREFIX, GROUPS.get(system, system)), {})
                yield name, group | inside.get(key, {}) | (options or {})


def templated(value: Any) -> bool:
    """Whether a value is only known when the playbook runs."""
    if isinstance(value, dict):
        return any(map(templated, value.values()))
    if isinstance(value, list):
        return any(map(templated, value))
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def check(name: str, options: dict[str, Any]) -> list[str]:
    """What is wrong with the options of a task."""
    plugins = "ansible_collections.polystore.storage.plugins."
    subject = getattr(importlib.import_module(plugins + "modules." + name), "SUBJECT", None)
    alone = {} if subject else importlib.import_module(plugins + "action." + name).ActionModule.spec
    spec = {key: dict(option) for key, option in (argument_spec_of(subject) if subject else alone).items()}
    for key in options:
        if key in spec and templated(options[key]):
            spec[key] = {"type": "raw", "required": spec[key].get("required", False)}
    result = ArgumentSpecValidator(spec).validate(options)
    wrong = list(result.error_messages)
    state = subject and not issubclass(subject, Query)
    if state and not wrong and not templated(options) and "batch_src" not in options:
        build_items(subject, result.validated_parameters, frozenset(options))
    return wrong


@pytest.mark.parametrize("where", sorted(documents()))
def test_example(where: str) -> None:
    parsed = yaml.safe_load(documents()[where])
    found = list(tasks(parsed, {}))
    if where.startswith("modules/"):
        assert where.removeprefix("modules/") in {name for name, _options in found}
    for name, options in found:
        assert check(name, options) == [], (name, options)


def test_the_front_pages_have_examples() -> None:
    texts = documents()
    for where, least in (("README.md #1", 4), ("getting_started.rst #1", 2)):
        assert len(list(tasks(yaml.safe_load(texts[where]), {}))) >= least
