# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Made by tools/generate.py from the module of the same name.

from __future__ import annotations

from ansible_collections.polystore.storage.plugins.modules import pegasus_kv
from ansible_collections.polystore.storage.plugins.plugin_utils.fastpath import FastPath


class ActionModule(FastPath):
    """Runs polystore.storage.pegasus_kv in the controller where that is the same thing."""

    module = pegasus_kv
