#!/usr/bin/python
# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: alluxio_info
short_description: Ask Alluxio what is there
version_added: 0.1.0
author: polystore.storage contributors (@polystore)
description:
  - Tells about the proxy, files and directories, and mounts. Nothing is ever changed.
  - Secrets in the properties of mounts are masked, also those that Alluxio 1.x itself tells to anybody.
options:
  gather:
    description:
      - What to tell. Each is a return value of the same name.
      - V(mounts) tells all about the mounts with O(master_url). Without it the proxy has to do, which knows of a mount
        only its path and its source, and only of the root, of O(path) and of what lies directly below O(path), with
        O(recursive) at any depth.
      - If not set, V(status) with O(path), and V(proxy) without.
    type: list
    elements: str
    choices: [proxy, status, list, mounts]
  path:
    description:
      - The file or directory, for V(status) and V(list) in O(gather).
      - For V(mounts) only those at this path and below are told.
    type: str
  recursive:
    description:
      - Whether V(list) in O(gather) tells what lies at any depth below O(path), not only what lies directly in it.
    type: bool
    default: false
  limit:
    description:
      - The most rows of V(list) and of V(mounts), in the order of their paths. Without it all are told.
    type: int
  sync_metadata:
    description:
      - Have Alluxio look first at what was changed behind it, in the store that lies under it.
    type: bool
    default: false
extends_documentation_fragment:
  - polystore.storage.alluxio
  - polystore.storage.engine.query
seealso:
  - module: polystore.storage.alluxio_directory
  - module: polystore.storage.alluxio_mount
"""

EXAMPLES = r"""
- name: Which Alluxio this is, and where everything comes from
  polystore.storage.alluxio_info:
    gather: [proxy, mounts]
    master_url: http://alluxio-master.example.com:19999
  register: alluxio

- name: The files of a day, at most a hundred of them
  polystore.storage.alluxio_info:
    gather: list
    path: /logs/2026-11-21
    recursive: true
    limit: 100
  register: logs

- name: Whether a file is there
  polystore.storage.alluxio_info:
    path: /site/index.html
  register: index
  failed_when: index.status is none
"""

RETURN = r"""
proxy:
  description:
    - The proxy's version, when it was started, and those of its settings that decide how it behaves.
    - C(dialect) is V(1) or V(2), the language that these modules speak with it.
    - C(features) says what this version can do, as far as playbooks depend on it. C(mount_guard) is whether the server
      itself would refuse to delete a directory with a mount point in it; these modules refuse on every version.
  returned: when gathered
  type: dict
  sample:
    version: 2.9.6
    dialect: 2
    features: {xattr: true, replication: true, rename_overwrite: true, delete_alluxio: true, mount_guard: true}
    started: "2026-11-21T15:00:00.000Z"
    uptime_seconds: 3600
    settings: {alluxio.user.file.writetype.default: ASYNC_THROUGH, alluxio.proxy.s3.v2.version.enabled: "false"}
status:
  description:
    - The file or directory, under the names of M(polystore.storage.alluxio_file); none if there is none.
    - C(checksum) is the SHA-256 that these modules keep beside the content of a file, where there is one.
  returned: when gathered
  type: dict
  sample:
    path: /site/index.html
    type: file
    size: 120
    completed: true
    mode: "0644"
    owner: alluxio
    group: staff
    pinned: false
    ttl: never
    persistence_state: PERSISTED
    ufs_path: s3://site/index.html
    last_modified: "2026-11-21T15:00:00.000Z"
list:
  description: What is in the directory, in the order of the paths, each as in RV(status); of a file itself.
  returned: when gathered
  type: list
  elements: dict
  sample: [{path: /site/index.html, type: file, size: 120}, {path: /site/images, type: directory}]
mounts:
  description:
    - The mounts, in the order of their paths.
    - Only with O(master_url) each has C(type), C(read_only), C(shared), C(properties), C(capacity_bytes) and
      C(used_bytes).
  returned: when gathered
  type: list
  elements: dict
  sample:
    - path: /
      source: hdfs://namenode:8020/alluxio
      type: hdfs
      read_only: false
      shared: false
      properties: {}
      capacity_bytes: 1000000
      used_bytes: 2000
"""

from ansible_collections.polystore.storage.plugins.module_utils.alluxio.info import Info
from ansible_collections.polystore.storage.plugins.module_utils.core.host import run_module

SUBJECT = Info


def main() -> None:
    run_module(SUBJECT)


if __name__ == "__main__":
    main()
