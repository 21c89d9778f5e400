# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: swift_object
short_description: Read OpenStack Swift objects into a play
version_added: 0.1.0
author: polystore.storage contributors (@polystore)
description:
  - Gives the content of objects. The controller reads them, whatever host the play is about.
  - The connection comes from the options, or from the environment as for the modules. C(module_defaults) do not reach
    lookups.
options:
  _terms:
    description: The objects, each as C(container/object).
    required: true
    type: list
    elements: str
  encoding:
    description:
      - V(text) is UTF-8 text. V(b64) is base64, for everything else.
    type: str
    choices: [text, b64]
    default: text
  max_bytes:
    description:
      - The largest content that is read, in bytes or with a unit such as V(64k). More is an error.
    type: raw
    default: 1M
extends_documentation_fragment:
  - polystore.storage.swift
notes:
  - Large files belong on disk, where M(polystore.storage.swift_download) brings them without a copy in memory.
seealso:
  - module: polystore.storage.swift_download
"""

EXAMPLES = r"""
- name: Show a small object
  ansible.builtin.debug:
    msg: "{{ lookup('polystore.storage.swift_object', 'snakebucket/my_snake.txt') }}"

- name: Write a binary one to the hosts of the play
  ansible.builtin.copy:
    content: "{{ lookup('polystore.storage.swift_object', 'keys/app.key', cloud='mine', encoding='b64') | b64decode }}"
    dest: /etc/app.key
    mode: "0600"
"""

RETURN = r"""
_raw:
  description: The content of each object.
  type: list
  elements: str
"""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError
from ansible_collections.polystore.storage.plugins.module_utils.swift.common import (
    CONNECTION,
    container_name,
    object_name,
)
from ansible_collections.polystore.storage.plugins.plugin_utils.contents import Contents, parsed


class LookupModule(Contents):
    """Reads Swift objects in the controller."""

    name, better = "swift_object", "swift_download"
    connection = CONNECTION

    @contextlib.contextmanager
    def open(self, term: Any) -> Iterator[tuple[int | None, Iterable[bytes]]]:
        container, slash, name = str(term).partition("/")
        if not slash:
            raise OptionError("_terms", "%r is not container/object" % str(term))
        container, name = parsed("_terms", container_name, container), parsed("_terms", object_name, name)
        with self.client.stream("GET", container, name, operation="read object") as (headers, pieces):
            due = headers.get("content-length", "")
            yield int(due) if due.isdigit() else None, pieces
