#!/usr/bin/python
# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pachyderm_info
short_description: Ask Pachyderm what is there
version_added: 0.1.0
author: polystore.storage contributors (@polystore)
description:
  - Tells about the server, projects, repos, branches, commits, files, pipelines, jobs and secrets. Nothing is ever
    changed.
  - Values of secrets are told by nobody. In the specs of pipelines the values of environment variables whose names
    tell of a secret, and passwords in addresses, are masked.
options:
  gather:
    description:
      - What to tell. Each is a return value of the same name.
      - If not set, V(files) with O(path), else V(branches) with O(branch), V(repos) with O(repo), V(pipelines) with
        O(pipeline), and V(version) with none of them.
    type: list
    elements: str
    choices: [version, cluster, projects, repos, branches, commits, files, pipelines, jobs, secrets]
  all_projects:
    description:
      - Whether V(repos), V(pipelines) and V(jobs) in O(gather) tell of all projects, not only of O(project).
    type: bool
    default: false
  repo:
    description:
      - The repo that branches, commits and files are of, and the only one that V(repos) in O(gather) tells.
    type: str
  branch:
    description:
      - The only branch that V(branches) in O(gather) tells. For V(commits) those up to its newest are told, for
        V(files) those of its newest commit; V(master) if neither this nor O(commit) is set.
    type: str
  commit:
    description:
      - The commit, for V(files) and V(commits) in O(gather), as an id of 32 digits, or counted back from an id or from
        the newest commit of a branch, as V(master^) and V(master^2).
    type: str
  path:
    description:
      - The directory or file, for V(files) in O(gather); V(/) if not set.
    type: str
  recursive:
    description:
      - Whether V(files) in O(gather) tells what lies at any depth below O(path), not only what lies directly in it.
    type: bool
    default: false
  pipeline:
    description:
      - The only pipeline that V(pipelines) and V(jobs) in O(gather) tell of.
    type: str
  limit:
    description:
      - The most rows of each list, in the server's order. Without it all are told.
    type: int
extends_documentation_fragment:
  - polystore.storage.pachyderm
  - polystore.storage.pachyderm.project
  - polystore.storage.engine.query
notes:
  - What is asked for by name and is not there is an empty list.
  - Files are told of finished commits only, because reading another one may not end; one that is finishing is waited
    for.
seealso:
  - module: polystore.storage.pachyderm_repo
  - module: polystore.storage.pachyderm_pipeline
"""

EXAMPLES = r"""
- name: Which Pachyderm this is, and what is in it
  polystore.storage.pachyderm_info:
    gather: [version, repos, pipelines]
  register: pachyderm

- name: The files of a branch
  polystore.storage.pachyderm_info:
    repo: photos
    path: /
    recursive: true
    limit: 100
  register: photos

- name: Whether a pipeline is there and did not fail
  polystore.storage.pachyderm_info:
    pipeline: contour
  register: contour
  failed_when: contour.pipelines | length == 0 or contour.pipelines[0].state in ['failure', 'crashing']
"""

RETURN = r"""
version:
  description: The server's version, and what it can do, as far as playbooks depend on it.
  returned: when gathered
  type: dict
  sample: {version: 2.12.0, features: {projects: true, defaults: true, metadata: true, hash: true}}
cluster:
  description: Identity, metadata and defaults of the cluster, and whether it asks who comes.
  returned: when gathered
  type: dict
  sample:
    id: 4d1a3c9e
    deployment_id: ""
    warnings: []
    paused: false
    metadata: {}
    auth: {active: true, user: "robot:ansible"}
    defaults: {createPipelineRequest: {datumTries: 3}}
projects:
  description: The projects.
  returned: when gathered, Pachyderm 2.5 and later
  type: list
  elements: dict
  sample: [{name: default, description: "", created: "2026-11-21T15:00:00.000Z", metadata: {}}]
repos:
  description: The repos of users and of pipelines; the size is an upper bound unless O(repo) names one.
  returned: when gathered
  type: list
  elements: dict
  sample:
    - project: default
      name: photos
      description: What came from the camera
      created: "2026-11-21T15:00:00.000Z"
      size_bytes: 3000000
      branches: [master]
      metadata: {}
branches:
  description: The branches of O(repo).
  returned: when gathered
  type: list
  elements: dict
  sample:
    - project: default
      repo: photos
      name: master
      head: 8a3c2f4be4f14d6d8d3b5b0b3c1f6a70
      provenance: []
      trigger: {branch: staging, size: 1GB}
      metadata: {}
commits:
  description: The commits of O(repo), the newest first.
  returned: when gathered
  type: list
  elements: dict
  sample:
    - project: default
      repo: photos
      branch: master
      id: 8a3c2f4be4f14d6d8d3b5b0b3c1f6a70
      origin: user
      description: ""
      parent: 0f6dd3b1ab7c4f0f8f20b2c5b0a1f3cd
      started: "2026-11-21T15:00:00.000Z"
      finishing: "2026-11-21T15:00:01.000Z"
      finished: "2026-11-21T15:00:01.000Z"
      error: null
      size_bytes: 3000000
files:
  description:
    - What is in the directory O(path), or that file itself, in the order of the paths. Those of directories end in
      C(/).
    - C(hash) is Pachyderm's content hash.
  returned: when gathered
  type: list
  elements: dict
  sample:
    - path: /liberty.png
      type: file
      size: 58644
      hash: 1ca2ee1ec3b2ca9e4f9dd1e7fdb9a3ce46ea1c1e5f1bb36ee1e84d1a9d1ab9c2
      committed: "2026-11-21T15:00:01.000Z"
pipelines:
  description:
    - The pipelines. C(spec) is the document that the pipeline was made of, C(effective_spec) that with all defaults,
      both with Pachyderm 2.8 and later.
  returned: when gathered
  type: list
  elements: dict
  sample:
    - project: default
      name: contour
      version: 1
      description: Outlines
      state: running
      stopped: false
      reason: ""
      type: transform
      last_job_state: success
      parallelism: 1
      output_branch: master
      created: "2026-11-21T15:00:02.000Z"
      metadata: {}
      spec: {pipeline: {name: contour}, input: {pfs: {repo: photos, glob: /}}}
      effective_spec: {}
jobs:
  description: The jobs, the newest first.
  returned: when gathered
  type: list
  elements: dict
  sample:
    - project: default
      pipeline: contour
      id: 8a3c2f4be4f14d6d8d3b5b0b3c1f6a70
      pipeline_version: 1
      state: success
      reason: ""
      created: "2026-11-21T15:00:02.000Z"
      started: "2026-11-21T15:00:03.000Z"
      finished: "2026-11-21T15:00:09.000Z"
      data: {processed: 3, skipped: 0, total: 3, failed: 0, recovered: 0}
secrets:
  description: Names and types of the secrets that belong to Pachyderm, in the order of the names.
  returned: when gathered
  type: list
  elements: dict
  sample: [{name: registry, type: Opaque, created: "2026-11-21T15:00:00.000Z"}]
"""

from ansible_collections.polystore.storage.plugins.module_utils.core.host import run_module
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.info import Info

SUBJECT = Info


def main() -> None:
    run_module(SUBJECT)


if __name__ == "__main__":
    main()
