# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: alluxio_sync
short_description: Send a local directory to Alluxio
version_added: 0.1.0
author:
  - polystore.storage contributors (@polystore)
description:
  - Declares that the files below a local directory are files below a directory of Alluxio, whatever else is there.
  - What is there is found with one listing for each directory that matters, several at a time, and compared with the
    local files. Only what differs is sent, on several connections.
  - Each file is written beside its own name, checked, and renamed, as M(polystore.storage.alluxio_file) does it.
    Directories are made where they are missing; empty ones are not declared.
  - A file that is replaced keeps its attributes; those given here are for files that are new.
options:
  path:
    description:
      - Absolute path of the directory where the tree belongs. The file C(a/b) below O(src) becomes C(a/b) below it.
      - Required, in the task or in each item of the batch.
    type: str
  compare:
    description:
      - How it is decided whether a file is the same. An incomplete file never is, and neither is one whose content
        is neither in Alluxio nor in the store below.
      - V(checksum) compares the length and the SHA-256 that is kept with the file. Where there is none, the content is
        read and compared once, if the length is the same, and its SHA-256 is kept from then on.
      - V(content) reads and compares the content in every run. V(size) compares the length alone. V(exists) leaves a
        file alone that is there.
    type: str
    choices: [checksum, content, size, exists]
    default: checksum
extends_documentation_fragment:
  - polystore.storage.alluxio
  - polystore.storage.alluxio_attributes
  - polystore.storage.engine
  - polystore.storage.tree
notes:
  - With O(prune=true), files below O(path) that no local file belongs to are deleted, and then the directories in which
    nothing is left. O(max_delete) counts both. What O(exclude) names stays, with the directories above it.
  - A mount point inside the tree, and what lies below it, is never pruned. When no file of the tree belongs below it
    and it is not excluded, the task fails and names it.
  - With O(shard), directories are not pruned.
  - With O(state=absent), the files that the local files stand for are deleted, and nothing else.
  - Keeping the SHA-256 of a file that had none is a write, which RV(summary) counts, but no change; not done in check
    mode. Alluxio before 2.9.0 keeps none, so that V(checksum) reads and compares the content in every run where the
    lengths are equal; O(compare=size) does not.
  - Before Alluxio 2.9.1 a file that is replaced is missing for a moment.
  - Temporary files of runs that died are removed by the next run. Two runs at the same time for one tree may remove
    each other's.
seealso:
  - module: polystore.storage.alluxio_file
  - module: polystore.storage.alluxio_directory
  - module: polystore.storage.alluxio_download
"""

EXAMPLES = r"""
- name: A directory of results, and nothing else in its place
  polystore.storage.alluxio_sync:
    src: /data/results
    path: /archive/results
    prune: true

- name: Without temporary files; new files belong to the analysts
  polystore.storage.alluxio_sync:
    src: /data/results
    path: /archive/2026-11-20
    exclude: ["*.tmp", "cache/"]
    group: analysts
    mode: "0640"

- name: Two trees in one task
  polystore.storage.alluxio_sync:
    batch:
      - {src: /data/a, path: /archive/a}
      - {src: /data/b, path: /archive/b, compare: size}
"""

RETURN = r"""
resources:
  description:
    - The files, with what was done to each and their state. By default all of them up to 100, and above that those that
      changed. Directories are only there when they were deleted.
  returned: success, and on failure what had been done
  type: list
  elements: dict
  contains:
    path:
      description: Absolute path.
      type: str
    action:
      description: What was done, V(created), V(updated), V(deleted), V(unchanged) or V(failed).
      type: str
    size:
      description: Bytes.
      type: int
    checksum:
      description: SHA-256 of the content, where it is known without reading it.
      type: str
    completed:
      description: V(false) for a file that is incomplete; of others nothing is said.
      type: bool
    lost:
      description: V(true) for a file whose content is neither in Alluxio nor below; of others nothing is said.
      type: bool
  sample:
    - path: /archive/results/index.html
      action: created
      size: 11
      checksum: b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9
summary:
  description: How many files were created, updated, deleted, unchanged and failed; and requests, writes and bytes.
  returned: success, and on failure what had been done
  type: dict
  sample: {created: 2, updated: 0, deleted: 0, unchanged: 5, failed: 0, requests: 12, writes: 8, bytes_sent: 9021}
failures:
  description: What failed, with the item, the operation, the server's code and words, and what to do about it.
  returned: failure
  type: list
  elements: dict
"""

from ansible_collections.polystore.storage.plugins.module_utils.alluxio.sync import SyncResource
from ansible_collections.polystore.storage.plugins.module_utils.core.host import run_module

SUBJECT = SyncResource


def main() -> None:
    run_module(SUBJECT)


if __name__ == "__main__":
    main()
