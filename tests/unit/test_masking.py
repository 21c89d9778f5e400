# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets in results: masked as Ansible itself does it for modules."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.common import parameters
from ansible_collections.polystore.storage.plugins.plugin_utils.masking import PART, WHOLE, masked

VALUES: list[Any] = [
    "",
    "secret",
    "a secret in the middle, secretly, secret",
    "secret2 is longer than secret",
    {"secret": "its name stays", "deep": [{"x": "secret"}, ["y secret"], None, True, False]},
    [1, 12, 123, 4.25, -12],
    ("a", "secret"),
]


@pytest.mark.parametrize("secrets", [[], ["secret"], ["secret", "secret2"], ["12"], ["4.2", ""], ["True"], ["*"]])
def test_nothing_is_left_of_a_secret(secrets: list[str]) -> None:
    for value in VALUES:
        told = masked(value, secrets)
        for secret in filter(None, secrets):
            assert secret == "*" or not any(secret in text for text in texts(told)), (secret, told)


def texts(value: Any) -> list[str]:
    """What stands in a value, but for names."""
    if isinstance(value, dict):
        return [text for part in value.values() for text in texts(part)]
    if isinstance(value, (list, tuple)):
        return [text for part in value for text in texts(part)]
    return [] if isinstance(value, bool) or value is None else [str(value)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("secrets", [[], ["secret"], ["12"], ["4.2"]])
@pytest.mark.parametrize("value", VALUES, ids=str)
def test_it_is_what_ansible_says(value: Any, secrets: list[str]) -> None:
    by_ansible = getattr(parameters, "remove_values", None)
    if by_ansible is None:
        pytest.skip("this Ansible has it no more")
    if isinstance(value, tuple):
        value = list(value)
    assert masked(value, secrets) == by_ansible(value, set(secrets))


def test_a_longer_secret_is_masked_whole() -> None:
    assert masked("secret2", ["secret", "secret2"]) == WHOLE
    assert masked("a secret2", ["secret", "secret2"]) == "a " + PART
