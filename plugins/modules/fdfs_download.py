#!/usr/bin/python
# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: fdfs_download
short_description: Hold files of FastDFS as local files
version_added: 0.1.0
author: polystore.storage contributors (@polystore)
description:
  - Brings a file or a part of it, or all files that a manifest names, to the executing host, and only what differs.
  - What is there is compared by size and CRC32. Those of an ordinary file stand in its id; those of an appender or
    slave are asked for. Where a server's CRC32 of these is not to be trusted, and of a part of a file, the content is
    read and compared.
  - A file is written beside its place under a temporary name, checked by size and CRC32, flushed to disk and renamed.
    A download that is cut goes on where it was cut, of an ordinary file at another storage of its group.
options:
  state:
    description:
      - Local files are only ever brought here; O(prune) removes what is too much.
    choices: [present]
  name:
    description:
      - The name that the file has in O(manifest).
      - When the manifest has no such file but files below it, these are the tree that is downloaded, as C(site) or
        C(site/) names C(site/index.html). If not set, the whole manifest is the tree.
      - Of a file O(dest) is the file, or the directory that gets it when it is there already or ends in C(/). Of a
        tree O(dest) stands for what was named, so that C(site/a/b) becomes C(DEST/a/b).
    type: str
    default: ""
  manifest:
    description:
      - Path of the manifest on the executing host, which tells the ids that belong to names. It is only read.
      - Either this or O(file_id) is required, in the task or in each item of the batch. With O(file_id) it is not read.
    type: path
  file_id:
    description:
      - The id of a file, as V(group1/M00/00/00/wKgBaGkxY0aAPmCyAAAAC0hbYVY123.txt), of whatever kind it is.
    type: str
  offset:
    description:
      - How many bytes at the start of the file are left out, in bytes or with a unit such as V(64k).
    type: raw
    default: 0
  bytes:
    description:
      - How many bytes are downloaded at most; if not set, all up to the end. O(dest) then holds nothing else.
    type: raw
  verify:
    description:
      - Ask the storage about each file, so that one that has gone is an error.
      - With V(false) that is not done for ordinary files, whose id tells size and CRC32. When the local file is the
        same, nothing is sent at all.
    type: bool
    default: true
extends_documentation_fragment:
  - polystore.storage.fdfs
  - polystore.storage.engine
  - polystore.storage.download
notes:
  - Servers up to 5.11 put another CRC32 than the usual one into ids. Either is accepted; theirs is computed when the
    usual one does not fit, at some 30 MB/s.
  - An appender that is written to while it is downloaded is an error, and nothing is replaced.
seealso:
  - module: polystore.storage.fdfs_file
  - module: polystore.storage.fdfs_sync
  - plugin: polystore.storage.fdfs_file
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: A file by its name
  polystore.storage.fdfs_download:
    manifest: /var/lib/app/files.json
    name: reports/2026.pdf
    dest: /srv/reports/2026.pdf
    mode: "0644"

- name: All that the manifest has below site, and nothing else
  polystore.storage.fdfs_download:
    manifest: /var/lib/app/files.json
    name: site
    dest: /srv/site
    prune: true
    max_delete: 20%

- name: The last part of a log, by its id
  polystore.storage.fdfs_download:
    file_id: group1/M00/00/00/fwAAA2ktaauEAAAAAAAAADYWuzU421.log
    offset: 64k
    dest: /tmp/tail.log
"""

RETURN = r"""
resource:
  description: The local file, when one file was named.
  returned: one item without a batch, that is no tree
  type: dict
  sample:
    action: created
    dest: /srv/reports/2026.pdf
    digest: 4b5e2a10
    mode: "0644"
    size: 58644
    source: group1/M00/00/00/wKgBaGkxY0aAPmCyAAAAC0hbYVY123.pdf
resources:
  description: The local files, as far as O(result_detail) wants them.
  returned: always
  type: list
  elements: dict
  contains:
    dest:
      description: The local path.
      type: str
    source:
      description: The file's id.
      type: str
    action:
      description: created, updated, deleted, unchanged or failed.
      type: str
    size:
      description: Size in bytes.
      type: int
    digest:
      description: The CRC32, as eight hexadecimal digits, where it is known of the whole.
      type: str
    mode:
      description: Permissions.
      type: str
summary:
  description: How many files were created, updated, deleted, unchanged and failed; what was sent and received.
  returned: always
  type: dict
  sample: {created: 1, updated: 0, deleted: 0, unchanged: 0, failed: 0, requests: 4, writes: 0}
failures:
  description: What did not succeed, with the operation, the server's words and what to do.
  returned: failure
  type: list
  elements: dict
"""

from ansible_collections.polystore.storage.plugins.module_utils.core.host import run_module
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.download import FdfsDownload

SUBJECT = FdfsDownload


def main() -> None:
    run_module(SUBJECT)


if __name__ == "__main__":
    main()
