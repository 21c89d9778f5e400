# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: fdfs_file
short_description: Read files of FastDFS into a play
version_added: 0.1.0
author: polystore.storage contributors (@polystore)
description:
  - Gives the content of files, or a part of it. The controller reads them, whatever host the play is about.
  - The connection comes from the options, or from the environment as for the modules. C(module_defaults) do not reach
    lookups.
options:
  _terms:
    description:
      - The files, each by its id, or with O(manifest) by its name there.
    required: true
    type: list
    elements: str
  manifest:
    description:
      - Path of a manifest on the controller. The terms then are names in it.
    type: path
  offset:
    description:
      - How many bytes at the start are left out, in bytes or with a unit such as V(64k).
    type: raw
    default: 0
  bytes:
    description:
      - How many bytes are read at most; if not set, all up to the end.
    type: raw
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
  - polystore.storage.fdfs
notes:
  - Large files belong on disk, where M(polystore.storage.fdfs_download) brings them without a copy in memory.
  - The CRC32 in the id of an ordinary file is checked when the whole of it was read.
seealso:
  - module: polystore.storage.fdfs_download
"""

EXAMPLES = r"""
- name: Show a small file
  ansible.builtin.debug:
    msg: "{{ lookup('polystore.storage.fdfs_file', 'notes/today.txt', manifest='/var/lib/app/files.json') }}"

- name: Show the first bytes of a file that is known by its id
  ansible.builtin.debug:
    msg: "{{ lookup('polystore.storage.fdfs_file', report_id, bytes=16, encoding='b64', trackers=['tracker1:22122']) }}"
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

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.values import size
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.client import CONNECTION
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.download import entry_id
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.ids import FileId, Manifest, crc32
from ansible_collections.polystore.storage.plugins.plugin_utils.contents import Contents, parsed


class LookupModule(Contents):
    """Reads files of FastDFS in the controller."""

    name, better = "fdfs_file", "fdfs_download"
    connection = CONNECTION
    entries: dict[str, Any] | None
    offset: int
    count: int | None

    def begin(self) -> None:
        given = self.options
        self.offset = parsed("offset", size, given["offset"])
        self.count = None if given["bytes"] is None else parsed("bytes", size, given["bytes"])
        self.entries = Manifest.load(given["manifest"]).entries if given["manifest"] else None

    def _file(self, term: Any) -> FileId:
        if self.entries is None:
            return parsed("_terms", FileId.parse, str(term))
        if term not in self.entries:
            raise StorageError("The manifest %s has no file %s" % (self.options["manifest"], term), code="NOT_FOUND")
        return entry_id(self.options["manifest"], str(term), self.entries[term])

    @contextlib.contextmanager
    def open(self, term: Any) -> Iterator[tuple[int | None, Iterable[bytes]]]:
        file, count = self._file(term), self.count
        if count is None and file.size is not None:
            self.fits(term, file.size - self.offset)
        with self.client.stream(file, self.offset, count) as pieces:
            yield None, pieces

    def content(self, term: Any) -> bytes:
        found, file = super().content(term), self._file(term)
        if len(found) == file.size and file.crc32 not in (None, crc32(found)) and file.crc32 != crc32(found, True):
            raise StorageError(
                "%s: what arrived has another CRC32 than its id tells" % term,
                operation="read",
                hint="It was damaged on its storage: another storage of the group may still have it whole",
            )
        return found
