#!/usr/bin/python
# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: swift_download
short_description: Hold OpenStack Swift objects as local files
version_added: 0.1.0
author: polystore.storage contributors (@polystore)
description:
  - Brings an object, everything below a prefix, or a whole container to the executing host, and only what differs.
  - What is there is compared by size and MD5, of large objects by the MD5 of their segments; one listing of the
    container tells that of a whole tree. An object of which the listing cannot tell that (empty ones, dynamic large
    objects, symlinks) costs a request more.
  - A file is written beside its place under a temporary name, checked, flushed to disk and renamed. A download that is
    cut goes on where it was cut, as long as the object is still the same one.
  - A name that would lead out of O(dest), and a symbolic link in the way below O(dest), is refused before anything is
    written.
options:
  state:
    description:
      - Local files are only ever brought here; O(prune) removes what is too much.
    choices: [present]
  container:
    description:
      - Name of the container.
      - Required, in the task or in each item of the batch.
    type: str
  name:
    description:
      - The one object to download. O(dest) is then the file, or the directory that gets it when it is there already or
        ends in C(/).
    type: str
  prefix:
    description:
      - Download all objects below this prefix, which is taken for a directory. The object C(PREFIX/a/b) becomes
        C(DEST/a/b). An object whose content type is C(application/directory) becomes a directory.
      - With neither O(name) nor O(prefix) the whole container is meant.
    type: str
extends_documentation_fragment:
  - polystore.storage.swift
  - polystore.storage.engine
  - polystore.storage.download
"""

EXAMPLES = r"""
- name: One object
  polystore.storage.swift_download:
    container: snakebucket
    name: my_snake.txt
    dest: /tmp/my_snake.txt

- name: A tree, with what is no longer there removed
  polystore.storage.swift_download:
    container: website
    prefix: public
    dest: /srv/www
    mode: "0644"
    prune: true
    max_delete: 20%

- name: A few objects
  polystore.storage.swift_download:
    container: releases
    dest: /opt/releases/
    batch:
      - name: app-1.2.tar.gz
      - name: app-1.3.tar.gz
"""

RETURN = r"""
resource:
  description: The local file, when one object was named.
  returned: one item without a batch, with O(name)
  type: dict
  sample:
    action: created
    dest: /tmp/my_snake.txt
    digest: 0cc175b9c0f1b6a831c399e269772661
    mode: "0644"
    size: 1
    source: snakebucket/my_snake.txt
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
      description: Container and name of the object.
      type: str
    action:
      description: created, updated, deleted, unchanged or failed.
      type: str
    size:
      description: Size in bytes.
      type: int
    digest:
      description: MD5 of the content; of a large object the MD5 of its segments' MD5s.
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

from ansible_collections.polystore.storage.plugins.module_utils.core.host import run_module
from ansible_collections.polystore.storage.plugins.module_utils.swift.download import SwiftDownload

SUBJECT = SwiftDownload


def main() -> None:
    run_module(SUBJECT)


if __name__ == "__main__":
    main()
