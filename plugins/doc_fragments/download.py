# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of modules that write to local files."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment polystore.storage.download."""

    DOCUMENTATION = r"""
options:
  dest:
    description:
      - Path on the executing host; of a tree the directory that stands for the root of what was named.
      - A file is written beside it under a temporary name, checked, and renamed; nothing outside O(dest) is ever
        written.
      - Required, in the task or in each item of the batch.
    type: path
  mode:
    description:
      - Permissions of the files, as an octal string such as V("0644").
      - Left alone when not set; a new file gets V(0666) less the umask.
    type: raw
  owner:
    description:
      - Owner of the files, by name or number. Left alone when not set.
    type: str
  group:
    description:
      - Group of the files, by name or number. Left alone when not set.
    type: str
  prune:
    description:
      - Remove local files below O(dest) that are not on the server.
    type: bool
    default: false
  max_delete:
    description:
      - How much O(prune) may remove at most, a number or a share of what is there such as V(50%); V(10%) if not set.
    type: raw
  allow_empty:
    description:
      - Whether O(prune) may remove everything because nothing is on the server, and whether nothing below a prefix is
        fine at all.
    type: bool
    default: false
"""
