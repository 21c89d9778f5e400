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

import base64
import os
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.plugins.module_utils.core.values import human, size
from ansible_collections.polystore.storage.plugins.module_utils.swift.common import (
    CONNECTION,
    container_name,
    object_name,
)


def _value(option: str, parse: Any, value: Any) -> Any:
    try:
        return parse(value)
    except ValueError as error:
        raise OptionError(option, str(error)) from None


def content(client: Any, term: Any, most: int) -> bytes:
    """The content of "container/object", at most `most` bytes. Raises StorageError."""
    container, slash, name = str(term).partition("/")
    if not slash:
        raise OptionError("_terms", "%r is not container/object" % str(term))
    container, name = _value("_terms", container_name, container), _value("_terms", object_name, name)
    found = bytearray()
    with client.stream("GET", container, name, operation="read object") as (headers, chunks):
        due = headers.get("content-length", "")
        if not due.isdigit() or int(due) <= most:
            for chunk in chunks:
                found += chunk
                if len(found) > most:
                    break
            else:
                return bytes(found)
    raise StorageError(
        "%s holds more than %s" % (term, human(most)),
        operation="read object",
        hint="Raise max_bytes, or use swift_download",
    )


class LookupModule(LookupBase):  # type: ignore[misc]
    """Reads Swift objects in the controller."""

    def run(self, terms: list[Any], variables: Any = None, **kwargs: Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        options = self.get_options()
        found = []
        try:
            most = _value("max_bytes", size, options["max_bytes"])
            client = client_for(CONNECTION, options, 8, os.environ)
            for term in terms:
                data = content(client, term, most)
                if options["encoding"] == "b64":
                    found.append(base64.b64encode(data).decode("ascii"))
                    continue
                try:
                    found.append(data.decode("utf-8"))
                except UnicodeDecodeError:
                    raise StorageError("%s is not UTF-8 text" % term, hint="Read it with encoding='b64'") from None
        except StorageError as error:
            raise AnsibleError("polystore.storage.swift_object: %s" % error.told()) from None
        return found
