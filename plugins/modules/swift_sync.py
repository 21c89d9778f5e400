# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: swift_sync
short_description: Send a local directory to a container of OpenStack Swift
version_added: 0.1.0
author:
  - polystore.storage contributors (@polystore)
description:
  - Declares that the files below a local directory are objects of a container, whatever else the container holds.
  - What is there is found with one listing of the container, and compared by size and MD5 with the local files. Only
    what differs is sent, on several connections at a time.
  - Files larger than O(segment_size) are sent in segments that are named by their content, as static large objects;
    segments that nothing in the account uses any more are removed at the end.
  - An object that is replaced keeps its metadata, its headers and its content type, unless options say otherwise.
options:
  container:
    description:
      - Name of the container. It has to exist.
      - Required, in the task or in each item of the batch.
    type: str
  prefix:
    description:
      - The directory in the container where the tree belongs. V(pages) and V(pages/) are the same; the file C(a/b)
        below O(src) becomes the object C(pages/a/b).
    type: str
    default: ""
  content_types:
    description:
      - Media types by pattern, for example C("*.js") with V(text/javascript). The first pattern that matches the path
        below O(src) counts.
      - A new object that no pattern matches gets a type that its name suggests; the type of others is left alone.
    type: dict
  metadata:
    description:
      - Metadata that the objects of the tree should have, beside what they have. V(null) or an empty value removes a
        key.
      - A listing does not show metadata. When this option is given, each object is asked for, one request each.
    type: dict
  segment_size:
    description:
      - Files larger than this become static large objects with segments of this size, as bytes or V(100M).
      - The server's own largest object size is the limit.
    type: raw
    default: 1G
  segment_container:
    description:
      - Container of the segments. The default is O(container) with C(_segments) behind it. It is made when it is
        needed, with the storage policy of O(container).
    type: str
  compare:
    description:
      - How it is decided whether a file and its object are the same.
      - V(checksum) compares size and MD5. V(size) compares the size alone. V(exists) leaves an object alone that is
        there.
    type: str
    choices: [checksum, size, exists]
    default: checksum
extends_documentation_fragment:
  - polystore.storage.swift
  - polystore.storage.engine
  - polystore.storage.tree
notes:
  - With O(prune=true), objects below O(prefix) that no file belongs to are deleted. Directory
    markers stay unless O(include) names them, and so do the segments of large objects.
  - With O(state=absent), the objects that the local files stand for are deleted, and nothing else.
  - Two runs at the same time for one tree may remove each other's segments.
seealso:
  - module: polystore.storage.swift_object
  - module: polystore.storage.swift_container
  - module: polystore.storage.swift_download
"""

EXAMPLES = r"""
- name: A web site, and nothing else in its container
  polystore.storage.swift_sync:
    src: build/site
    container: site
    prune: true
    content_types:
      "*.mjs": text/javascript

- name: Yesterday's results below a prefix, without temporary files
  polystore.storage.swift_sync:
    src: /data/results
    container: archive
    prefix: results/2026-11-20/
    exclude: ["*.tmp", "cache/"]
    metadata:
      run: nightly

- name: Two trees in one task
  polystore.storage.swift_sync:
    container: archive
    batch:
      - {src: /data/a, prefix: a/}
      - {src: /data/b, prefix: b/, segment_size: 100M}
"""

RETURN = r"""
resources:
  description:
    - The objects, with what was done to each and their state. By default all of them up to 100, and above that those
      that changed.
  returned: success, and on failure what had been done
  type: list
  elements: dict
  contains:
    container:
      description: Name of the container.
      type: str
    name:
      description: Name of the object.
      type: str
    action:
      description: What was done, V(created), V(updated), V(deleted), V(unchanged) or V(failed).
      type: str
    size:
      description: Bytes.
      type: int
    checksum:
      description: MD5 of the content; of a large object the MD5 of the MD5s of its segments.
      type: str
    content_type:
      description: Media type.
      type: str
    metadata:
      description: Metadata, where O(metadata) was given.
      type: dict
  sample:
    - container: site
      name: index.html
      action: created
      size: 11
      checksum: 5eb63bbbe01eeed093cb22bb8f5acdc3
      content_type: text/html
summary:
  description: How many objects were created, updated, deleted, unchanged and failed; and requests, writes and bytes.
  returned: success, and on failure what had been done
  type: dict
  sample: {created: 2, updated: 0, deleted: 0, unchanged: 5, failed: 0, requests: 4, writes: 2, bytes_sent: 9021}
failures:
  description: What failed, with the item, the operation, the server's code and words, and what to do about it.
  returned: failure
  type: list
  elements: dict
"""

from ansible_collections.polystore.storage.plugins.module_utils.core.host import run_module
from ansible_collections.polystore.storage.plugins.module_utils.swift.sync import SyncResource

SUBJECT = SyncResource


def main() -> None:
    run_module(SUBJECT)


if __name__ == "__main__":
    main()
