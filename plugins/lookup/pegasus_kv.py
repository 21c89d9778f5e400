# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: pegasus_kv
short_description: Read rows of Apache Pegasus into a play
version_added: 0.1.0
author: polystore.storage contributors (@polystore)
description:
  - Gives the values of rows of a table. The controller reads them, whatever host the play is about.
  - The connection comes from the options, or from the environment as for the modules. C(module_defaults) do not reach
    lookups.
options:
  _terms:
    description:
      - With O(hash_key) the sort keys below it, without it hash keys.
    required: true
    type: list
    elements: str
  table:
    description:
      - The table that the rows are in.
    type: str
    required: true
  hash_key:
    description:
      - The hash key of all the rows.
    type: str
  sort_key:
    description:
      - Without O(hash_key), the sort key of all the rows.
    type: str
    default: ""
  keys:
    description:
      - How all these keys are written, as V(text) or as base64.
    type: str
    choices: [text, b64]
    default: text
  encoding:
    description:
      - V(text) is UTF-8 text. V(b64) is base64, for everything else.
    type: str
    choices: [text, b64]
    default: text
  max_bytes:
    description:
      - The largest value that is given, in bytes or with a unit such as V(64k). More is an error.
    type: raw
    default: 1M
extends_documentation_fragment:
  - polystore.storage.pegasus
notes:
  - A row that is not there, or has expired, is an error.
  - To find out which rows there are, use M(polystore.storage.pegasus_info).
seealso:
  - module: polystore.storage.pegasus_info
"""

EXAMPLES = r"""
- name: Show a setting
  ansible.builtin.debug:
    msg: "{{ lookup('polystore.storage.pegasus_kv', 'currency', table='settings', hash_key='shop',
      meta_servers=['meta1', 'meta2']) }}"

- name: Write a binary value to another table
  polystore.storage.pegasus_kv:
    table: archive
    hash_key: liberty
    value_b64: "{{ lookup('polystore.storage.pegasus_kv', 'liberty', table='photos', encoding='b64') }}"
"""

RETURN = r"""
_raw:
  description: The value of each row.
  type: list
  elements: str
"""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
from ansible_collections.polystore.storage.plugins.module_utils.pegasus import common
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.kv import CONNECTION
from ansible_collections.polystore.storage.plugins.plugin_utils.contents import Contents, parsed


class LookupModule(Contents):
    """Reads rows of Pegasus in the controller."""

    name, better = "pegasus_kv", "pegasus_info"
    connection = CONNECTION
    table = ""

    def begin(self) -> None:
        self.table = parsed("table", common.table_name, self.options["table"])
        self.key("sort_key", self.options["sort_key"])
        if self.options["hash_key"] is not None:
            self.key("hash_key", self.options["hash_key"])
        self.client.cluster.forget(self.table)  # by an old configuration, rows of a dropped table are still read

    def key(self, option: str, text: Any) -> bytes:
        """A key's bytes. Raises OptionError."""
        return parsed(option, common.data_of_b64 if self.options["keys"] == "b64" else common.data_of, text)

    @contextlib.contextmanager
    def open(self, term: Any) -> Iterator[tuple[int | None, Iterable[bytes]]]:
        pair = self.key("_terms", term), self.key("sort_key", self.options["sort_key"])
        if self.options["hash_key"] is not None:
            pair = self.key("hash_key", self.options["hash_key"]), pair[0]
        value = self.client.get(self.table, *pair)
        if value is None:
            raise StorageError("There is no row %s in %s" % (term, self.table), operation="get", code="NotFound")
        yield len(value), [value]
