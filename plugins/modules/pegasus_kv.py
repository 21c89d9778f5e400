#!/usr/bin/python
# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: pegasus_kv
short_description: Manage rows in tables of Apache Pegasus
version_added: 0.1.0
author: polystore.storage contributors (@polystore)
description:
  - Declares rows, their values and how long they live. A row has a hash key, which decides about its partition, and a
    sort key, which is unique below that.
  - Rows are read many at once and compared. What differs is written partition by partition, rows that have the same
    hash key and the same time of expiry together, all or none of up to 1,000 of them with less than 1 MiB.
  - Keys and values are checked against what servers take before anything is sent. Some requests that are too large take
    servers down.
extends_documentation_fragment:
  - polystore.storage.pegasus
  - polystore.storage.pegasus.kv
  - polystore.storage.engine
seealso:
  - module: polystore.storage.pegasus_table
  - module: polystore.storage.pegasus_info
"""

EXAMPLES = r"""
- name: A row
  polystore.storage.pegasus_kv:
    table: settings
    hash_key: shop
    sort_key: currency
    value: EUR

- name: All settings of a shop, and no others
  polystore.storage.pegasus_kv:
    table: settings
    hash_key: shop
    values:
      currency: EUR
      language: de
    prune: true
    scope: {}
    max_delete: 5

- name: Rows that are gone after a day, unless this runs again
  polystore.storage.pegasus_kv:
    table: sessions
    ttl: 1d
    batch:
      - {hash_key: amsel, value: "1"}
      - {hash_key: drossel, value: "2", ttl: 2d}

- name: Take a lease, if nobody has it
  polystore.storage.pegasus_kv:
    table: leases
    hash_key: nightly
    value: "{{ inventory_hostname }}"
    ttl: 1h
    only_if:
      op: not_exist
  register: lease

- name: A row that is not needed any more, whose key is no text
  polystore.storage.pegasus_kv:
    table: sessions
    hash_key_b64: AAEC/w==
    state: absent
"""

RETURN = r"""
resources:
  description: The rows, with what was done to each and their state.
  returned: success, and on failure what had been done
  type: list
  elements: dict
  contains:
    action:
      description: What was done, V(created), V(updated), V(deleted), V(unchanged) or V(failed).
      type: str
    hash_key:
      description: Hash key; C(hash_key_b64) where it is no text or was given so.
      type: str
    sort_key:
      description: Sort key; C(sort_key_b64) where it is no text or was given so.
      type: str
    value:
      description: A short digest of the value, which tells two apart and does not show them.
      type: str
    size:
      description: Bytes of the value.
      type: int
    expires:
      description: When a row that was there expires, or V(never); where the task says a C(ttl), or writes it.
      type: str
    ttl:
      description: How long a row lives that was written with a C(ttl), in seconds, or V(never).
      type: raw
    condition_met:
      description: With C(only_if), whether the row is as declared now; V(false) where it was left as it was.
      type: bool
resource:
  description: The row, when the task was about one; of C(values), the first.
  returned: when one item was given
  type: dict
summary:
  description: How many items were created, updated, deleted, unchanged and failed; and requests, writes and bytes.
  returned: success, and on failure what had been done
  type: dict
failures:
  description: What failed, with the item, the operation, the server's code and words, and what to do about it.
  returned: failure
  type: list
  elements: dict
"""

from ansible_collections.polystore.storage.plugins.module_utils.core.host import run_module
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.kv import KvResource

SUBJECT = KvResource


def main() -> None:
    run_module(SUBJECT)


if __name__ == "__main__":
    main()
