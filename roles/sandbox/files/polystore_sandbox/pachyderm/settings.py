# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the stand-in's behaviour can be changed: at its start by options, which are texts, and while it runs."""

from __future__ import annotations

import re
from typing import Any

from polystore_sandbox.pachyderm.state import State


class Settings:
    """The settings of all services, checked."""

    def __init__(self, state: State) -> None:
        self.state = state

    def behave(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Changes some and tells all; ValueError names what is wrong."""
        kept = self.state.settings
        checked: dict[str, Any] = {}
        for name, value in changes.items():
            if name not in kept:
                raise ValueError(f"unknown setting {name}; there are {', '.join(sorted(kept))}")
            checked[name] = self._value(name, kept[name], value)
        with self.state.lock:
            kept.update(checked)
            self.state.changed.notify_all()
            return dict(kept)

    def _value(self, name: str, now: Any, value: Any) -> Any:
        if name == "version" and not re.fullmatch(r"2\.\d+(\.\d+)?", str(value)):
            raise ValueError(f"version must be like 2.12.1, not {value!r}")
        if isinstance(now, bool) and isinstance(value, str):
            if value.lower() not in ("true", "false"):
                raise ValueError(f"{name} must be true or false, not {value!r}")
            return value.lower() == "true"
        if isinstance(now, float) and isinstance(value, (str, int)):
            return float(value)
        if isinstance(now, int) and isinstance(value, str):
            return int(value)
        return value
