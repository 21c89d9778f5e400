#!/usr/bin/python
# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pachyderm_branch
short_description: Manage branches of Pachyderm
version_added: 0.1.0
author: polystore.storage contributors (@polystore)
description:
  - Declares branches with their head, provenance and trigger.
  - An option that is left out is left alone on the server. A run that finds everything as declared sends no write.
  - The output branch of a pipeline is never touched, because the server would take it from its pipeline.
options:
  repo:
    description:
      - Name of the repo.
      - Required, in the task or in each item of the batch.
    type: str
  name:
    description:
      - Name of the branch, 1 to 63 letters, digits, C(_) and C(-).
      - Required, in the task or in each item of the batch.
    type: str
  head:
    description:
      - Commit of this repo that the branch points to, as the id of a commit or the name of another branch. Each may be
        followed by an ancestry such as C(^), C(^2) or C(~3).
      - A new branch without it gets an empty commit. A branch with O(provenance) gets its commits from the server, so
        that its head cannot be declared.
    type: str
  provenance:
    description:
      - Branches of other repos, one of each, that this one is derived from, as a set. An empty list clears it.
      - A change of it makes a new commit, unless it is cleared. A branch that does not exist is made by the server;
        the task warns then.
      - A branch has either provenance or a O(trigger).
    type: list
    elements: dict
  trigger:
    description:
      - When the branch is moved to the head of another branch of the same repo. It is compared and replaced as a whole.
      - Pachyderm cannot take a trigger away from a branch. Delete the branch, and declare it again with its O(head).
    type: dict
    suboptions:
      branch:
        description: Name of the branch to watch. A trigger always has one.
        type: str
      all:
        description: Whether all of the conditions have to be met, not just one of them.
        type: bool
      rate_limit_spec:
        description: The shortest time between two moves, such as V(@every 1h); needs Pachyderm 2.7.
        type: str
      cron_spec:
        description: When to move, as in cron, or V(@every 1h). Before 2.7, the shortest time between moves.
        type: str
      size:
        description: How much has to be new, such as V(1GB).
        type: str
      commits:
        description: How many commits have to be new.
        type: int
  force:
    description:
      - With O(state=absent), delete the branch also when others have it in their provenance, or watch it.
    type: bool
    default: false
extends_documentation_fragment:
  - polystore.storage.pachyderm
  - polystore.storage.pachyderm.project
  - polystore.storage.engine
seealso:
  - module: polystore.storage.pachyderm_repo
  - module: polystore.storage.pachyderm_pipeline
  - module: polystore.storage.pachyderm_info
"""

EXAMPLES = r"""
- name: A branch for the release, where master was two commits ago
  polystore.storage.pachyderm_branch:
    address: grpc://pachd.example:30650
    repo: photos
    name: release
    head: master^2

- name: master follows staging, at every tenth commit or every gigabyte
  polystore.storage.pachyderm_branch:
    repo: photos
    name: master
    trigger:
      branch: staging
      commits: 10
      size: 1GB

- name: A branch that is derived from two others
  polystore.storage.pachyderm_branch:
    project: vision
    repo: joined
    name: master
    provenance:
      - repo: raw
      - project: default
        repo: labels
        branch: checked

- name: No branches any more
  polystore.storage.pachyderm_branch:
    repo: photos
    state: absent
    batch:
      - name: test-1
      - name: test-2
"""

RETURN = r"""
resources:
  description: The branches, with what was done to each and their state.
  returned: success, and on failure what had been done
  type: list
  elements: dict
  contains:
    project:
      description: Name of the project.
      type: str
    repo:
      description: Name of the repo.
      type: str
    name:
      description: Name of the branch.
      type: str
    action:
      description: What was done, V(created), V(updated), V(deleted), V(unchanged) or V(failed).
      type: str
    head:
      description: Id of the commit that the branch points to.
      type: str
    provenance:
      description: The branches that this one is directly derived from.
      type: list
      elements: dict
    trigger:
      description: The trigger, without what says nothing; empty when there is none.
      type: dict
  sample:
    - project: default
      repo: photos
      name: release
      action: created
      head: 1c3e9f0ab52d4d1f8a0c6b7e5d4f3a21
      provenance: []
      trigger: {}
resource:
  description: The branch, when the task was about one.
  returned: when one item was given
  type: dict
  sample: {project: default, repo: photos, name: release, action: unchanged, provenance: [], trigger: {}}
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
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.branches import Branches

SUBJECT = Branches


def main() -> None:
    run_module(SUBJECT)


if __name__ == "__main__":
    main()
