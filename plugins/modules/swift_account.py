#!/usr/bin/python
# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: swift_account
short_description: Manage an account of OpenStack Swift
version_added: 0.1.0
author: polystore.storage contributors (@polystore)
description:
  - Declares the metadata, the keys of temporary URLs and the quota of the account that the credentials lead to.
  - An option that is left out is left alone on the server. A run that finds everything as declared sends no write.
options:
  state:
    description:
      - The account is always there; removing it is for the operator of the cloud.
    type: str
    choices: [present]
    default: present
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
  temp_url_keys:
    description:
      - One or two keys of temporary URLs. V(null) in the list leaves a key alone, an empty string removes it.
    type: list
    elements: raw
  quota_bytes:
    description:
      - Most bytes the account may hold, as a number or a size such as V(1T). V(null) removes the quota.
      - Only a reseller admin may set it.
    type: raw
extends_documentation_fragment:
  - polystore.storage.swift
  - polystore.storage.engine
seealso:
  - module: polystore.storage.swift_container
  - module: polystore.storage.swift_info
"""

EXAMPLES = r"""
- name: Metadata and a key for temporary URLs
  polystore.storage.swift_account:
    cloud: mycloud
    metadata:
      cost-center: "4711"
    temp_url_keys:
      - "{{ vault_temp_url_key }}"

- name: Change the second key, then the first can follow without breaking a URL
  polystore.storage.swift_account:
    temp_url_keys: [null, "{{ vault_next_temp_url_key }}"]

- name: A quota, as the reseller admin
  polystore.storage.swift_account:
    storage_url: https://swift.example.com/v1/AUTH_7d1f
    quota_bytes: 1T
"""

RETURN = r"""
resources:
  description: The account, with what was done and its state. Keys appear as a short digest.
  returned: success, and on failure what had been done
  type: list
  elements: dict
  contains:
    action:
      description: What was done, V(updated), V(unchanged) or V(failed).
      type: str
    metadata:
      description: Metadata, with lower-case keys.
      type: dict
    container_count:
      description: Number of containers; Swift counts with a delay.
      type: int
  sample:
    - action: updated
      metadata: {cost-center: "4711"}
      quota_bytes: null
resource:
  description: The account, which is the only item.
  returned: when one item was given
  type: dict
  sample: {action: unchanged, metadata: {}}
summary:
  description: How many items were updated, unchanged and failed; and requests, writes and bytes.
  returned: success, and on failure what had been done
  type: dict
  sample: {created: 0, updated: 1, deleted: 0, unchanged: 0, failed: 0, requests: 3, writes: 1}
failures:
  description: What failed, with the operation, the server's code and words, and what to do about it.
  returned: failure
  type: list
  elements: dict
"""

from ansible_collections.polystore.storage.plugins.module_utils.core.host import run_module
from ansible_collections.polystore.storage.plugins.module_utils.swift.accounts import Accounts

SUBJECT = Accounts


def main() -> None:
    run_module(SUBJECT)


if __name__ == "__main__":
    main()
