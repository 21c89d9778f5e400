# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets out of what is told. As Ansible's modules do it; its own function for that is deprecated from 2.22 on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

WHOLE, PART = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER", "********"


def masked(value: Any, secrets: Collection[str]) -> Any:
    """A copy of a value of plain JSON types in which no secret stands; the names in dictionaries stay."""
    longest = sorted((secret for secret in secrets if secret), key=len, reverse=True)
    return _masked(value, longest) if longest else value


def _masked(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, Mapping):
        return {name: _masked(part, secrets) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_masked(part, secrets) for part in value]
    if isinstance(value, str):
        if value in secrets:
            return WHOLE
        for secret in secrets:
            value = value.replace(secret, PART)
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return WHOLE if any(secret in str(value) for secret in secrets) else value
    return value
