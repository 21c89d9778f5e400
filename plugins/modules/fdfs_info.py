#!/usr/bin/python
# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: fdfs_info
short_description: Ask FastDFS what is there
version_added: 0.1.0
author: polystore.storage contributors (@polystore)
description:
  - Tells which groups and storages there are, what a file is, and whether the servers have what a manifest says.
  - FastDFS has no list of its files. What can be asked for is a file whose id is known.
options:
  gather:
    description:
      - What to ask for. V(groups) and V(storages) are those of O(group), or all.
      - V(file) is one file, by O(file_id) or by O(name) and O(manifest).
      - V(manifest) is every entry of O(manifest) and O(known), or the one with O(name), each checked on its storage.
      - If not set, V(file) with O(file_id) or O(name), V(manifest) with O(manifest) or O(known), V(storages) with
        O(group), and V(groups) with none of them.
    type: list
    elements: str
    choices: [groups, storages, file, manifest]
  group:
    description:
      - Name of a group.
    type: str
  file_id:
    description:
      - The id of a file. Whether there is such a file is told, not taken for granted.
    type: str
  name:
    description:
      - The name of a file in O(manifest).
    type: str
  manifest:
    description:
      - Path of a manifest on the executing host. It is only read. One that is damaged or lost is told about, not an
        error.
    type: path
  known:
    description:
      - Names and ids that are known from elsewhere, as a dictionary, to be checked with those of O(manifest). They are
        more than what that says.
    type: dict
extends_documentation_fragment:
  - polystore.storage.fdfs
  - polystore.storage.engine.query
notes:
  - To rebuild a manifest that is lost or damaged, gather it, with O(known) for what the rest of it does not tell, write
    RV(manifest.document) to a new file, and move the old one and its journal (the same path with C(.journal)) away.
  - Ids are told by every run that stored something (RV(ignore:resources)), and by whoever uses the files. A storage has
    them too, as the names of the files in its data directories and in its binlog, without the group.
seealso:
  - module: polystore.storage.fdfs_file
  - module: polystore.storage.fdfs_sync
  - module: polystore.storage.fdfs_download
"""

EXAMPLES = r"""
- name: Which groups there are
  polystore.storage.fdfs_info:
    gather: groups
  register: found

- name: Every group has somewhere to write to
  ansible.builtin.assert:
    that: found.groups | selectattr('free_mb', 'lt', 1024) | list == []

- name: What is behind a name
  polystore.storage.fdfs_info:
    manifest: /var/lib/app/files.json
    name: reports/2026.pdf

- name: What of a manifest the servers do not have
  polystore.storage.fdfs_info:
    manifest: /var/lib/app/files.json
  register: checked

- name: Say it
  ansible.builtin.debug:
    msg: "{{ checked.manifest.entries | rejectattr('status', 'equalto', 'ok') | map(attribute='name') | list }}"

- name: What of a damaged manifest can be had back, and what an application knows
  polystore.storage.fdfs_info:
    gather: manifest
    manifest: /var/lib/app/files.json
    known:
      logo.png: group1/M00/00/00/wKgBaGkxY0aAPmCyAAAAC0hbYVY123.png
  register: rebuilt

- name: A new manifest
  ansible.builtin.copy:
    content: "{{ rebuilt.manifest.document | to_nice_json }}"
    dest: /var/lib/app/files-rebuilt.json
    mode: "0644"
"""

RETURN = r"""
groups:
  description:
    - The groups, with the numbers that the trackers have of them. What the servers' version does not tell is null.
  returned: when gathered
  type: list
  elements: dict
  sample:
    - name: group1
      total_mb: 102400
      free_mb: 51200
      storage_count: 2
      readable_count: 2
      writable_count: 2
