# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options, attributes and return values that every module of the collection shares."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment polystore.storage.engine: state modules. Its part .query: modules that only ask."""

    DOCUMENTATION = r"""
options:
  state:
    description:
      - Whether the item should be there.
    type: str
    choices: [present, absent]
    default: present
  batch:
    description:
      - Many items in one task, each a dictionary of this module's own options.
      - The task's own options are the defaults of every item. Two items with the same identity are refused.
    type: list
    elements: dict
  batch_src:
    description:
      - Path of a list of items on the executing host, instead of O(batch).
      - The name ends in C(.json), C(.jsonl), C(.yml) or C(.yaml).
    type: path
  parallel:
    description:
      - How many workers, and so how many connections, are used at the same time; 1 to 64.
    type: int
    default: 8
  result_detail:
    description:
      - Which items RV(ignore:resources) holds.
      - If not set, V(all) of them up to 100 items, and V(changed) ones above.
    type: str
    choices: [changed, all, none]
  shard:
    description:
      - Take only this share of the items. It is stable by identity, so that several hosts can share one task.
    type: dict
    suboptions:
      index:
        description: Which share, from 0 to O(shard.count) - 1.
        type: int
        required: true
      count:
        description: How many shares there are.
        type: int
        required: true
  fast_path:
    description:
      - Run inside the controller where that is the same thing (local connection, the controller's own interpreter,
        no become, no async, no environment). V(false) always starts a module process.
    type: bool
    default: true
attributes:
  check_mode:
    support: full
    description: Nothing is written in check mode, and it reports what the run that follows it would.
  diff_mode:
    support: full
    description: Shows the state before and after. Secrets and binary values appear as a short digest.
  platform:
    support: full
    platforms: posix
    description: Where the module can run.
"""

    QUERY = r"""
options:
  fast_path:
    description:
      - Run inside the controller where that is the same thing (local connection, the controller's own interpreter,
        no become, no async, no environment). V(false) always starts a module process.
    type: bool
    default: true
attributes:
  check_mode:
    support: full
    description: Nothing is ever written.
  diff_mode:
    support: none
    description: Nothing is ever changed.
  platform:
    support: full
    platforms: posix
    description: Where the module can run.
"""
