# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: alluxio_file
short_description: Read files of Alluxio into a play
version_added: 0.1.0
author: polystore.storage contributors (@polystore)
description:
  - Gives the content of files. The controller reads them, whatever host the play is about.
  - The connection comes from the options, or from the environment as for the modules. C(module_defaults) do not reach
    lookups.
options:
  _terms:
    description: The paths of the files.
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
  sync_metadata:
    description:
      - Have Alluxio look first at what was changed behind it, in the store that lies under it.
    type: bool
    default: false
extends_documentation_fragment:
  - polystore.storage.alluxio
notes:
  - Large files belong on disk, where M(polystore.storage.alluxio_download) brings them without a copy in memory.
seealso:
  - module: polystore.storage.alluxio_download
"""

EXAMPLES = r"""
- name: Show a small file
  ansible.builtin.debug:
    msg: "{{ lookup('polystore.storage.alluxio_file', '/reports/2026/summary.csv', proxy_url='http://alluxio:39999') }}"

- name: Write a binary one to another place
  polystore.storage.alluxio_file:
    path: /backup/app.key
    content_b64: "{{ lookup('polystore.storage.alluxio_file', '/keys/app.key', encoding='b64') }}"
    mode: "0600"
"""

RETURN = r"""
_raw:
  description: The content of each file.
  type: list
  elements: str
"""

import base64
import os
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible_collections.polystore.storage.plugins.module_utils.alluxio import common
from ansible_collections.polystore.storage.plugins.module_utils.alluxio.download import complete
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.plugins.module_utils.core.values import human, size


def _value(option: str, parse: Any, value: Any) -> Any:
    try:
        return parse(value)
    except ValueError as error:
        raise OptionError(option, str(error)) from None


def content(client: Any, term: Any, most: int, sync: bool = False) -> bytes:
    """The content of the file with this path, at most `most` bytes. Raises StorageError."""
    path = _value("_terms", common.path, term)
    info = client.get_status(path, sync=sync)
    if info is None:
        raise StorageError("There is no file %s" % path, operation="read file", code="NOT_FOUND")
    if info["folder"]:
        raise StorageError("%s is a directory" % path, operation="read file")
    complete([info])
    found = bytearray()
    if info["length"] <= most:
        with client.stream(path) as chunks:
            for chunk in chunks:
                found += chunk
                if len(found) > most:
                    break
            else:
                if len(found) == info["length"]:
                    return bytes(found)
                raise StorageError(
                    "%s: %d bytes arrived where %d were due" % (path, len(found), info["length"]),
                    operation="read file",
                    hint="It was probably changed meanwhile: run again",
                )
    raise StorageError(
        "%s holds more than %s" % (path, human(most)),
        operation="read file",
        hint="Raise max_bytes, or use alluxio_download",
    )


class LookupModule(LookupBase):  # type: ignore[misc]
    """Reads files of Alluxio in the controller."""

    def run(self, terms: list[Any], variables: Any = None, **kwargs: Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        options = self.get_options()
        found = []
        try:
            most = _value("max_bytes", size, options["max_bytes"])
            client = client_for(common.CONNECTION, options, 8, os.environ)
            for term in terms:
                data = content(client, term, most, options["sync_metadata"])
                if options["encoding"] == "b64":
                    found.append(base64.b64encode(data).decode("ascii"))
                    continue
                try:
                    found.append(data.decode("utf-8"))
                except UnicodeDecodeError:
                    raise StorageError("%s is not UTF-8 text" % term, hint="Read it with encoding='b64'") from None
        except StorageError as error:
            raise AnsibleError("polystore.storage.alluxio_file: %s" % error.told()) from None
        return found
