#!/usr/bin/python
# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pachyderm_project
short_description: Manage projects of Pachyderm
version_added: 0.1.0
author: polystore.storage contributors (@polystore)
description:
  - Declares projects with their description, metadata and defaults of pipelines.
  - An option that is left out is left alone on the server. A run that finds everything as declared sends no write.
  - Projects need Pachyderm 2.5, defaults 2.8, metadata 2.10.
options:
  name:
    description:
      - Name of the project, 1 to 51 letters, digits, C(_) and C(-), beginning with a letter or digit.
      - Required, in the task or in each item of the batch. The project V(default) is never deleted.
    type: str
  description:
    description:
      - What the project is for. An empty string clears it.
    type: str
  metadata:
    description:
      - Metadata to set. What is there and not named here stays; V(null) removes a key.
    type: dict
  purge_metadata:
    description:
      - Remove metadata that O(metadata) does not name.
    type: bool
    default: false
  defaults:
    description:
      - What pipelines of the project get where their own spec says nothing, as C(createPipelineRequest) with a part of
        a pipeline's spec in it. An empty dictionary clears it.
      - Pipelines that exist keep what they have; the server uses it for those that are created or updated from now on.
      - A project that is created gets these defaults or none. Pachyderm itself would give it those of a deleted
        project of the same name.
    type: dict
  force:
    description:
      - With O(state=absent), delete all pipelines and all repos of the project too, with all data in them, also where
        other projects depend on them.
    type: bool
    default: false
extends_documentation_fragment:
  - polystore.storage.pachyderm
  - polystore.storage.engine
seealso:
  - module: polystore.storage.pachyderm_repo
  - module: polystore.storage.pachyderm_defaults
  - module: polystore.storage.pachyderm_info
"""

EXAMPLES = r"""
- name: A project with defaults of its pipelines
  polystore.storage.pachyderm_project:
    address: grpc://pachd.example:30650
    name: vision
    description: Edges and contours
    defaults:
      createPipelineRequest:
        resourceRequests: {cpu: 1, memory: 512Mi}

- name: Two projects, with metadata
  polystore.storage.pachyderm_project:
    metadata: {team: research}
    batch:
      - name: sound
      - name: text
        description: Letters and words

- name: No project any more, whatever is in it
  polystore.storage.pachyderm_project:
    name: scratch
    state: absent
    force: true
"""

RETURN = r"""
resources:
  description: The projects, with what was done to each and their state.
  returned: success, and on failure what had been done
  type: list
  elements: dict
  contains:
    name:
      description: Name of the project.
      type: str
    action:
      description: What was done, V(created), V(updated), V(deleted), V(unchanged) or V(failed).
      type: str
    description:
      description: What the project is for.
      type: str
    metadata:
      description: Metadata, where the server knows them.
      type: dict
    defaults:
      description: Defaults of pipelines, when the task is about them.
      type: dict
  sample:
    - name: vision
      action: created
      description: Edges and contours
resource:
  description: The project, when the task was about one.
  returned: when one item was given
  type: dict
  sample: {name: vision, action: unchanged, description: Edges and contours, metadata: {}}
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
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.projects import Projects

SUBJECT = Projects


def main() -> None:
    run_module(SUBJECT)


if __name__ == "__main__":
    main()
