# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Privilege escalation that escalates nothing: the tests need a become that works on every machine."""

from __future__ import annotations

from typing import Any

from ansible.plugins.become import BecomeBase

DOCUMENTATION = """
name: itself
short_description: Runs the command as it is
description: For the integration tests.
author: polystore.storage contributors (@polystore)
options:
  become_user:
    description: Who to become; not looked at.
    default: root
    vars:
      - name: ansible_become_user
  become_exe:
    description: Not looked at.
    default: ""
    vars:
      - name: ansible_become_exe
  become_flags:
    description: Not looked at.
    default: ""
    vars:
      - name: ansible_become_flags
  become_pass:
    description: Not looked at.
    vars:
      - name: ansible_become_password
"""


class BecomeModule(BecomeBase):  # type: ignore[misc]
    """The command itself."""

    name = "itself"

    def build_become_command(self, cmd: Any, shell: Any) -> Any:
        super().build_become_command(cmd, shell)
        return cmd
