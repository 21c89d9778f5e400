#!/usr/bin/python
# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pachyderm_secret
short_description: Manage secrets of Pachyderm
version_added: 0.1.0
author: polystore.storage contributors (@polystore)
description:
  - Declares the Kubernetes secrets that pipelines use, in Pachyderm's own namespace.
  - The values of a secret cannot be read back. A secret that is there is taken for the right one, unless its type
    differs or O(force=true) says to make it anew.
  - Only secrets that were made through Pachyderm are seen, and so only these are ever removed.
options:
  name:
    description:
      - Name of the secret, lower case letters, digits, C(-) and C(.).
      - Required, in the task or in each item of the batch.
    type: str
  data:
    description:
      - All values of the secret by key, each a text, or for bytes that are no text a dictionary with base64 under the
        key C(b64). They are kept secret.
      - Required where there is no such secret yet.
    type: dict
  type:
    description:
      - Type of the secret, such as V(kubernetes.io/dockerconfigjson); V(Opaque) for a new one if not set.
      - A secret of another type is deleted and made anew, which needs O(data).
    type: str
  force:
    description:
      - Delete the secret and make it anew from O(data), on every run. Pipelines have no such secret for a moment.
    type: bool
    default: false
extends_documentation_fragment:
  - polystore.storage.pachyderm
  - polystore.storage.engine
seealso:
  - module: polystore.storage.pachyderm_pipeline
"""

EXAMPLES = r"""
- name: A secret
  polystore.storage.pachyderm_secret:
    address: grpc://pachd.example:30650
    name: warehouse
    data:
      user: reader
      password: "{{ warehouse_password }}"

- name: Its password has changed
  polystore.storage.pachyderm_secret:
    name: warehouse
    force: true
    data:
      user: reader
      password: "{{ warehouse_password }}"

- name: Two are gone
  polystore.storage.pachyderm_secret:
    state: absent
    batch:
      - name: warehouse
      - name: registry
"""

RETURN = r"""
resources:
  description: The secrets, with what was done to each.
  returned: success, and on failure what had been done
  type: list
  elements: dict
  contains:
    name:
      description: Name of the secret.
      type: str
    action:
      description: What was done, V(created), V(updated), V(deleted), V(unchanged) or V(failed).
      type: str
    type:
      description: Type of the secret.
      type: str
  sample:
    - name: warehouse
      action: created
      type: Opaque
resource:
  description: The secret, when the task was about one.
  returned: when one item was given
  type: dict
  sample: {name: warehouse, action: unchanged, type: Opaque}
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
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.secrets import Secrets

SUBJECT = Secrets


def main() -> None:
    run_module(SUBJECT)


if __name__ == "__main__":
    main()
