# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.polystore.storage.plugins.plugin_utils.estate.task import EstateAction


class ActionModule(EstateAction):
    """Runs polystore.storage.estate, which has no part that could run elsewhere."""
