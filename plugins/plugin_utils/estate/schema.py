# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON schema of manifests, for editors: made from the modules' own options."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from typing import Any

import yaml
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.kinds import (
    MODULES,
    SYSTEMS,
    Kind,
    connection_of,
    kinds_of,
)

# A number or truth may be written as a text or a template; null is the same as leaving an option out.
TYPES = {
    "str": ["string", "number", "boolean", "null"],
    "path": ["string", "null"],
    "int": ["integer", "string", "null"],
    "bool": ["boolean", "string", "null"],
    "dict": ["object", "string", "null"],
    "list": ["array", "string", "number", "null"],
}
OWN = {
    "protect": {"type": "boolean", "description": "Forbids that the estate ever removes this."},
    "connection": {"type": "string", "description": "A name below connections; without it the system's own."},
}


def _described(kind: Kind) -> dict[str, str]:
    """What the module's documentation says of its own options, their first sentences."""
    module = importlib.import_module(MODULES + kind.module)
    found = {}
    for name, option in (yaml.safe_load(module.DOCUMENTATION).get("options") or {}).items():
        told = option["description"]
        text = told if isinstance(told, str) else told[0]
        found[name] = re.sub(r"[A-Z]+\(([^()]*)\)", r"\1", text)
    return found


def option(spec: Mapping[str, Any], description: str = "") -> dict[str, Any]:
    """The schema of one option of an argument_spec."""
    found: dict[str, Any] = {}
    kind = spec.get("type", "str")
    if spec.get("choices"):
        found["anyOf"] = [{"enum": [*spec["choices"], None]}, {"type": "string", "pattern": r"\{[{%]"}]
    elif kind in TYPES:
        found["type"] = TYPES[kind]
    if kind == "list" and spec.get("elements") in TYPES:
        found["items"] = {"type": TYPES[spec["elements"]]}
    if kind == "dict" and spec.get("options"):
        found["properties"] = {name: option(inner) for name, inner in spec["options"].items()}
        found["additionalProperties"] = False
    if spec.get("default") is not None:
        found["default"] = spec["default"]
    if description:
        found["description"] = description
    return found


def _item(kind: Kind) -> dict[str, Any]:
    told = _described(kind)
    found = {name: option(opt.spec(), told.get(name, "")) for name, opt in kind.options.items()}
    for name, opt in kind.options.items():
        found.update(dict.fromkeys(opt.aliases, found[name]))
    required = [name for name, opt in kind.options.items() if opt.required and not opt.aliases]
    return {
        "type": "object",
        "description": "Options of polystore.storage.%s" % kind.module,
        "properties": {**found, **OWN},
        "required": required,
        "additionalProperties": False,
    }


def _connections() -> dict[str, Any]:
    found = {}
    for system in SYSTEMS:
        options = {name: option(spec) for name, spec in connection_of(system).spec.items()}
        found[system] = {"type": ["object", "null"], "properties": options, "additionalProperties": False}
    alias = {"type": "object", "properties": {"system": {"enum": list(SYSTEMS)}}, "required": ["system"]}
    return {"type": "object", "properties": found, "additionalProperties": alias}


def schema() -> dict[str, Any]:
    """The whole schema."""
    properties: dict[str, Any] = {
        "estate": {"type": "string", "description": "The estate's name; its record bears it."},
        "connections": _connections(),
        "vars": {"type": ["object", "null"], "description": "What {{ templates }} in this document can use."},
    }
    for system in SYSTEMS:
        lists = {name: {"type": ["array", "null"], "items": _item(kind)} for name, kind in kinds_of(system).items()}
        properties[system] = {"type": ["object", "null"], "properties": lists, "additionalProperties": False}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Manifest of a polystore.storage estate",
        "type": "object",
        "properties": properties,
        "required": ["estate"],
        "additionalProperties": False,
    }
