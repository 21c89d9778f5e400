# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: estate_export
short_description: Write what there is in the storage systems as a manifest
version_added: 0.1.0
author:
  - polystore.storage contributors (@polystore)
description:
  - Looks through the storage systems and writes what it finds as a manifest of M(polystore.storage.estate), with its
    content in files beside it. Applied to where it came from, it changes nothing; applied elsewhere, it makes the same.
  - It runs in the controller, and only reads from the systems.
options:
  dest:
    description:
      - Where the manifest is written. The name ends with C(.yml), C(.yaml) or C(.json). Content goes to a directory
        beside it, with C(.files) for its ending.
      - A relative path is relative to the playbook.
    type: path
    required: true
  estate:
    description:
      - The name that the estate is given in the manifest.
    type: str
    default: exported
  connections:
    description:
      - Connection options of each system, as in a manifest. What is left out comes from the environment. They are not
        written to the manifest.
    type: dict
  systems:
    description:
      - Take only these systems. If not set, those in O(connections), and without it all of them.
    type: list
    elements: str
    choices: [swift, alluxio, pachyderm, fastdfs, pegasus]
  contents:
    description:
      - What is taken of objects, files and rows.
      - V(files) takes them with their content. V(digests) names them without content, and writes sizes and checksums to
        a file beside the manifest, which ends with C(.digests.json). V(none) leaves them out.
    type: str
    choices: [none, digests, files]
    default: files
  swift_prefixes:
    description:
      - Take the containers whose names begin with one of these. If not set, all.
    type: list
    elements: str
  alluxio_paths:
    description:
      - Take what is at and below these paths. If not set, everything.
    type: list
    elements: str
  pachyderm_projects:
    description:
      - Take these projects. If not set, all.
    type: list
    elements: str
  fastdfs_manifests:
    description:
      - Take the files that these manifests of FastDFS name. FastDFS itself knows no names, so that without them nothing
        is taken.
    type: list
    elements: str
  pegasus_tables:
    description:
      - Take these tables. If not set, all.
    type: list
    elements: str
  parallel:
    description:
      - How many workers each system has.
    type: int
    default: 8
attributes:
  check_mode:
    support: full
    description: No file is written.
  diff_mode:
    support: none
    description: What is written can be compared with other tools.
  platform:
    support: full
    platforms: posix
    description: The controller.
notes:
  - Secret values cannot be read, or are left out, and a warning says which. So are slaves of FastDFS, and whatever in
    Alluxio has not been written to its end.
  - What pipelines of Pachyderm make, and branches that follow others, are left to them. Commits are not exported, only
    what the branches hold now. Of a mount in Alluxio only the mount is taken, and its properties are secret.
  - Rows of Pegasus are taken without their time to live.
seealso:
  - module: polystore.storage.estate
"""

EXAMPLES = r"""
- name: Everything below one prefix, with its content
  polystore.storage.estate_export:
    dest: website.yml
    systems: [swift]
    swift_prefixes: [website]

- name: What there is in two systems, without content
  polystore.storage.estate_export:
    dest: inventory.json
    contents: none
    connections:
      swift:
        cloud: production
      pachyderm:
        address: grpc://pachd.example.com:30650
    pachyderm_projects: [vision]
"""

RETURN = r"""
dest:
  description: The path of the manifest.
  returned: success
  type: str
  sample: /home/ci/website.yml
counts:
  description: How many things of each kind were taken.
  returned: success
  type: dict
  sample: {"swift.containers": 1, "swift.objects": 12}
"""
