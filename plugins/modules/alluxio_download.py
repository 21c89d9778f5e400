#!/usr/bin/python
# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: alluxio_download
short_description: Hold files of Alluxio as local files
version_added: 0.1.0
author: polystore.storage contributors (@polystore)
description:
  - Brings a file, or everything below a directory, to the executing host, and only what differs.
  - What is there is compared by size, and by the SHA-256 that M(polystore.storage.alluxio_file) and
    M(polystore.storage.alluxio_sync) keep beside a file's content (Alluxio 2.9.0 and later). Alluxio itself has no
    checksums, so content that others have written is read and compared as it comes.
  - One listing tells all of a tree.
  - A file is written beside its place under a temporary name, checked, flushed to disk and renamed. Alluxio cannot
    begin in the middle of a file, so a download that is cut begins anew; what had arrived is not written twice, and a
    file that was replaced meanwhile is an error.
  - A file that nobody has finished writing is an error that names it, and nothing is downloaded then. The temporary
    files of this collection's own uploads are left out.
options:
  state:
    description:
      - Local files are only ever brought here; O(prune) removes what is too much.
    choices: [present]
  path:
    description:
      - The file or directory in Alluxio.
      - Of a file O(dest) is the file, or the directory that gets it when it is there already or ends in C(/). Of a
        directory O(dest) stands for that directory, so that C(PATH/a/b) becomes C(DEST/a/b); empty directories are
        made too.
      - Required, in the task or in each item of the batch.
    type: str
  sync_metadata:
    description:
      - Have Alluxio look first at what was changed behind it, in the store that lies under it.
    type: bool
    default: false
extends_documentation_fragment:
  - polystore.storage.alluxio
  - polystore.storage.engine
  - polystore.storage.download
seealso:
  - module: polystore.storage.alluxio_sync
  - plugin: polystore.storage.alluxio_file
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: One file
  polystore.storage.alluxio_download:
    path: /reports/2026/summary.csv
    dest: /tmp/summary.csv

- name: A tree, with what is no longer there removed
  polystore.storage.alluxio_download:
    path: /site/public
    dest: /srv/www
    mode: "0644"
    prune: true
    max_delete: 20%

- name: A few files, some of which were put into the store under Alluxio
  polystore.storage.alluxio_download:
    dest: /opt/releases/
    sync_metadata: true
    batch:
      - path: /releases/app-1.2.tar.gz
      - path: /releases/app-1.3.tar.gz
"""

RETURN = r"""
resource:
  description: The local file, when one file was named.
  returned: one item without a batch, with the path of a file
  type: dict
  sample:
    action: created
    dest: /tmp/summary.csv
    digest: ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb
    mode: "0644"
    size: 1
    source: /reports/2026/summary.csv
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
      description: The path in Alluxio.
      type: str
    action:
      description: created, updated, deleted, unchanged or failed.
      type: str
    size:
      description: Size in bytes.
      type: int
    digest:
      description: SHA-256 of the content, where one is kept beside the file.
      type: str
    mode:
      description: Permissions.
      type: str
summary:
  description: How many files were created, updated, deleted, unchanged and failed; what was sent and received.
  returned: always
  type: dict
  sample: {created: 1, updated: 0, deleted: 0, unchanged: 0, failed: 0, requests: 2, writes: 0}
failures:
  description: What did not succeed, with the operation, the server's words and what to do.
  returned: failure
  type: list
  elements: dict
"""

from ansible_collections.polystore.storage.plugins.module_utils.alluxio.download import AlluxioDownload
from ansible_collections.polystore.storage.plugins.module_utils.core.host import run_module

SUBJECT = AlluxioDownload


def main() -> None:
    run_module(SUBJECT)


if __name__ == "__main__":
    main()
