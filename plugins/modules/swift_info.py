#!/usr/bin/python
# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: swift_info
short_description: Ask OpenStack Swift what is there
version_added: 0.1.0
author: polystore.storage contributors (@polystore)
description:
  - Tells about the account, its containers and objects, and what the server can do. Nothing is ever changed.
  - Keys and other secrets appear as a short digest.
options:
  gather:
    description:
      - What to tell. Each is a return value of the same name.
      - If not set, V(object) with O(name), V(container) with O(container) alone, and V(account) with neither.
    type: list
    elements: str
    choices: [account, containers, container, objects, object, capabilities]
  container:
    description:
      - Name of the container, for V(container), V(objects) and V(object) in O(gather).
    type: str
  name:
    description:
      - Name of the object, for V(object) in O(gather).
    type: str
  prefix:
    description:
      - Only containers or objects whose names begin like this.
    type: str
    default: ""
  delimiter:
    description:
      - Names that go on after this text are told once, as far as the text, with C(subdir) set.
    type: str
    default: ""
  limit:
    description:
      - The most rows of V(containers) and of V(objects). Without it all are told.
    type: int
extends_documentation_fragment:
  - polystore.storage.swift
  - polystore.storage.engine.query
seealso:
  - module: polystore.storage.swift_container
  - module: polystore.storage.swift_account
"""

EXAMPLES = r"""
- name: What the account holds
  polystore.storage.swift_info:
    cloud: mycloud
    gather: [account, containers]
  register: swift

- name: What lies below a directory of a container
  polystore.storage.swift_info:
    container: site
    gather: objects
    prefix: images/
    delimiter: /
  register: images

- name: Whether an object is there
  polystore.storage.swift_info:
    container: site
    name: index.html
  register: index
  failed_when: index.object is none
"""

RETURN = r"""
account:
  description: The account, with its address, metadata, quota and totals. Swift counts with a delay.
  returned: when gathered
  type: dict
  sample: {storage_url: "https://swift.example.com/v1/AUTH_7d1f", container_count: 2, metadata: {}, quota_bytes: null}
containers:
  description: The containers, with their totals.
  returned: when gathered
  type: list
  elements: dict
  sample: [{name: site, object_count: 12, bytes_used: 34567, last_modified: "2026-11-21T15:00:00.000000"}]
container:
  description: The container's state under the names of M(polystore.storage.swift_container), none if there is none.
  returned: when gathered
  type: dict
  sample: {name: site, read_acl: ".r:*,.rlistings", storage_policy: standard, versioning: false, object_count: 12}
objects:
  description: The objects of the container as its listing tells them. A dynamic large object appears there as empty.
  returned: when gathered
  type: list
  elements: dict
  sample: [{name: index.html, size: 120, checksum: 0cc175b9c0f1b6a831c399e269772661, content_type: text/html}]
object:
  description: The object with its real size and its metadata, none if there is none.
  returned: when gathered
  type: dict
  sample: {container: site, name: index.html, size: 120, content_type: text/html, metadata: {author: ann}}
capabilities:
  description: Limits and middleware, as the server tells them; empty where its operator hides them.
  returned: when gathered
  type: dict
  sample: {swift: {max_file_size: 5368709122}, slo: {max_manifest_segments: 1000}}
"""

from ansible_collections.polystore.storage.plugins.module_utils.core.host import run_module
from ansible_collections.polystore.storage.plugins.module_utils.swift.info import Info

SUBJECT = Info


def main() -> None:
    run_module(SUBJECT)


if __name__ == "__main__":
    main()
