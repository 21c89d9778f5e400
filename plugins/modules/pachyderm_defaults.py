#!/usr/bin/python
# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pachyderm_defaults
short_description: Manage the cluster defaults of Pachyderm's pipelines
version_added: 0.1.0
author: polystore.storage contributors (@polystore)
description:
  - Declares the defaults that all pipelines of a cluster get where their specs say nothing. Needs Pachyderm 2.8.
  - The defaults of one project are the option O(polystore.storage.pachyderm_project#module:defaults) of
    M(polystore.storage.pachyderm_project).
options:
  state:
    description:
      - V(absent) takes all defaults away, also those that a new cluster has.
    type: str
    choices: [present, absent]
    default: present
  defaults:
    description:
      - All of the defaults, as pachctl takes them, under the key C(createPipelineRequest), in camelCase or snake_case.
        What is not in it is taken away.
      - A fresh cluster has defaults for resource requests.
      - If left out, they are only looked at.
    type: dict
  regenerate:
    description:
      - Make new versions of the pipelines that are not as the defaults would have them. Otherwise the defaults affect
        only pipelines that are created or updated later.
    type: bool
    default: false
  reprocess:
    description:
      - Let the pipelines that are made anew with O(regenerate) process all their data again.
    type: bool
    default: false
extends_documentation_fragment:
  - polystore.storage.pachyderm
  - polystore.storage.engine
seealso:
  - module: polystore.storage.pachyderm_project
  - module: polystore.storage.pachyderm_pipeline
"""

EXAMPLES = r"""
- name: Pipelines ask for little unless they say more
  polystore.storage.pachyderm_defaults:
    address: grpc://pachd.example:30650
    defaults:
      createPipelineRequest:
        resourceRequests: {cpu: 0.5, memory: 128Mi, disk: 1Gi}
        datumTries: 5

- name: The same for the pipelines that are there
  polystore.storage.pachyderm_defaults:
    defaults:
      create_pipeline_request:
        autoscaling: true
    regenerate: true

- name: No defaults
  polystore.storage.pachyderm_defaults:
    state: absent
"""

RETURN = r"""
resources:
  description: The defaults, with what was done to them.
  returned: success, and on failure what had been done
  type: list
  elements: dict
  contains:
    action:
      description: What was done, V(created), V(updated), V(deleted), V(unchanged) or V(failed).
      type: str
    defaults:
      description: The defaults in the form in which they are compared, with keys in snake_case.
      type: dict
    affected_pipelines:
      description:
        - The pipelines of which new versions are made, each as project/name. Only beside a change, with
          O(regenerate=true).
      type: list
      elements: str
  sample:
    - action: updated
      defaults: {create_pipeline_request: {autoscaling: true}}
      affected_pipelines: [default/edges]
resource:
  description: The defaults, as in RV(resources).
  returned: when one item was given
  type: dict
  sample: {action: unchanged, defaults: {create_pipeline_request: {autoscaling: true}}}
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
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.defaults import ClusterDefaults

SUBJECT = ClusterDefaults


def main() -> None:
    run_module(SUBJECT)


if __name__ == "__main__":
    main()
