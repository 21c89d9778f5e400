# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Storage servers on the loopback, for trying playbooks and for tests."""

from __future__ import annotations

__version__ = "1.0.0"
