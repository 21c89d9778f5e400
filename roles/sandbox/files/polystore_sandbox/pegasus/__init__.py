# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for Apache Pegasus: metas and replica servers, as clients of 2.5.0 and of what follows it know them."""

from __future__ import annotations