storages:
  description: The storages, with what the trackers know of them.
  returned: when gathered
  type: list
  elements: dict
  contains:
    group:
      description: The group it belongs to.
      type: str
    state:
      description: ACTIVE for one that serves, OFFLINE, WAIT_SYNC and so on for others.
      type: str
    id:
      description: Its id, or its address where ids are not used.
      type: str
    ip_addr:
      description: Its address.
      type: str
    version:
      description: The version of FastDFS.
      type: str
    rw_mode:
      description: V(both), V(read only), V(write only) or V(none); null before 6.13.
      type: str
    counters:
      description: How often it did what, and how much it moved; in all and successfully.
      type: dict
  sample:
    - group: group1
      state: ACTIVE
      id: 192.168.1.104
      ip_addr: 192.168.1.104
      version: 6.16.1
      storage_port: 23000
      free_mb: 51200
      rw_mode: both
      last_heart_beat_time: "2026-11-22T07:00:00Z"
      counters: {total_upload: 12, success_upload: 12}
file:
  description: The file; null where the manifest has no such name.
  returned: when gathered
  type: dict
  contains:
    file_id:
      description: The id.
      type: str
    exists:
      description: Whether the storage that takes its changes has it.
      type: bool
    type:
      description: V(normal), V(appender) or V(slave).
      type: str
    size:
      description: Bytes.
      type: int
    crc32:
      description: The CRC32 as eight hexadecimal digits; null where the servers' version does not tell it.
      type: str
    metadata:
      description: The metadata, of a file that exists.
      type: dict
    storage:
      description: The address or id of the storage that took it, as its id tells.
      type: str
    trunk:
      description: Where it lies in which trunk file; null for others.
      type: dict
    read_from:
      description: Which storages the trackers name for reading it; others of its group may not have it yet.
      type: list
      elements: str
    change_at:
      description: Which storage the trackers name for changing it.
      type: list
      elements: str
  sample:
    name: reports/2026.pdf
    file_id: group1/M00/00/00/wKgBaGkxY0aAPmCyAAAAC0hbYVY123.pdf
    file_group: group1
    type: normal
    extension: pdf
    storage: 192.168.1.104
    created: "2026-11-22T07:00:00Z"
    exists: true
    size: 11
    crc32: 485b6156
    metadata: {author: Jane}
    read_from: ["192.168.1.104:23000"]
    change_at: ["192.168.1.104:23000"]
manifest:
  description: What a manifest says, and what of it is so.
  returned: when gathered
  type: dict
  contains:
    path:
      description: Where it is.
      type: str
    exists:
      description: Whether it is there.
      type: bool
    error:
      description: Why it cannot be used, and what to do; null when it can. The entries then are what was still legible.
      type: str
    entries:
      description:
        - The entries. C(status) is V(ok), V(missing), V(differs) (from what is recorded) or V(unknown) (nobody who has
          it answers); C(problem) says it in words.
      type: list
      elements: dict
    summary:
      description: How many of each.
      type: dict
    leftovers:
      description: Ids of files that no name stands for, which the next run deletes.
      type: list
      elements: str
    doubts:
      description: Uploads whose end nobody heard of.
      type: list
      elements: dict
    document:
      description: A manifest of all entries that are not missing.
      type: dict
  sample:
    path: /var/lib/app/files.json
    exists: true
    error: null
    entries:
      - name: logo.png
        file_id: group1/M00/00/00/wKgBaGkxY0aAPmCyAAAAC0hbYVY123.png
        type: normal
        size: 11
        crc32: 485b6156
        status: ok
        problem: null
    summary: {ok: 1, missing: 0, differs: 0, unknown: 0}
    leftovers: []
    doubts: []
    document: {schema: 1, files: {logo.png: {id: group1/M00/00/00/wKgBaGkxY0aAPmCyAAAAC0hbYVY123.png}}}
"""

from ansible_collections.polystore.storage.plugins.module_utils.core.host import run_module
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.info import Info

SUBJECT = Info


def main() -> None:
    run_module(SUBJECT)


if __name__ == "__main__":
    main()
