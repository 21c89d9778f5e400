#!/usr/bin/python
# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pegasus_table
short_description: Tables of Apache Pegasus, their replicas and envs
version_added: 0.1.0
author: polystore.storage contributors (@polystore)
description:
  - Declares which tables there are, how many replicas their partitions have, and what their envs are.
  - An option that is left out is left alone on the server. A run that finds everything as declared sends no write.
  - What crashes the servers of a new table when it is said too early, such as C(default_ttl), is only said when every
    partition has a primary.
options:
  name:
    description:
      - Name of the table.
      - Required, in the task or in each item of the batch.
    type: str
  partition_count:
    description:
      - How many partitions the table has, 1 to 65536; V(8) for a new one if not set.
      - The number of a table that is there cannot be changed in place. A difference is an error, which says what to do.
    type: int
  replica_count:
    description:
      - How many replicas each partition shall have; V(3) for a new table if not set. So many replica servers have to
        live. Servers take at most 5 unless C(max_allowed_replica_count) was changed.
      - To change it takes Pegasus 2.4.
    type: int
  envs:
    description:
      - Envs of the table, which are merged with what is there. V(null) removes one.
      - Values that mean the same are equal, such as V(20K*delay*100) and V(20000*delay*100).
      - Values that servers refuse, or take and then ignore, are refused before anything is sent, as far as the names
        are those of Pegasus 2.5. Any other name is left to the servers.
      - A V(0) of C(default_ttl) is the same as none. One that is removed is set to V(0), because servers go on with one
        that is only deleted.
      - Replica servers learn of a change after up to 30 seconds.
    type: dict
  purge_envs:
    description:
      - Remove the envs that O(envs) does not name. Those that servers set themselves (C(replica.split.*)
        and C(duplication.*)) stay, unless O(envs) has V(null) for them.
    type: bool
    default: false
  renamed_from:
    description:
      - Name that the table had before. When such a table is there, and none called O(name), it is renamed. When both
        are there the task fails. When neither is, the table is created.
      - It takes Pegasus 2.5.
    type: str
  recall:
    description:
      - When the table is not there, and one of its name was dropped and is still kept, bring that back with its data
        instead of creating one. Of several it is the one that was dropped last.
    type: bool
    default: false
  wait:
    description:
      - Wait until every partition has a primary, also of a table that was there before. Only then it can be used.
      - With V(false) it is waited for only where envs need it.
    type: bool
    default: true
  wait_timeout:
    description:
      - How long to wait, as seconds or V(90s), V(15m), V(2h). A new table usually takes 3 to 10 seconds.
    type: raw
    default: 60
  reserve:
    description:
      - With O(state=absent), how long the servers keep the dropped table, so that it can be recalled, as seconds or
        V(15m), V(2h), V(7d); at least 1 second. If not set, the servers' own 7 days, unless that was changed.
    type: raw
extends_documentation_fragment:
  - polystore.storage.pegasus
  - polystore.storage.engine
seealso:
  - module: polystore.storage.pegasus_info
notes:
  - Servers take any name; here it is text without control characters, and without blanks around it.
  - Readers with an old configuration may find the rows of a dropped table for some seconds.
"""

EXAMPLES = r"""
- name: A table with the usual 8 partitions and 3 replicas
  polystore.storage.pegasus_table:
    meta_servers: [meta1.example.com, meta2.example.com]
    name: sessions

- name: A table whose rows live for a week unless they say otherwise
  polystore.storage.pegasus_table:
    name: visits
    partition_count: 4
    envs:
      default_ttl: 604800
      replica.slow_query_threshold: 100
      replica.write_throttling: 20K*delay*100

- name: An env goes, another comes
  polystore.storage.pegasus_table:
    name: visits
    envs:
      replica.write_throttling:
      rocksdb.usage_scenario: prefer_write

- name: Two tables, and one that goes but can be recalled for a day
  polystore.storage.pegasus_table:
    batch:
      - name: users
        replica_count: 2
      - name: orders
      - name: sessions
        state: absent
        reserve: 1d

- name: It was a mistake, with all that was in it
  polystore.storage.pegasus_table:
    name: sessions
    recall: true

- name: Another name
  polystore.storage.pegasus_table:
    name: people
    renamed_from: users
"""

RETURN = r"""
resources:
  description: The tables, with what was done to each and their state.
  returned: success, and on failure what had been done
  type: list
  elements: dict
  contains:
    name:
      description: Name of the table.
      type: str
    action:
      description: What was done, V(created), V(updated), V(deleted), V(unchanged) or V(failed).
      type: str
    app_id:
      description: The number by which the servers know the table.
      type: int
    partition_count:
      description: How many partitions it has.
      type: int
    replica_count:
      description: How many replicas each of them shall have.
      type: int
    envs:
      description: Its envs, in their normal form.
      type: dict
    recalled:
      description: That the table was brought back.
      type: bool
      returned: when it was
  sample:
    - name: visits
      action: created
      app_id: 5
      partition_count: 4
      replica_count: 3
      envs: {default_ttl: "604800"}
resource:
  description: The table, when the task was about one.
  returned: when one item was given
  type: dict
  sample: {name: visits, action: unchanged, app_id: 5, partition_count: 4, replica_count: 3, envs: {}}
summary:
  description: How many items were created, updated, deleted, unchanged and failed; and requests, writes and bytes.
  returned: success, and on failure what had been done
  type: dict
  sample: {created: 1, updated: 0, deleted: 0, unchanged: 0, failed: 0, requests: 5, writes: 2}
failures:
  description: What failed, with the item, the operation, the server's code and words, and what to do about it.
  returned: failure
  type: list
  elements: dict
"""

from ansible_collections.polystore.storage.plugins.module_utils.core.host import run_module
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.tables import Tables

SUBJECT = Tables


def main() -> None:
    run_module(SUBJECT)


if __name__ == "__main__":
    main()
