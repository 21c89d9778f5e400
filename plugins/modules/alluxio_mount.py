#!/usr/bin/python
# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: alluxio_mount
short_description: Mount stores into Alluxio
version_added: 0.1.0
author: polystore.storage contributors (@polystore)
description:
  - Declares which store is mounted at which path of Alluxio. With O(state=absent) it is unmounted, and the data in the
    store stays as it is.
  - An option that is left out is left alone on the server. A run that finds everything as declared sends no write.
  - Alluxio cannot change a mount. A difference is an error, unless O(remount=true) allows to unmount it and mount it
    again.
options:
  path:
    description:
      - Absolute path at which the store appears. Nothing may be there before, and its parent has to exist.
      - Required, in the task or in each item of the batch.
    type: str
  source:
    description:
      - The store, as a URI such as V(s3://bucket/data) or V(hdfs://namenode:9000/data), or as a path that master and
        workers have.
      - A slash at its end makes no difference, and V(file:///data) is the same as V(/data).
      - Required where nothing is mounted yet.
    type: str
  read_only:
    description:
      - Whether nothing can be written to the store through Alluxio. Compared only with O(master_url).
    type: bool
  shared:
    description:
      - Whether all users of Alluxio may use the mount. Compared only with O(master_url).
    type: bool
  properties:
    description:
      - Properties of the store, such as its credentials; all that it should have. Their values are kept secret.
      - They are compared only with O(master_url). From Alluxio 2.1 on the master masks secrets, and a masked value is
        taken for equal, so a changed secret alone is not seen; unmount first to change one. What the master shows under
        another name is found by its value.
    type: dict
  remount:
    description:
      - When the mount differs, unmount it and mount it again. Readers see nothing there for a moment.
      - Without O(master_url) only O(source) can be seen to differ, and options that are not given become Alluxio's
        defaults, which is warned of.
    type: bool
    default: false
extends_documentation_fragment:
  - polystore.storage.alluxio
  - polystore.storage.engine
seealso:
  - module: polystore.storage.alluxio_directory
  - module: polystore.storage.alluxio_info
notes:
  - Alluxio 1.x has no mounts within mounts; there they are refused.
"""

EXAMPLES = r"""
- name: A bucket is mounted
  polystore.storage.alluxio_mount:
    proxy_url: http://proxy.example:39999
    path: /warehouse
    source: s3://warehouse/data
    properties:
      s3a.accessKeyId: "{{ warehouse_key }}"
      s3a.secretKey: "{{ warehouse_secret }}"

- name: Two stores, read only, mounted again when they were not
  polystore.storage.alluxio_mount:
    master_url: http://master.example:19999
    read_only: true
    remount: true
    batch:
      - path: /mnt/maps
        source: /srv/maps
      - path: /mnt/logs
        source: hdfs://namenode:9000/logs

- name: A store is not mounted any more, its data stays
  polystore.storage.alluxio_mount:
    path: /warehouse
    state: absent
"""

RETURN = r"""
resources:
  description: The mounts, with what was done to each and their state.
  returned: success, and on failure what had been done
  type: list
  elements: dict
  contains:
    path:
      description: Path of the mount point.
      type: str
    action:
      description: What was done, V(created), V(updated), V(deleted), V(unchanged) or V(failed).
      type: str
    source:
      description: The store, as Alluxio has it.
      type: str
    read_only:
      description: Whether it is read only, where that is known.
      type: bool
    shared:
      description: Whether it is shared, where that is known.
      type: bool
    properties:
      description: A short digest of the properties, where they are known.
      type: str
  sample:
    - path: /warehouse
      action: created
      source: s3://warehouse/data
resource:
  description: The mount, when the task was about one.
  returned: when one item was given
  type: dict
  sample: {path: /warehouse, action: unchanged, source: "s3://warehouse/data"}
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

from ansible_collections.polystore.storage.plugins.module_utils.alluxio.mounts import Mounts
from ansible_collections.polystore.storage.plugins.module_utils.core.host import run_module

SUBJECT = Mounts


def main() -> None:
    run_module(SUBJECT)


if __name__ == "__main__":
    main()
