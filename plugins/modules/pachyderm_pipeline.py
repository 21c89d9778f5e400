#!/usr/bin/python
# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pachyderm_pipeline
short_description: Manage pipelines of Pachyderm
version_added: 0.1.0
author: polystore.storage contributors (@polystore)
description:
  - Declares pipelines with their specs, and whether they are started or stopped.
  - Pachyderm makes a new version of a pipeline, and starts its workers anew, on every update, whether or not anything
    differs. This module sends an update only where the spec says something else than before. Spelling, case style of
    the keys, order of the keys, JSON or YAML, and defaults that are written out make no difference.
  - The pipelines of a batch may be in any order. They are created after those whose output they read, and deleted
    before them.
options:
  name:
    description:
      - Name of the pipeline and of its output repo, 1 to 51 letters, digits, C(_) and C(-).
      - Required, in the task or in each item of the batch.
    type: str
  state:
    description:
      - V(present) leaves a pipeline started or stopped as it is; V(started) and V(stopped) set that too.
      - V(absent) deletes it with its output repo.
    type: str
    choices: [present, absent, started, stopped]
    default: present
  spec:
    description:
      - The pipeline spec, as pachctl takes it, with keys in snake_case or camelCase. C(pipeline.name) may be left out.
      - C(update), C(reprocess) and C(dry_run) in it are ignored. C(salt) counts only when the pipeline is created.
      - A field that Pachyderm does not know, or that this server is too old for, is an error before anything is sent.
      - Required where there is no such pipeline yet, unless O(spec_src) is set.
    type: dict
  spec_src:
    description:
      - Path of a spec in JSON or YAML on the executing host. Where it holds several, the one named O(name) is taken.
    type: path
  reprocess:
    description:
      - When the spec differs, process all data again, also what was processed before. Without a difference it does
        nothing.
    type: bool
    default: false
  compare:
    description:
      - V(user) compares the spec with the one that was given before. V(effective) also updates the pipeline when
        defaults of the cluster or the project have changed since, which needs Pachyderm 2.8.
    type: str
    choices: [user, effective]
    default: user
  wait:
    description:
      - Wait until the pipeline runs or stands by, or is paused where it is stopped, also when nothing had to be
        changed. A pipeline that fails is an error.
    type: bool
    default: false
  wait_timeout:
    description:
      - How long to wait, as seconds or V(90s), V(15m), V(2h).
    type: raw
    default: 300
  force:
    description:
      - With O(state=absent), delete the pipeline also when others read its output.
    type: bool
    default: false
  keep_repo:
    description:
      - With O(state=absent), keep the output repo as an ordinary repo. It then stands in the way of a new pipeline of
        this name.
    type: bool
    default: false
extends_documentation_fragment:
  - polystore.storage.pachyderm
  - polystore.storage.pachyderm.project
  - polystore.storage.engine
seealso:
  - module: polystore.storage.pachyderm_defaults
  - module: polystore.storage.pachyderm_secret
  - module: polystore.storage.pachyderm_repo
  - module: polystore.storage.pachyderm_info
notes:
  - From Pachyderm 2.8 on the server keeps the spec as it was written, and check mode has it check the new one. Before,
    the spec is compared with what the server tells of the pipeline.
  - An explicit V(false), V(0) or V(null) in a spec is not the same as nothing, it overrides a default of the cluster.
"""

EXAMPLES = r"""
- name: A pipeline
  polystore.storage.pachyderm_pipeline:
    address: grpc://pachd.example:30650
    name: edges
    spec:
      description: Edges of the images
      input:
        pfs: {repo: images, glob: "/*"}
      transform:
        image: pachyderm/opencv:1.0
        cmd: [python3, /edges.py]

- name: Two pipelines from files, in any order, waited for
  polystore.storage.pachyderm_pipeline:
    wait: true
    wait_timeout: 10m
    batch:
      - name: montage
        spec_src: "{{ playbook_dir }}/pipelines/montage.yml"
      - name: edges
        spec_src: "{{ playbook_dir }}/pipelines/edges.json"

- name: A pipeline stops for a while
  polystore.storage.pachyderm_pipeline:
    name: montage
    state: stopped

- name: Both are gone, the one that reads the other first
  polystore.storage.pachyderm_pipeline:
    state: absent
    batch:
      - name: edges
      - name: montage
"""

RETURN = r"""
resources:
  description: The pipelines, with what was done to each and their state.
  returned: success, and on failure what had been done
  type: list
  elements: dict
  contains:
    project:
      description: Name of the project.
      type: str
    name:
      description: Name of the pipeline.
      type: str
    action:
      description: What was done, V(created), V(updated), V(deleted), V(unchanged) or V(failed).
      type: str
    spec:
      description:
        - The spec in the form in which it is compared, with keys in snake_case, and inputs with their names filled in.
        - Before Pachyderm 2.8 it holds the server's own defaults too.
      type: dict
    stopped:
      description: Whether it is stopped.
      type: bool
    version:
      description: Its version, which grows with every update.
      type: int
    pipeline_state:
      description: Its state, such as V(starting), V(running), V(standby), V(paused), V(crashing) or V(failure).
      type: str
    reason:
      description: Why it is in this state, where Pachyderm says it.
      type: str
  sample:
    - project: default
      name: edges
      action: created
      spec: {pipeline: {name: edges, project: {name: default}}, transform: {image: "pachyderm/opencv:1.0"}}
      stopped: false
      version: 1
      pipeline_state: starting
resource:
  description: The pipeline, when the task was about one.
  returned: when one item was given
  type: dict
  sample: {project: default, name: edges, action: unchanged, stopped: false, version: 1, pipeline_state: running}
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
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.pipelines import Pipelines

SUBJECT = Pipelines


def main() -> None:
    run_module(SUBJECT)


if __name__ == "__main__":
    main()
