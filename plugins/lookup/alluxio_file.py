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

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.alluxio import common
from ansible_collections.polystore.storage.plugins.module_utils.alluxio.download import complete
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
from ansible_collections.polystore.storage.plugins.plugin_utils.contents import Contents, parsed


class LookupModule(Contents):
    """Reads files of Alluxio in the controller."""

    name, better = "alluxio_file", "alluxio_download"
    connection = common.CONNECTION

    @contextlib.contextmanager
    def open(self, term: Any) -> Iterator[tuple[int | None, Iterable[bytes]]]:
        path = parsed("_terms", common.path, term)
        info = self.client.get_status(path, sync=self.options["sync_metadata"])
        if info is None:
            raise StorageError("There is no file %s" % path, operation="read file", code="NOT_FOUND")
        if info["folder"]:
            raise StorageError("%s is a directory" % path, operation="read file")
        complete([info])
        self.fits(path, info["length"])
        with self.client.stream(path) as pieces:
            yield info["length"], pieces
