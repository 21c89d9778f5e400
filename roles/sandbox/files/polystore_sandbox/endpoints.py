# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that tell clients where the servers are: endpoints.json, env.sh and clouds.yaml."""

from __future__ import annotations

import json
import os
import shlex
from typing import Any

from polystore_sandbox.home import Home


def _shell(services: dict[str, Any]) -> str:
    lines = ["# Read this file with: source env.sh"]
    for info in services.values():
        lines += [f"export {name}={shlex.quote(value)}" for name, value in sorted(info.get("env", {}).items())]
    return "\n".join(lines) + "\n"


def _yaml(value: dict[str, Any], indent: str = "") -> str:
    """YAML of nested dicts of strings, whose values are written as JSON's, which are YAML's too."""
    text = ""
    for key, item in value.items():
        if isinstance(item, dict):
            text += f"{indent}{key}:\n{_yaml(item, indent + '  ')}"
        else:
            text += f"{indent}{key}: {json.dumps(item)}\n"
    return text


def write_files(home: Home, services: dict[str, Any], check: bool = False) -> bool:
    """Writes what differs, readable by the owner only; True when something did."""
    clouds: dict[str, Any] = {}
    for info in services.values():
        clouds.update(info.get("clouds", {}))
    files = {
        "endpoints.json": json.dumps(services, indent=1, sort_keys=True) + "\n",
        "env.sh": _shell(services),
        "clouds.yaml": _yaml({"clouds": clouds}) if clouds else "clouds: {}\n",
    }
    changed = False
    for name, text in files.items():
        path = home.folder / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        changed = True
        if not check:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
    return changed
