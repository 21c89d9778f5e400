#!/usr/bin/python
# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pegasus_info
short_description: Ask Apache Pegasus what is there
version_added: 0.1.0
author: polystore.storage contributors (@polystore)
description:
  - Tells which tables and servers there are, and what is in a table; a row, a range under a hash key, or all of it.
  - An option that nothing of what is gathered heeds is refused, but for O(table) and O(encoding).
options:
  gather:
    description:
      - What to ask for.
      - V(tables) are all tables, V(table) and V(partitions) are about O(table), V(nodes) are the replica servers, and
        V(cluster) is what the meta servers tell of themselves.
      - V(value), V(ttl) and V(exists) are about the row with O(hash_key) and O(sort_key).
      - V(range) are the rows of O(hash_key) in a range of sort keys, or those that O(named) says; V(sort_keys) are the
        sort keys of a range alone.
      - V(scan) are the rows of O(hash_key), or without one of the whole table, partition by partition in no order.
      - V(count) is the number of rows of O(hash_key), or without one of the whole table, which then is scanned.
      - If not set, V(value) with O(hash_key) and O(sort_key), V(range) with O(hash_key), V(table) with O(table), and
        V(tables) with none of them.
    type: list
    elements: str
    choices: [tables, table, nodes, cluster, partitions, value, ttl, exists, range, scan, count, sort_keys]
  table:
    description:
      - Name of a table.
    type: str
  hash_key:
    description:
      - A hash key, as text. Only single rows may have an empty one.
    type: str
  hash_key_b64:
    description:
      - The hash key as base64.
    type: str
  sort_key:
    description:
      - Sort key of a single row, as text; an empty one if not set.
    type: str
  sort_key_b64:
    description:
      - The sort key as base64.
    type: str
  named:
    description:
      - The sort keys of the rows of V(range), in place of its bounds. The rows that are there are told in this order.
    type: list
    elements: str
  named_b64:
    description:
      - The same as base64.
    type: list
    elements: str
  start:
    description:
      - Where a range begins; a sort key, as text. If not set, with the first.
    type: str
  start_b64:
    description:
      - The same as base64.
    type: str
  stop:
    description:
      - Where a range ends; a sort key, as text. If not set, with the last.
    type: str
  stop_b64:
    description:
      - The same as base64.
    type: str
  start_inclusive:
    description:
      - Whether O(start) belongs to the range; V(true) if not set.
    type: bool
  stop_inclusive:
    description:
      - Whether O(stop) belongs to the range; V(false) if not set.
    type: bool
  match:
    description:
      - Take only the rows that have O(pattern) in their sort key, V(anywhere), or at its beginning or end.
    type: str
    choices: [anywhere, prefix, postfix]
  pattern:
    description:
      - What O(match) looks for, as text.
    type: str
  pattern_b64:
    description:
      - The same as base64.
    type: str
  hash_match:
    description:
      - Of a whole table, take only the rows that have O(hash_pattern) in their hash key, V(anywhere), or at its
        beginning or end.
    type: str
    choices: [anywhere, prefix, postfix]
  hash_pattern:
    description:
      - What O(hash_match) looks for, as text.
    type: str
  hash_pattern_b64:
    description:
      - The same as base64.
    type: str
  reverse:
    description:
      - Begin at the end of the range, which decides what O(limit) and O(max_bytes) leave. The rows are in ascending
        order all the same.
    type: bool
  no_value:
    description:
      - Do not fetch the values.
    type: bool
  with_ttl:
    description:
      - Tell with each row of V(scan) how long it lives.
    type: bool
  limit:
    description:
      - The most rows that are told. Without it all are, so give one for tables that are not small.
    type: int
  max_bytes:
    description:
      - The most bytes of keys and values that are told, in bytes or such as V(64k); but one row at least.
    type: raw
  batch_size:
    description:
      - How many rows the servers send at once, 1 to 1000; V(1000) if not set. Less is right for very large values.
    type: int
  encoding:
    description:
      - With V(b64), keys and values are told as base64, in rows under the names C(hash_key_b64), C(sort_key_b64) and
        C(value_b64).
      - With V(text), the same is done for what is not valid UTF-8 in rows; elsewhere that is an error.
      - V(text) if not set.
    type: str
    choices: [text, b64]
extends_documentation_fragment:
  - polystore.storage.pegasus
  - polystore.storage.engine.query
