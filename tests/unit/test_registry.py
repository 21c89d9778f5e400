# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every module: spec, documentation, groups, action file, README, integration target and payload agree."""

from __future__ import annotations

import functools
import importlib
import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.host import argument_spec_of

PLUGINS = "ansible_collections.polystore.storage.plugins."
COLLECTION = pathlib.Path(__file__).resolve().parents[2]
NAMES = sorted(path.stem for path in (COLLECTION / "plugins" / "modules").glob("*.py") if path.stem != "__init__")
ALONE = {  # documentation, and an action plugin that has the spec
    name for name in NAMES if "SUBJECT" not in (COLLECTION / "plugins" / "modules" / (name + ".py")).read_text("utf-8")
}
MOST_FILES, MOST_BYTES = 12, 60 * 1024  # bytes of the zip archive, before it is written as base64
# Aliases of types that mean the same in both places.
COMPARED = ("type", "elements", "required", "default", "choices", "aliases")

# Run apart, because it needs Ansible's own collection loader: the payload for a target, as Ansible makes it.
PAYLOAD = r"""
import base64, io, json, re, sys, zipfile
from ansible.executor.module_common import modify_module
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar
init_plugin_loader()
found = {}
for name, path in json.load(sys.stdin).items():
    built = modify_module(module_name=name, module_path=path, module_args={}, templar=Templar(loader=DataLoader()),
                          task_vars={}, module_compression="ZIP_DEFLATED")
    data = built[0] if isinstance(built, tuple) else built.b_module_data
    packed = max(re.findall(rb"[A-Za-z0-9+/=]{200,}", data), key=len)
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(packed))) as payload:
        sizes = {entry.filename: entry.file_size for entry in payload.infolist()}
    found[name] = {"bytes": len(packed) * 3 // 4, "files": sizes}
json.dump(found, sys.stdout)
"""
EMPTY = """#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
AnsibleModule(argument_spec={}).exit_json()
"""


def run(command: list[str], **more: Any) -> Any:
    """The JSON that a command prints, with the collection on Ansible's path."""
    env = os.environ | {
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTION.parents[2]),
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
    }
    done = subprocess.run(command, env=env, check=False, capture_output=True, text=True, **more)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@functools.cache
def documented(name: str) -> Any:
    """What ansible-doc knows of a module, fragments included."""
    tool = str(pathlib.Path(sys.executable).with_name("ansible-doc"))
    return run([tool, "-t", "module", "--json", "polystore.storage." + name])["polystore.storage." + name]


def spec_of(name: str) -> Any:
    """The module's argument_spec."""
    if name in ALONE:
        return importlib.import_module(PLUGINS + "action." + name).ActionModule.spec
    return argument_spec_of(importlib.import_module(PLUGINS + "modules." + name).SUBJECT)


def plain(option: dict[str, Any]) -> dict[str, Any]:
    """An option in one form, whether it comes from a spec or from documentation."""
    found = {key: option[key] for key in COMPARED if option.get(key) not in (None, False, [])}
    if option.get("default") is False:
        found["default"] = False
    found.setdefault("type", "str")
    if "choices" in found:
        found["choices"] = sorted(map(str, found["choices"]))
    inner = option.get("suboptions") or option.get("options")
    if inner:
        found["options"] = {key: plain(value) for key, value in inner.items()}
    return found


def test_there_are_modules() -> None:
    assert "swift_container" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_documentation_is_the_spec(name: str) -> None:
    told = {key: plain(option) for key, option in documented(name)["doc"]["options"].items()}
    real = {key: plain(option) for key, option in spec_of(name).items()}
    assert told == real


@pytest.mark.parametrize("name", NAMES)
def test_documentation_is_complete(name: str) -> None:
    entry = documented(name)
    doc = entry["doc"]
    assert doc["short_description"] and doc["author"] and doc["description"]
    assert {"check_mode", "diff_mode"} <= set(doc["attributes"])
    assert "polystore.storage." + name in entry["examples"]
    assert entry["return"], "RETURN says nothing"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ALONE])
def test_fragments(name: str) -> None:
    text = (COLLECTION / "plugins" / "modules" / (name + ".py")).read_text("utf-8")
    system = name.split("_")[0]
    assert "polystore.storage.engine" in text
    assert "  - polystore.storage.%s\n" % system in text


def test_made_files_are_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    """Action files, action groups and the README's table are what tools/generate.py would write."""
    monkeypatch.syspath_prepend(str(COLLECTION / "tools"))
    made = importlib.import_module("generate").wanted(COLLECTION)
    assert [str(path) for path, text in made.items() if not path.exists() or path.read_text("utf-8") != text] == []
    actions = {path.stem for path in (COLLECTION / "plugins" / "action").glob("*.py")}
    assert actions == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_named_where_people_look(name: str) -> None:
    assert "`polystore.storage.%s`" % name in (COLLECTION / "README.md").read_text("utf-8")
    assert "    - %s\n" % name in (COLLECTION / "meta" / "runtime.yml").read_text("utf-8")
    assert (COLLECTION / "tests" / "integration" / "targets" / name).is_dir()


def test_payloads(tmp_path: pathlib.Path) -> None:
    """What a target is sent for a module: few files, and not much more than for an empty module."""
    bare = tmp_path / "empty.py"
    bare.write_text(EMPTY, "utf-8")
    full = "ansible_collections.polystore.storage.plugins.modules."
    names = [name for name in NAMES if name not in ALONE]
    wanted = {full + name: str(COLLECTION / "plugins" / "modules" / (name + ".py")) for name in names}
    found = run([sys.executable, "-c", PAYLOAD], input=json.dumps({**wanted, "ansible.modules.empty": str(bare)}))
    empty = found.pop("ansible.modules.empty")["bytes"]
    assert found.keys() == wanted.keys()
    for name, payload in found.items():
        ours = [file for file, size in payload["files"].items() if "/storage/plugins/module_utils/" in file and size]
        assert len(ours) <= MOST_FILES, (name, ours)
        assert payload["bytes"] - empty <= MOST_BYTES, (name, payload["bytes"] - empty, ours)
