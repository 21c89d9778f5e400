# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: estate
short_description: Keep what one manifest declares in all storage systems, plan it first, and remove it again
version_added: 0.1.0
author:
  - polystore.storage contributors (@polystore)
description:
  - One document declares containers, repositories, directories, files, trees and whatever else a team or a CI job needs
    in the storage systems of this collection. This module makes it so, and remembers what it made.
  - The whole manifest is checked before any server is asked. Every mistake is told at once, with its path and line.
  - In check mode it is a plan, which lists what would be created, changed and deleted in each system.
  - It runs in the controller, whatever the connection of the host is. Systems are worked on at the same time. What
    others depend on is made first, and everything that goes, goes last and in the reverse order.
  - Each item is handled by the module of its kind, with that module's own options and promises.
options:
  manifest:
    description:
      - The path of a YAML or JSON file, or the manifest itself as a dictionary. A relative path is relative to the
        playbook. The file may be encrypted with Ansible Vault, and so may single values of it.
      - V(estate) is its name. V(connections) holds the connection options of each system, as its modules have them;
        what is left out comes from the environment. Another name with V(system) among its options is a further
        connection, which items choose with V(connection).
      - V(vars) holds values for templates in the manifest. The play's variables can be used as well. C(!unsafe)
        before a value says that it is no template.
      - Items are listed by system and kind. V(swift) has V(containers), V(objects) and V(trees). V(alluxio) has
        V(directories), V(mounts), V(files) and V(trees). V(pachyderm) has V(projects), V(secrets), V(repos),
        V(branches), V(files), V(trees) and V(pipelines). V(fastdfs) has V(files) and V(trees). V(pegasus) has V(tables)
        and V(kv).
      - Besides its module's options an item may have V(protect), which forbids its removal. Relative paths in a file
        are relative to the manifest.
      - A JSON schema for editors is C(roles/fixtures/files/estate.schema.json) in the collection.
    type: raw
    required: true
  state:
    description:
      - V(present) makes what the manifest declares.
      - V(absent) removes what this estate made, by its record, and nothing else. What was there before, is left there.
    type: str
    choices: [present, absent]
    default: present
  plan_file:
    description:
      - In check mode, where to write the plan. It holds every change, and a digest of every state that it was made
        from.
      - Otherwise, the plan to apply. Exactly that is done. When anything has moved since, nothing is changed, and
        the error says what it is. The manifest and O(state), O(prune) and O(systems) have to be the same.
    type: path
  record:
    description:
      - Where this estate keeps what it made. It is written before anything is made, so that a run that dies leaves
        nothing unknown; the next run goes on from there. Only one run at a time can hold it.
      - If not set, it is beside the manifest, with C(.record.json) for its ending.
    type: path
  prune:
    description:
      - Remove what this estate made and the manifest does not declare any more.
    type: bool
    default: false
  max_delete:
    description:
      - How much may be removed in one run, as a number or as a share such as V(50%) of what is in the record. When it
        would be more, nothing at all is changed.
      - If not set, it is V(10%) of it for O(prune), and what is removed otherwise is not limited.
    type: raw
  allow_empty:
    description:
      - Allow O(prune) to remove everything when nothing is declared.
    type: bool
    default: false
  report:
    description:
      - Write a report of the plan or of what was done. The ending chooses between one page of HTML that needs nothing
        else (C(.html)), Markdown for a merge request (C(.md)), and JSON for a machine (C(.json)).
    type: path
  drift:
    description:
      - Word the report as drift, what is missing or differs from what is declared. For check mode alone.
    type: bool
    default: false
  systems:
    description:
      - Take only these systems. The others are neither read nor changed.
    type: list
    elements: str
    choices: [swift, alluxio, pachyderm, fastdfs, pegasus]
  parallel:
    description:
      - How many workers each system has, 1 to 64.
    type: int
    default: 8
attributes:
  check_mode:
    support: full
    description: Nothing is written to any system or to the record. O(plan_file) and O(report) are.
  diff_mode:
    support: full
    description: Shows the state before and after. Secrets and binary values appear as a short digest.
  platform:
    support: full
    platforms: posix
    description: The controller.