notes:
  - Rows have the names of the options of M(polystore.storage.pegasus_kv), so that they can be its O(ignore:batch).
  - A scan shows each partition as it was when its turn came. Rows that have expired are not told.
seealso:
  - module: polystore.storage.pegasus_table
  - module: polystore.storage.pegasus_kv
  - plugin: polystore.storage.pegasus_kv
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Which tables there are, and who serves them
  polystore.storage.pegasus_info:
    gather: [tables, nodes, cluster]
  register: found

- name: All replica servers live
  ansible.builtin.assert:
    that: found.nodes | rejectattr('status', 'equalto', 'alive') | list == []

- name: One row
  polystore.storage.pegasus_info:
    table: settings
    gather: [value, ttl]
    hash_key: shop
    sort_key: currency
  register: currency

- name: The ten newest of today's entries
  polystore.storage.pegasus_info:
    table: settings
    gather: range
    hash_key: log
    match: prefix
    pattern: "2026-11-22"
    reverse: true
    limit: 10

- name: How many rows a hash key has
  polystore.storage.pegasus_info:
    table: settings
    gather: count
    hash_key: shop

- name: Rows of all hash keys that begin with shop, with their times to live
  polystore.storage.pegasus_info:
    table: settings
    gather: scan
    hash_match: prefix
    hash_pattern: shop
    with_ttl: true
    limit: 1000
  register: shops

- name: The same rows in another table
  polystore.storage.pegasus_kv:
    table: archive
    batch: "{{ shops.scan }}"
"""

RETURN = r"""
tables:
  description: The tables that are not dropped, by name.
  returned: when gathered
  type: list
  elements: dict
  sample:
    - name: visits
      app_id: 5
      status: available
      partition_count: 4
      replica_count: 3
      envs: {default_ttl: "604800"}
      created: "2026-11-22T07:00:00Z"
      dropped: null
      expires: null
dropped_tables:
  description: Those that are dropped and still kept; C(expires) tells until when they can be recalled.
  returned: when tables are gathered
  type: list
  elements: dict
table:
  description: One table; null where there is none of this name.
  returned: when gathered
  type: dict
  contains:
    ready:
      description: Whether every partition has a primary.
      type: bool
    without_primary:
      description: The partitions that have none.
      type: list
      elements: int
nodes:
  description: The replica servers.
  returned: when gathered
  type: list
  elements: dict
  sample:
    - address: 192.168.1.104:34801
      status: alive
cluster:
  description: What the meta servers tell of the cluster, in their own names.
  returned: when gathered
  type: dict
  sample:
    cluster_name: onebox
    meta_function_level: steady
    meta_servers: ["192.168.1.101:34601", "192.168.1.102:34601"]
    primary_meta_server: 192.168.1.101:34601
partitions:
  description: The partitions of a table, and who has them. C(primary) is null where nobody takes requests now.
  returned: when gathered
  type: list
  elements: dict
  sample:
    - partition: 0
      primary: 192.168.1.104:34801
      secondaries: ["192.168.1.105:34801", "192.168.1.106:34801"]
      replica_count: 3
      ballot: 3
value:
  description: The value of a row; null where there is no such row.
  returned: when gathered
  type: str
  sample: EUR
ttl:
  description: How many seconds a row has left, or V(never); null where there is no such row.
  returned: when gathered
  type: raw
  sample: 86399
exists:
  description: Whether there is such a row.
  returned: when gathered
  type: bool
range:
  description: The rows of a range, by their sort keys.
  returned: when gathered
  type: list
  elements: dict
  sample:
    - hash_key: shop
      sort_key: currency
      value: EUR
scan:
  description: The rows of a hash key or of the whole table. C(ttl) is told with O(with_ttl).
  returned: when gathered
  type: list
  elements: dict
  sample:
    - hash_key: shop
      sort_key: currency
      value: EUR
      ttl: never
count:
  description: How many rows there are.
  returned: when gathered
  type: int
  sample: 2
sort_keys:
  description: The sort keys of a range.
  returned: when gathered
  type: list
  elements: str
  sample: [currency, language]
incomplete:
  description: Which of V(range), V(scan) and V(sort_keys) have more rows than O(limit) or O(max_bytes) allow.
  returned: when rows are gathered
  type: list
  elements: str
  sample: []
"""

from ansible_collections.polystore.storage.plugins.module_utils.core.host import run_module
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.info import Info

SUBJECT = Info


def main() -> None:
    run_module(SUBJECT)


if __name__ == "__main__":
    main()
