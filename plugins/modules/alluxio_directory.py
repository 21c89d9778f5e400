#!/usr/bin/python
# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: alluxio_directory
short_description: Manage directories of Alluxio
version_added: 0.1.0
author: polystore.storage contributors (@polystore)
description:
  - Declares directories with their permissions, owner, pinning, time to live and extended attributes, renames them, and
    deletes them.
  - An option that is left out is left alone on the server. A run that finds everything as declared sends no write.
  - A mount point, and a directory that holds one, is never deleted or renamed, on any version of Alluxio;
    M(polystore.storage.alluxio_mount) unmounts.
options:
  path:
    description:
      - Absolute path of the directory. The root may be given attributes.
      - Required, in the task or in each item of the batch.
    type: str
  parents:
    description:
      - Make missing directories above it too, with Alluxio's default attributes. One that is an item of the same batch
        gets its own, in whatever order they stand.
    type: bool
    default: true
  attributes_recursive:
    description:
      - Compare all that is below the directory too, with one recursive listing, and set what differs with a recursive
        request. Files get the same O(mode) as directories.
      - Other directories of the batch in the same tree get these attributes too, and may not give others.
      - O(replication_min) and O(replication_max) are for the files in it; without this option they are refused, because
        a directory has none.
    type: bool
    default: false
  renamed_from:
    description:
      - Path under which the directory was known before. When it is there, and O(path) is not, it is renamed. When both
        are there the task fails. When neither is, the directory is created.
    type: str
  recursive:
    description:
      - With O(state=absent), delete what is in the directory too, in the store below as well. Without it a directory
        that is not empty is an error, unless the batch declares absent all that is in it.
    type: bool
    default: false
  unchecked:
    description:
      - With O(state=absent), also delete what is in the store below and not known to Alluxio, instead of failing.
    type: bool
    default: false
  max_delete:
    description:
      - With O(recursive=true), the most files and directories below that may be deleted with the directory. When there
        are more, nothing is. Without it there is no limit.
    type: int
extends_documentation_fragment:
  - polystore.storage.alluxio
  - polystore.storage.alluxio_attributes
  - polystore.storage.engine
seealso:
  - module: polystore.storage.alluxio_file
  - module: polystore.storage.alluxio_mount
  - module: polystore.storage.alluxio_info
"""

EXAMPLES = r"""
- name: A directory, with those above it
  polystore.storage.alluxio_directory:
    proxy_url: http://proxy.example:39999
    path: /data/in
    mode: "0750"
    owner: etl

- name: Many directories, whose data leaves Alluxio's own storage after a week
  polystore.storage.alluxio_directory:
    ttl: 7d
    ttl_action: free
    batch:
      - path: /data/raw
      - path: /data/clean
        pinned: true

- name: The whole tree is readable by its group
  polystore.storage.alluxio_directory:
    path: /data/shared
    group: science
    mode: "0750"
    attributes_recursive: true

- name: A directory has got another name
  polystore.storage.alluxio_directory:
    path: /data/archive
    renamed_from: /data/old

- name: No directory any more, but never more than 1000 files and directories with it
  polystore.storage.alluxio_directory:
    path: /data/scratch
    state: absent
    recursive: true
    max_delete: 1000
"""

RETURN = r"""
resources:
  description: The directories, with what was done to each and their attributes. Of a new one only what was given.
  returned: success, and on failure what had been done
  type: list
  elements: dict
  contains:
    path:
      description: Path of the directory.
      type: str
    action:
      description: What was done, V(created), V(updated), V(deleted), V(unchanged) or V(failed).
      type: str
    mode:
      description: Permissions, such as V("0755").
      type: str
    ttl:
      description: Seconds, or V(never).
      type: raw
    xattr:
      description: Extended attributes, as text, or base64 under the key C(b64).
      type: dict
    differing_below:
      description: With O(attributes_recursive), in a C(before) only, how many things below differ, by option.
      type: dict
  sample:
    - path: /data/in
      action: created
      mode: "0750"
resource:
  description: The directory, when the task was about one.
  returned: when one item was given
  type: dict
  sample: {path: /data/in, action: unchanged, mode: "0750"}
summary:
  description: How many items were created, updated, deleted, unchanged and failed; and requests, writes and bytes.
  returned: success, and on failure what had been done
  type: dict
  sample: {created: 1, updated: 0, deleted: 0, unchanged: 0, failed: 0, requests: 3, writes: 1}
failures:
  description: What failed, with the item, the operation, the server's code and words, and what to do about it.
  returned: failure
  type: list
  elements: dict
"""

from ansible_collections.polystore.storage.plugins.module_utils.alluxio.directories import Directories
from ansible_collections.polystore.storage.plugins.module_utils.core.host import run_module

SUBJECT = Directories


def main() -> None:
    run_module(SUBJECT)


if __name__ == "__main__":
    main()
