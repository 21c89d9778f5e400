# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a tree that is declared as a whole."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment polystore.storage.tree."""

    DOCUMENTATION = r"""
options:
  src:
    description:
      - Directory on the executing host whose files are wanted.
      - Required, in the task or in each item of the batch.
    type: path
  include:
    description:
      - Patterns of the files that belong to the tree; without any, all of them do.
      - C(*) and C(?) stay within a name, C(**) crosses directories, a pattern without C(/) matches a file's own
        name anywhere, and one that ends in C(/) all that lies below.
    type: list
    elements: str
  exclude:
    description:
      - Patterns of files that do not belong to the tree, also when O(include) has them. On the server they are
        neither compared nor pruned.
    type: list
    elements: str
  follow:
    description:
      - Follow symbolic links. With V(false) a link is an error unless O(exclude) has it.
    type: bool
    default: false
  prune:
    description:
      - Remove what is there and not in the tree, after everything else has succeeded.
    type: bool
    default: false
  max_delete:
    description:
      - How much O(prune) may remove at most, a number or a share of what is there such as V(50%); V(10%) if not set.
      - When more would have to go, the task fails before anything is changed.
    type: raw
  allow_empty:
    description:
      - Whether O(prune) may remove everything because the tree is empty.
    type: bool
    default: false
"""