notes:
  - Progress is told on the standard error of C(ansible-playbook) every few seconds.
  - An item with O(state=absent) in the manifest is removed whether or not this estate made it. A tree with V(prune)
    removes what is in its place and not in the tree, as its module does.
  - What the systems make by themselves, such as the directories above a file in Alluxio or the container of an object's
    segments in Swift, belongs to the estate too when it was not there before.
  - Something that a copy or a branch's head follows may change more than a plan could know, because what it follows is
    changed first.
  - No connection option and no secret value gets into plans, records, reports, results or diffs.
seealso:
  - module: polystore.storage.swift_sync
  - module: polystore.storage.alluxio_sync
  - module: polystore.storage.pachyderm_sync
  - module: polystore.storage.fdfs_sync
"""

EXAMPLES = r"""
# fixtures.yml, the manifest of these examples:
#
#   estate: nightly
#   vars: {bucket: nightly-fixtures}
#   connections:
#     swift: {cloud: testing}
#     alluxio: {proxy_url: "http://localhost:39999"}
#   swift:
#     containers:
#       - name: "{{ bucket }}"
#     trees:
#       - {container: "{{ bucket }}", prefix: data, src: testdata}
#   alluxio:
#     directories:
#       - {path: /nightly, mode: "0755", protect: true}
#     files:
#       - {path: /nightly/hello.txt, content: hello}

- name: Make all that the tests need
  polystore.storage.estate:
    manifest: fixtures.yml
    report: fixtures.html

- name: Plan it, for somebody to look at
  polystore.storage.estate:
    manifest: fixtures.yml
    plan_file: fixtures.plan.json
    report: fixtures.md
  check_mode: true

- name: Do exactly what was planned, or nothing
  polystore.storage.estate:
    manifest: fixtures.yml
    plan_file: fixtures.plan.json

- name: Remove what is no longer declared, at most a half of it
  polystore.storage.estate:
    manifest: fixtures.yml
    prune: true
    max_delete: 50%

- name: See what has been changed behind it
  polystore.storage.estate:
    manifest: fixtures.yml
    drift: true
    report: drift.html
  check_mode: true

- name: Remove what was made, and nothing else
  polystore.storage.estate:
    manifest: fixtures.yml
    state: absent
"""

RETURN = r"""
summary:
  description: How many things were created, updated, deleted, unchanged or failed; requests, writes and bytes.
  returned: when there was something to plan
  type: dict
  sample: {"created": 3, "updated": 0, "deleted": 0, "unchanged": 1, "failed": 0, "requests": 9, "writes": 3,
    "bytes_sent": 4096, "bytes_received": 2048}
systems:
  description: The same for each connection.
  returned: when there was something to plan
  type: dict
  sample: {"swift": {"system": "swift", "created": 3, "updated": 0, "deleted": 0, "unchanged": 1, "failed": 0}}
changes:
  description: What was done, or in check mode would be.
  returned: when there was something to plan
  type: list
  elements: dict
  contains:
    system:
      description: The system.
      type: str
      sample: swift
    kind:
      description: Its kind, as in the manifest.
      type: str
      sample: objects
    item:
      description: What it is called.
      type: str
      sample: nightly-fixtures/data/a.csv
    action:
      description: V(created), V(updated) or V(deleted).
      type: str
      sample: created
owned:
  description: How many things are in the record.
  returned: when there was something to plan
  type: int
  sample: 4
record:
  description: The path of the record.
  returned: when there was something to plan
  type: str
  sample: /home/ci/fixtures.record.json
mistakes:
  description: What is wrong in the manifest.
  returned: when something is
  type: list
  elements: dict
  contains:
    path:
      description: Where in the manifest.
      type: str
      sample: swift.containers[0].nmae
    line:
      description: On which line of the file, where that is known.
      type: int
      sample: 12
    message:
      description: What it is, and what would be right.
      type: str
      sample: unknown option. Did you mean name?
failures:
  description: What could not be done, with the item, the operation, the server's own words and what to do.
  returned: when something failed
  type: list
  elements: dict
code:
  description: Why nothing was done, for example V(LOCKED), V(STALE_PLAN), V(PROTECTED), V(MAX_DELETE).
  returned: when all of it was refused
  type: raw
  sample: STALE_PLAN
"""
