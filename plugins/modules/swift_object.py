# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: swift_object
short_description: Manage objects of OpenStack Swift
version_added: 0.1.0
author:
  - polystore.storage contributors (@polystore)
description:
  - Declares objects, their content (a local file, text, a copy of another object, or a symlink to one), metadata and
    headers.
  - Whether the content is the same is decided by sizes and checksums. Nothing is downloaded unless O(compare=content).
  - Content larger than O(segment_size) is sent in parallel segments, as a static large object. Segments are named by
    their content, so that an upload that was interrupted, or a file that changed in one place, sends only what is
    missing. The old content stays until the new is complete; then segments that nothing in the account uses any more
    are removed.
  - An option that is left out is left alone on the server. A run that finds everything as declared sends no write.
options:
  container:
    description:
      - Name of the container. It has to exist.
      - Required, in the task or in each item of the batch.
    type: str
  name:
    description:
      - Name of the object, 1 to 1024 bytes of UTF-8.
      - Required, in the task or in each item of the batch.
    type: str
  copy_from:
    description:
      - Copy this object, written as C(container/object), on the server. Metadata is not copied, the content type is.
      - Of a large object the manifest is copied; both then share their segments.
    type: str
  symlink_to:
    description:
      - Make the object a symlink to this one, written as C(container/object). It need not exist.
    type: str
  content_type:
    description:
      - Media type. A new object gets one that its name suggests; without this option it is not compared.
    type: str
  metadata:
    description:
      - Metadata to set. What is there and not named here stays; V(null) or an empty value removes a key.
      - Upper and lower case, and C(_) and C(-), make no difference in keys.
    type: dict
  purge_metadata:
    description:
      - Remove metadata that O(metadata) does not name.
    type: bool
    default: false
  expires:
    description:
      - When Swift deletes the object, a time such as V(2027-01-31T00:00:00Z), or a duration such as V(7d) from now.
        V(never) clears it.
      - A duration is the same as what is left to live when they differ by no more than a tenth, or a minute.
    type: raw
  content_encoding:
    description:
      - The header of that name. An empty string clears it.
    type: str
  content_disposition:
    description:
      - The header of that name. An empty string clears it.
    type: str
  cache_control:
    description:
      - The header of that name. An empty string clears it.
    type: str
  segment_size:
    description:
      - Content larger than this becomes a static large object with segments of this size, as bytes or V(100M).
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
      - How it is decided whether the content is the same.
      - V(checksum) compares size and MD5 (of large objects those of their segments). V(size) compares the size alone.
        V(exists) leaves an object alone that is there. V(content) downloads it.
    type: str
    choices: [checksum, size, exists, content]
    default: checksum
extends_documentation_fragment:
  - polystore.storage.swift
  - polystore.storage.engine
  - polystore.storage.content
notes:
  - Two runs at the same time for one object may remove each other's segments.
seealso:
  - module: polystore.storage.swift_sync
  - module: polystore.storage.swift_container
  - module: polystore.storage.swift_download
"""

EXAMPLES = r"""
- name: A file, with metadata
  polystore.storage.swift_object:
    container: snakebucket
    name: my_snake.txt
    src: files/my_snake.txt
    metadata:
      species: python

- name: A large file, in segments of 100 MiB on four connections
  polystore.storage.swift_object:
    container: snakebucket
    name: genome.fa
    src: /data/genome.fa
    segment_size: 100M
    parallel: 4

- name: A text that lives for a week
  polystore.storage.swift_object:
    container: snakebucket
    name: notice.html
    content: "<h1>Closed until Monday</h1>"
    expires: 7d
    cache_control: max-age=60

- name: Many objects at once
  polystore.storage.swift_object:
    container: snakebucket
    batch:
      - name: latest
        symlink_to: snakebucket/notice.html
      - name: backup/my_snake.txt
        copy_from: snakebucket/my_snake.txt
      - name: old.txt
        state: absent
"""

RETURN = r"""
resources:
  description: The objects, with what was done to each and their state.
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
      description: Metadata, with lower-case keys.
      type: dict
    expires:
      description: When it will be deleted. In a diff, what was asked for.
      type: str
    large_object:
      description: V(slo) or V(dlo) for a large object.
      type: str
    symlink_to:
      description: What a symlink leads to.
      type: str
  sample:
    - container: snakebucket
      name: my_snake.txt
      action: created
      size: 11
      checksum: 5eb63bbbe01eeed093cb22bb8f5acdc3
      content_type: text/plain
      metadata: {species: python}
resource:
  description: The object, when the task was about one.
  returned: when one item was given
  type: dict
  sample: {container: snakebucket, name: my_snake.txt, action: unchanged}
summary:
  description: How many items were created, updated, deleted, unchanged and failed; and requests, writes and bytes.
  returned: success, and on failure what had been done
  type: dict
  sample: {created: 1, updated: 0, deleted: 0, unchanged: 0, failed: 0, requests: 4, writes: 1, bytes_sent: 11}
failures:
  description: What failed, with the item, the operation, the server's code and words, and what to do about it.
  returned: failure
  type: list
  elements: dict
"""

from ansible_collections.polystore.storage.plugins.module_utils.core.host import run_module
from ansible_collections.polystore.storage.plugins.module_utils.swift.objects import ObjectResource

SUBJECT = ObjectResource


def main() -> None:
    run_module(SUBJECT)


if __name__ == "__main__":
    main()
