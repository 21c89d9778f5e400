# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: fdfs_file
short_description: Manage files in FastDFS by name
version_added: 0.1.0
author: polystore.storage contributors (@polystore)
description:
  - Declares files, their content and their metadata. FastDFS gives every upload a new id and knows no names, so a
    manifest on the executing host keeps them.
extends_documentation_fragment:
  - polystore.storage.fdfs
  - polystore.storage.fdfs.file
  - polystore.storage.engine
  - polystore.storage.content
seealso:
  - module: polystore.storage.fdfs_sync
  - module: polystore.storage.fdfs_download
  - module: polystore.storage.fdfs_info
"""

EXAMPLES = r"""
- name: A file
  polystore.storage.fdfs_file:
    name: logo
    manifest: /srv/app/files.json
    src: files/logo.png
    metadata:
      width: 640
  register: logo

- name: A picture, and a smaller one that belongs to it
  polystore.storage.fdfs_file:
    manifest: /srv/app/files.json
    batch:
      - {name: liberty, src: files/liberty.jpg}
      - {name: liberty small, src: files/liberty-150.jpg, master: liberty, prefix: _150x150}

- name: A log, to which only what is new is appended
  polystore.storage.fdfs_file:
    name: history
    manifest: /srv/app/files.json
    type: appender
    src: /var/log/history.log

- name: A file that is not needed any more, by its id
  polystore.storage.fdfs_file:
    file_id: group1/M00/00/00/wKgBQ2cL4VyABCDEAAAAC7f3YtE123.txt
    state: absent
"""

RETURN = r"""
resources:
  description: The files, with what was done to each and their state.
  returned: success, and on failure what had been done
  type: list
  elements: dict
  contains:
    action:
      description: What was done, V(created), V(updated), V(deleted), V(unchanged) or V(failed).
      type: str
    file_id:
      description: Id in FastDFS.
      type: str
    size:
      description: Bytes.
      type: int
    crc32:
      description: CRC32 of the content in hexadecimal, where it is known without reading it.
      type: str
    recorded:
      description: V(false) for a slave that is there and not in the manifest; of others nothing is said.
      type: bool
resource:
  description: The file, when the task was about one.
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
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.files import FileResource

SUBJECT = FileResource


def main() -> None:
    run_module(SUBJECT)


if __name__ == "__main__":
    main()
