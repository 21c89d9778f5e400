# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The content options of a file-like item."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment polystore.storage.content."""

    DOCUMENTATION = r"""
options:
  src:
    description:
      - Path of a file on the executing host whose content is wanted. It is read in pieces, and never changed.
    type: path
  content:
    description:
      - The content itself, as text. It is sent as UTF-8.
    type: str
  content_b64:
    description:
      - The content itself, as base64; for bytes that are no text.
    type: str
"""
