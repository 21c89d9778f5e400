#!/usr/bin/python
# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: swift_container
short_description: Manage containers of OpenStack Swift
version_added: 0.1.0
author: polystore.storage contributors (@polystore)
description:
  - Declares containers with their metadata, access control lists, storage policy, versioning, quotas, static web and
    cross-origin settings, synchronisation and keys of temporary URLs.
  - An option that is left out is left alone on the server. A run that finds everything as declared sends no write.
options:
  name:
    description:
      - Name of the container, 1 to 256 bytes of UTF-8 without a slash.
      - Required, in the task or in each item of the batch.
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
  read_acl:
    description:
      - Who may read, as a string or a list of its elements. An empty string clears it.
      - Blanks and the spelling of C(.referrer) make no difference.
    type: raw
  write_acl:
    description:
      - Who may write, as a string or a list of its elements. An empty string clears it.
    type: raw
  storage_policy:
    description:
      - Storage policy, by its name or an alias. It cannot be changed once the container exists.
    type: str
  versioning:
    description:
      - Whether Swift keeps old versions of objects.
    type: bool
  quota_bytes:
    description:
      - Most bytes the container may hold, as a number or a size such as V(10G). V(null) removes the quota.
    type: raw
  quota_count:
    description:
      - Most objects the container may hold. V(null) removes the quota.
    type: int
  web:
    description:
      - How the container is served as a web site. A part that is left out is left alone, an empty one is removed.
    type: dict
    suboptions:
      index:
        description: Name of the object served for a directory.
        type: str
      error:
        description: Ending of the names of the error pages.
        type: str
      listings:
        description: Whether a directory without an index is listed.
        type: bool
      listings_css:
        description: Style sheet of the listings.
        type: str
  cors:
    description:
      - What browsers may do from other origins. A part that is left out is left alone, an empty one is removed.
    type: dict
    suboptions:
      allow_origin:
        description: Origins, as a list or as a string with blanks between them.
        type: raw
      max_age:
        description: Seconds for which a browser may remember the answer.
        type: raw
      expose_headers:
        description: Names of headers, as a list or as a string with blanks between them.
        type: raw
  sync_to:
    description:
      - Container to which Swift synchronises this one. An empty string ends that.
    type: str
  sync_key:
    description:
      - The key that both containers share. An empty string removes it.
    type: str
  temp_url_keys:
    description:
      - One or two keys of temporary URLs. V(null) in the list leaves a key alone, an empty string removes it.
    type: list
    elements: raw
  force:
    description:
      - With O(state=absent), delete what is inside too, old versions as well, and the segments of its large objects
        that nothing else in the account uses.
    type: bool
    default: false
  max_delete:
    description:
      - With O(force=true), the most objects, versions and segments that may be deleted. When there are more, nothing
        is. Without it there is no limit.
    type: int
extends_documentation_fragment:
  - polystore.storage.swift
  - polystore.storage.engine
seealso:
  - module: polystore.storage.swift_object
  - module: polystore.storage.swift_account
  - module: polystore.storage.swift_info
"""

EXAMPLES = r"""
- name: A container with metadata and a quota
  polystore.storage.swift_container:
    cloud: mycloud
    name: reports
    metadata:
      owner: finance
      old-key: null
    quota_bytes: 10G

- name: A public web site
  polystore.storage.swift_container:
    name: site
    read_acl: [".r:*", .rlistings]
    web:
      index: index.html
      error: error.html

- name: Many containers at once, with old versions kept
  polystore.storage.swift_container:
    versioning: true
    batch:
      - name: invoices
      - name: contracts
        metadata: {department: legal}

- name: No container any more, whatever is in it, but never more than 1000 objects
  polystore.storage.swift_container:
    name: scratch
    state: absent
    force: true
    max_delete: 1000
"""

RETURN = r"""
resources:
  description: The containers, with what was done to each and their state. Keys appear as a short digest.
  returned: success, and on failure what had been done
  type: list
  elements: dict
  contains:
    name:
      description: Name of the container.
      type: str
    action:
      description: What was done, V(created), V(updated), V(deleted), V(unchanged) or V(failed).
      type: str
    metadata:
      description: Metadata, with lower-case keys.
      type: dict
    storage_policy:
      description: The storage policy, by its own name. Missing for a container that was just created without one.
      type: str
    object_count:
      description: Number of objects before this task.
      type: int
    bytes_used:
      description: Bytes before this task.
      type: int
  sample:
    - name: reports
      action: created
      metadata: {owner: finance}
      quota_bytes: 10737418240
resource:
  description: The container, when the task was about one.
  returned: when one item was given
  type: dict
  sample: {name: reports, action: unchanged}
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

from ansible_collections.polystore.storage.plugins.module_utils.core.host import run_module
from ansible_collections.polystore.storage.plugins.module_utils.swift.containers import Containers

SUBJECT = Containers


def main() -> None:
    run_module(SUBJECT)


if __name__ == "__main__":
    main()
