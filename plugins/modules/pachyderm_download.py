#!/usr/bin/python
# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pachyderm_download
short_description: Hold files of a Pachyderm commit as local files
version_added: 0.1.0
author: polystore.storage contributors (@polystore)
description:
  - Brings a file of a commit, or everything below a directory of it, to the executing host, and only what differs.
  - What is there is compared by size, and by the content hash that Pachyderm keeps of every file and that is computed
    of the local file here, so that what is the same is never sent. Before Pachyderm 2.1.6 hashes were others, and
    content is read and compared.
  - One call tells all of a tree. All files of a task come from the same commit, whatever happens to the branch
    meanwhile.
  - A file is written beside its place under a temporary name, checked, flushed to disk and renamed. A download that is
    cut goes on where it was cut.
  - A commit that is open, because a job or somebody is writing to it, is an error, or waited for with O(wait). One that
    has failed is an error with the server's words.
options:
  state:
    description:
      - Local files are only ever brought here; O(prune) removes what is too much.
    choices: [present]
  repo:
    description:
      - The repo. That of a pipeline's output has the pipeline's name.
      - Required, in the task or in each item of the batch.
    type: str
  branch:
    description:
      - The branch whose newest commit is meant, V(master) if neither this nor O(commit) is set.
    type: str
  commit:
    description:
      - The commit, as an id of 32 digits, or counted back from an id or from the newest commit of a branch, as
        V(master^) and V(master^2).
    type: str
  path:
    description:
      - The file or directory in the commit.
      - Of a file O(dest) is the file, or the directory that gets it when it is there already or ends in C(/). Of a
        directory O(dest) stands for that directory, so that C(PATH/a/b) becomes C(DEST/a/b).
    type: str
    default: /
  wait:
    description:
      - Wait until an open commit is finished, as when a pipeline is still computing it.
    type: bool
    default: false
  wait_timeout:
    description:
      - How long O(wait) waits at most, in seconds or as V(15m).
    type: raw
    default: 300
extends_documentation_fragment:
  - polystore.storage.pachyderm
  - polystore.storage.pachyderm.project
  - polystore.storage.engine
  - polystore.storage.download
notes:
  - Hashing files of 1,000,000 bytes and more is fast with NumPy on the executing host, and slow without.
seealso:
  - module: polystore.storage.pachyderm_sync
  - plugin: polystore.storage.pachyderm_file
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: One file
  polystore.storage.pachyderm_download:
    repo: photos
    path: /liberty.png
    dest: /tmp/liberty.png

- name: What a pipeline has made, when it is ready, with what is no longer there removed
  polystore.storage.pachyderm_download:
    repo: contour
    dest: /srv/contour
    wait: true
    mode: "0644"
    prune: true
    max_delete: 20%

- name: Files as they were one commit ago
  polystore.storage.pachyderm_download:
    repo: photos
    commit: master^
    dest: /tmp/before/
    batch:
      - path: /liberty.png
"""

RETURN = r"""
resource:
  description: The local file, when one file was named.
  returned: one item without a batch, with the path of a file
  type: dict
  sample:
    action: created
    dest: /tmp/liberty.png
    digest: 1ca2ee1ec3b2ca9e4f9dd1e7fdb9a3ce46ea1c1e5f1bb36ee1e84d1a9d1ab9c2
    mode: "0644"
    size: 58644
    source: default/photos@8a3c2f4be4f14d6d8d3b5b0b3c1f6a70:/liberty.png
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
      description: Project, repo, commit and path in Pachyderm.
      type: str
    action:
      description: created, updated, deleted, unchanged or failed.
      type: str
    size:
      description: Size in bytes.
      type: int
    digest:
      description: Pachyderm's content hash.
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
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.download import PachydermDownload

SUBJECT = PachydermDownload


def main() -> None:
    run_module(SUBJECT)


if __name__ == "__main__":
    main()
