#!/usr/bin/python
# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: fdfs_sync
short_description: Send a local directory to FastDFS
version_added: 0.1.0
author: polystore.storage contributors (@polystore)
description:
  - Declares that the files below a local directory are files of FastDFS, under their names in a manifest.
  - What is there is known from the manifest and the ids in it, which tell size and CRC32 of a file; each file is asked
    for on its storage, unless O(verify) says otherwise. Only what differs is sent, on several connections.
  - FastDFS never replaces a file. A new one is stored, its id is recorded in the manifest, flushed to disk, and then
    the old one is deleted. A run that is killed at any point loses no file, and what it leaves the next run deletes.
options:
  manifest:
    description:
      - Path of the manifest on the executing host, which keeps the ids that belong to names. It is made where it is
        missing. See M(polystore.storage.fdfs_file) for what it holds.
      - Required, in the task or in each item of the batch.
    type: path
  prefix:
    description:
      - What the names begin with, as a directory. The file C(a/b) below O(src) is named C(a/b) below it.
    type: str
    default: ""
  file_group:
    description:
      - The group of FastDFS that the files are in. One in another group is stored anew.
      - If not set, the trackers choose for each new file, and one that is there stays where it is.
    type: str
  metadata:
    description:
      - Metadata that every file has, up to 64 bytes a name and 256 a value. What else a file has stays; a null removes
        a name.
    type: dict
  verify:
    description:
      - Ask each file's storage whether the file is there, which is one request a file, and a second one with
        O(metadata).
      - With V(false) the manifest is believed, and when nothing differs nothing is sent at all. What somebody else has
        deleted is not noticed then.
    type: bool
    default: true
  compare:
    description:
      - How it is decided whether a file is the same.
      - V(checksum) compares the size and the CRC32, V(size) the size alone. V(exists) leaves a file alone that is
        there.
    type: str
    choices: [checksum, size, exists]
    default: checksum
  lock_timeout:
    description:
      - How long to wait for another run that holds the manifest, in seconds or as V(15m). V(never) waits without end.
    type: raw
    default: 600
extends_documentation_fragment:
  - polystore.storage.fdfs
  - polystore.storage.engine
  - polystore.storage.tree
notes:
  - With O(prune=true), the names below O(prefix) that no local file belongs to are removed, with their files. Appenders
    and slaves are declared with M(polystore.storage.fdfs_file), and never pruned; where one has the name of a local
    file the task fails.
  - With O(state=absent), the files that the local files stand for are deleted, with their names, and nothing else.
  - A file gets the extension of its name where FastDFS can have it, at most 6 letters and digits, and none otherwise.
  - A file that is replaced keeps its metadata. Its slaves stay with the old id until M(polystore.storage.fdfs_file)
    declares them again.
seealso:
  - module: polystore.storage.fdfs_file
  - module: polystore.storage.fdfs_download
  - module: polystore.storage.fdfs_info
"""

EXAMPLES = r"""
- name: A directory of images, and no other names in the manifest
  polystore.storage.fdfs_sync:
    src: /data/images
    manifest: /var/lib/app/images.json
    prune: true

- name: Without temporary files, below a name, in one group and described
  polystore.storage.fdfs_sync:
    src: /data/results
    manifest: /var/lib/app/files.json
    prefix: results/2026-11-20
    exclude: ["*.tmp", "cache/"]
    file_group: group1
    metadata:
      project: birds

- name: Two trees, trusting the manifest
  polystore.storage.fdfs_sync:
    manifest: /var/lib/app/files.json
    verify: false
    batch:
      - {src: /data/a, prefix: a}
      - {src: /data/b, prefix: b, compare: size}
"""

RETURN = r"""
resources:
  description:
    - The files, with what was done to each and their state. By default all of them up to 100, and above that those that
      changed.
  returned: success, and on failure what had been done
  type: list
  elements: dict
  contains:
    name:
      description: The name in the manifest.
      type: str
    manifest:
      description: Path of the manifest.
      type: str
    action:
      description: What was done, V(created), V(updated), V(deleted), V(unchanged) or V(failed).
      type: str
    file_id:
      description: The id; a file that is still to be stored has none.
      type: str
    file_group:
      description: The group that the file is in.
      type: str
    size:
      description: Bytes.
      type: int
    crc32:
      description: The CRC32 of the content, as eight hexadecimal digits.
      type: str
    metadata:
      description: All metadata of the file, when some were declared.
      type: dict
  sample:
    - name: index.html
      manifest: /var/lib/app/files.json
      action: created
      file_id: group1/M00/00/00/wKgBaGkxY0aAPmCyAAAAC0hbYVY12.html
      file_group: group1
      size: 11
      crc32: 0d4a1185
summary:
  description: How many files were created, updated, deleted, unchanged and failed; and requests, writes and bytes.
  returned: success, and on failure what had been done
  type: dict
  sample: {created: 2, updated: 0, deleted: 0, unchanged: 5, failed: 0, requests: 9, writes: 2, bytes_sent: 9021}
failures:
  description: What failed, with the item, the operation, the server's code and words, and what to do about it.
  returned: failure
  type: list
  elements: dict
"""

from ansible_collections.polystore.storage.plugins.module_utils.core.host import run_module
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.sync import SyncResource

SUBJECT = SyncResource


def main() -> None:
    run_module(SUBJECT)


if __name__ == "__main__":
    main()
