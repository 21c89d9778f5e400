# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: alluxio_file
short_description: Manage files in Alluxio
version_added: 0.1.0
author:
  - polystore.storage contributors (@polystore)
description:
  - Declares files, their content (a local file, text or base64) and their attributes.
  - Files in Alluxio are written once. New content is written beside the file under a hidden name, its length is
    checked, and then it is renamed, so that a reader sees the old content or the new, and never a part of it.
  - Whether the content is the same is decided by the length and by a SHA-256 that this collection keeps in an extended
    attribute (C(polystore.digest)) of the files it writes. See O(compare) for files that have none.
  - Directories above the file are made where they are missing. A directory at O(path) is never replaced or removed.
  - An option that is left out is left alone on the server, also when the content is replaced.
options:
  path:
    description:
      - Absolute path of the file, such as V(/data/in/1.csv).
      - Required, in the task or in each item of the batch.
    type: str
  block_size:
    description:
      - Size of the blocks of content that is written, as bytes or V(64M). A file that has the content already is not
        written anew for it.
    type: raw
  renamed_from:
    description:
      - Absolute path that the file had before. When only that one is there, it is renamed; when both are, the task
        fails.
    type: str
  compare:
    description:
      - How it is decided whether the content is the same. An incomplete file, which somebody is writing or has left so,
        never is, and neither is one whose content is neither in Alluxio nor in the store below.
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
  - polystore.storage.content
notes:
  - Keeping the SHA-256 of a file that had none is a write, which RV(summary) counts, but no change of it; that is not
    done in check mode, and the task does not report a change because of it.
  - Alluxio before 2.9.0 keeps no extended attributes. V(checksum) then reads and compares the content in every run
    when the lengths are equal; O(compare=size) does not.
  - From Alluxio 2.9.1 on a file is replaced in one step. Before, the old one is deleted and the new one renamed right
    after, so that for a moment there is none; a run that dies in between is finished by the next one.
  - Temporary files are called C(.polystore-) with a digest of the path and a random part. Those of runs that died are
    removed by the next run that writes the same file.
  - A run that writes a file lists its directory once. Declare many files with O(batch) rather than in a loop.
  - The C(ttl) of a file whose content is replaced counts anew.
  - Two runs at the same time for one file may remove each other's temporary files; one of them then fails.
  - A change that was made in the store below, behind Alluxio's back, is seen with O(sync_metadata=true).
seealso:
  - module: polystore.storage.alluxio_directory
  - module: polystore.storage.alluxio_sync
  - module: polystore.storage.alluxio_download
"""

EXAMPLES = r"""
- name: A file, with directories above it
  polystore.storage.alluxio_file:
    path: /data/in/snakes.csv
    src: files/snakes.csv
    mode: "0640"

- name: A text that Alluxio drops from its cache after a week
  polystore.storage.alluxio_file:
    path: /data/notice.txt
    content: "Closed until Monday"
    ttl: 7d
    ttl_action: free

- name: A file that had another name
  polystore.storage.alluxio_file:
    path: /data/in/today.csv
    renamed_from: /data/in/new.csv

- name: Many files at once
  polystore.storage.alluxio_file:
    group: analysts
    batch:
      - {path: /data/a, content: "a"}
      - {path: /data/b, src: files/b.bin, pinned: true}
      - {path: /data/old, state: absent}
"""

RETURN = r"""
resources:
  description: The files, with what was done to each and their state.
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
    mode:
      description: Permissions, such as V(0644).
      type: str
    owner:
      description: User.
      type: str
    group:
      description: Group.
      type: str
    pinned:
      description: Whether it stays in Alluxio.
      type: bool
    ttl:
      description: Seconds to live, or V(never).
      type: raw
    ttl_action:
      description: What happens then.
      type: str
    replication_min:
      description: Least number of copies in Alluxio.
      type: int
    replication_max:
      description: Most copies in Alluxio; V(-1) for no limit.
      type: int
    xattr:
      description: Extended attributes.
      type: dict
  sample:
    - path: /data/in/snakes.csv
      action: created
      size: 11
      checksum: b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9
      mode: "0640"
      owner: alluxio
      group: alluxio
      pinned: false
      ttl: never
      replication_min: 0
      replication_max: -1
      xattr: {}
resource:
  description: The file, when the task was about one.
  returned: when one item was given
  type: dict
  sample: {path: /data/in/snakes.csv, action: unchanged}
summary:
  description: How many items were created, updated, deleted, unchanged and failed; and requests, writes and bytes.
  returned: success, and on failure what had been done
  type: dict
  sample: {created: 1, updated: 0, deleted: 0, unchanged: 0, failed: 0, requests: 8, writes: 4, bytes_sent: 11}
failures:
  description: What failed, with the item, the operation, the server's code and words, and what to do about it.
  returned: failure
  type: list
  elements: dict
"""

from ansible_collections.polystore.storage.plugins.module_utils.alluxio.files import FileResource
from ansible_collections.polystore.storage.plugins.module_utils.core.host import run_module

SUBJECT = FileResource


def main() -> None:
    run_module(SUBJECT)


if __name__ == "__main__":
    main()
