# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection options of every Pegasus module."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment polystore.storage.pegasus. Its part .kv: what pegasus_kv takes, kept from a module's payload."""

    DOCUMENTATION = r"""
options:
  meta_servers:
    description:
      - Addresses of the meta servers, each such as V(meta.example) or V(meta.example:34601). They are asked in turn
        until one leads.
      - If not set, the value of E(PEGASUS_META_SERVERS) is used (with commas in between).
    type: list
    elements: str
  timeout:
    description:
      - Seconds to wait for an answer, and at most 5 of them for a connection; V(10) if not set.
    type: int
  retries:
    description:
      - How often to ask again after an error that may pass, with growing pauses; V(8) if not set, which is about
        half a minute. A server that died is missed after some 10 s.
      - What would do harm when it is done twice is only sent again where it cannot have been done.
    type: int
notes:
  - Made for Apache Pegasus 2.5, and for what comes after it. Nothing has to be installed, the collection speaks the
    protocol itself.
  - Clusters that want a login (Kerberos) are not supported.
  - The addresses of replica servers come from the meta servers; the executing host has to reach those too.
"""

    KV = r"""
options:
  table:
    description:
      - Name of the table, which has to exist.
      - Required, in the task or in each item of the batch.
    type: str
  hash_key:
    description:
      - Hash key of the row, as text; up to 65534 bytes of UTF-8. It may be empty.
      - One of O(hash_key), O(hash_key_b64), and the hash key of O(scope) is required.
    type: str
  hash_key_b64:
    description:
      - The hash key as base64; for bytes that are no text.
    type: str
  sort_key:
    description:
      - Sort key of the row, as text.
    type: str
    default: ""
  sort_key_b64:
    description:
      - The sort key as base64; for bytes that are no text.
    type: str
  value:
    description:
      - The value, as text. It is sent as UTF-8. Hash key, sort key and value have at most 1,048,519 bytes together.
      - A new row needs this, O(value_b64) or O(value_src). Left out, the value of a row that is there stays.
    type: str
  value_b64:
    description:
      - The value as base64; for bytes that are no text.
    type: str
  value_src:
    description:
      - Path of a file on the executing host that holds the value.
    type: path
  values:
    description:
      - Many rows of the hash key, their values as text under their sort keys. V(null) removes a row.
      - With O(state=absent) all of them are removed, whatever their values.
    type: dict
  ttl:
    description:
      - How long the row shall live, in seconds or such as V(7d), counted from now by the executing host's clock.
        V(never) takes the end away.
      - If not set, a row that is there expires when it would have, also when its value changes, and a new one has the
        C(default_ttl) of its table, or no end.
      - Servers take what never expires for what has the table's C(default_ttl), if it has one. So there V(never) is
        refused, and so is a new value for a row that has no end, without a C(ttl).
      - A row whose C(ttl) alone differs is written again with the value that was just read.
    type: raw
  ttl_tolerance:
    description:
      - By how much the time that is left may differ from O(ttl) before the row is written again, in seconds or such as
        V(15m). If not set, a tenth of O(ttl), and at least 60 s.
    type: raw
  only_if:
    description:
      - Change the row, or all rows of O(values) together, only if a row of the same hash key is as it says. The server
        looks at that in the moment in which it writes.
      - Where it is not met, nothing is changed, and RV(resources[].condition_met) is V(false).
      - Where nothing would have to be changed, it is not looked at.
    type: dict
    suboptions:
      op:
        description:
          - What has to be so. C(match_) ones ask whether O(only_if.operand) is in the value, C(bytes_) ones compare
            bytes, C(int_) ones whole numbers of 64 bits.
        type: str
        required: true
        choices:
          - not_exist
          - not_exist_or_empty
          - exist
          - not_empty
          - match_anywhere
          - match_prefix
          - match_postfix
          - bytes_less
          - bytes_less_or_equal
          - bytes_equal
          - bytes_greater_or_equal
          - bytes_greater
          - int_less
          - int_less_or_equal
          - int_equal
          - int_greater_or_equal
          - int_greater
      sort_key:
        description: Sort key of the row that is looked at, if it is not the one that is written.
        type: str
      sort_key_b64:
        description: The same as base64.
        type: str
      operand:
        description: What its value is compared with, as text.
        type: str
      operand_b64:
        description: The same as base64.
        type: str
  prune:
    description:
      - Remove the rows in O(scope) that this task does not name.
      - It is done after everything else has succeeded.
    type: bool
    default: false
  scope:
    description:
      - What O(prune) is about, rows of one hash key. Without more than that, all of them.
    type: dict
    suboptions:
      hash_key:
        description: The hash key, if it is not the item's own.
        type: str
      hash_key_b64:
        description: The same as base64.
        type: str
      start:
        description: The first sort key.
        type: str
      start_b64:
        description: The same as base64.
        type: str
      stop:
        description: The last sort key.
        type: str
      stop_b64:
        description: The same as base64.
        type: str
      start_inclusive:
        description: Whether O(scope.start) itself is in it.
        type: bool
        default: true
      stop_inclusive:
        description: Whether O(scope.stop) itself is in it.
        type: bool
        default: false
      match:
        description: Only sort keys that hold O(scope.pattern) anywhere, at their beginning or at their end.
        type: str
        choices: [anywhere, prefix, postfix]
      pattern:
        description: What O(scope.match) is about.
        type: str
      pattern_b64:
        description: The same as base64.
        type: str
  max_delete:
    description:
      - How many rows O(prune) may remove at most, as a number or as a share of those in O(scope); V(10%) if not set.
        More is an error, and then nothing is removed.
    type: raw
  allow_empty:
    description:
      - Let O(prune) remove everything when nothing is declared in O(scope).
    type: bool
    default: false
notes:
  - Where the answer to a write is lost and asking again does not help, the failure's hint says that it may have been
    carried out all the same. Nothing is reported as done that is not known to be.
  - Counters and atomic writes of other clients may come between reading and writing. Use O(only_if) where that matters.
"""
