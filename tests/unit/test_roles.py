# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every role's variables: what has a default, what the specification knows and what the README tells are the same."""

from __future__ import annotations

import pathlib

import pytest
import yaml

ROLES = sorted(path for path in (pathlib.Path(__file__).parents[2] / "roles").iterdir() if path.is_dir())


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_variable_is_told_everywhere(role: pathlib.Path) -> None:
    defaults = yaml.safe_load((role / "defaults" / "main.yml").read_text("utf-8"))
    specification = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text("utf-8"))
    options = specification["argument_specs"]["main"]["options"]
    assert set(options) == set(defaults)
    readme = (role / "README.md").read_text("utf-8")
    # A long row may say the second name as `_name`.
    told = [name for name in options if "`%s`" % name in readme or "`%s`" % name.removeprefix(role.name) in readme]
    assert sorted(set(options) - set(told)) == []
    plain = {name: value for name, value in defaults.items() if "{{" not in str(value)}
    assert {name: options[name].get("default") for name in plain} == plain
