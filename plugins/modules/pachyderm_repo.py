#!/usr/bin/python
# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pachyderm_repo
short_description: Manage repos of Pachyderm
version_added: 0.1.0
author: polystore.storage contributors (@polystore)
description:
  - Declares repos with their description, metadata and, where authentication is active, roles.
  - An option that is left out is left alone on the server. A run that finds everything as declared sends no write.
  - The output repo of a pipeline is never deleted here. It goes with its pipeline.
options:
  name:
    description:
      - Name of the repo, 1 to 63 letters, digits, C(_) and C(-).
      - Required, in the task or in each item of the batch.
    type: str
  description:
    description:
      - What is in the repo. An empty string clears it.
    type: str
  metadata:
    description:
      - Metadata to set, which needs Pachyderm 2.10. What is there and not named here stays; V(null) removes a key.
    type: dict
  purge_metadata:
    description:
      - Remove metadata that O(metadata) does not name.
    type: bool
    default: false
  roles:
    description:
      - Roles on this repo by principal, such as V(user:jane@example.com), V(robot:ci), V(group:admins) or
        V(allClusterUsers), each with a list such as C([repoReader]), C([repoWriter]) or C([repoOwner]).
      - A principal has exactly the roles that are listed for it. An empty list or V(null) takes all of them away, and
        a principal that is not named keeps what it has.
      - Works where authentication is active, and is refused elsewhere.
    type: dict
  force:
    description:
      - With O(state=absent), delete the repo also when branches of other repos depend on it.
    type: bool
    default: false
extends_documentation_fragment:
  - polystore.storage.pachyderm
  - polystore.storage.pachyderm.project
  - polystore.storage.engine
seealso:
  - module: polystore.storage.pachyderm_project
  - module: polystore.storage.pachyderm_branch
  - module: polystore.storage.pachyderm_file
  - module: polystore.storage.pachyderm_info
"""

EXAMPLES = r"""
- name: A repo
  polystore.storage.pachyderm_repo:
    address: grpc://pachd.example:30650
    name: photos
    description: What the cameras saw

- name: Who may do what in it
  polystore.storage.pachyderm_repo:
    name: photos
    roles:
      robot:cameras: [repoWriter]
      allClusterUsers: [repoReader]

- name: Several repos of a project at once
  polystore.storage.pachyderm_repo:
    project: vision
    batch:
      - name: raw
        metadata: {origin: cameras}
      - name: labels
      - name: old-labels
        state: absent
"""

RETURN = r"""
resources:
  description: The repos, with what was done to each and their state.
  returned: success, and on failure what had been done
  type: list
  elements: dict
  contains:
    project:
      description: Name of the project.
      type: str
    name:
      description: Name of the repo.
      type: str
    action:
      description: What was done, V(created), V(updated), V(deleted), V(unchanged) or V(failed).
      type: str
    description:
      description: What is in the repo.
      type: str
    metadata:
      description: Metadata, where the server knows them.
      type: dict
    roles:
      description: Roles by principal, when the task is about them. A new repo's owner is seen from the next task on.
      type: dict
  sample:
    - project: default
      name: photos
      action: created
      description: What the cameras saw
resource:
  description: The repo, when the task was about one.
  returned: when one item was given
  type: dict
  sample: {project: default, name: photos, action: unchanged, description: What the cameras saw, metadata: {}}
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
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.repos import Repos

SUBJECT = Repos


def main() -> None:
    run_module(SUBJECT)


if __name__ == "__main__":
    main()
