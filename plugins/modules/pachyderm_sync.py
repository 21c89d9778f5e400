# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: pachyderm_sync
short_description: Send a local directory to a repo of Pachyderm
version_added: 0.1.0
author: polystore.storage contributors (@polystore)
description:
  - Declares that the files below a local directory are files below a directory of a branch, whatever else is there.
  - What is there is found with one walk, and compared with the local files by the hash that pachd keeps. Only what
    differs is sent, all of it in one commit, with what O(prune) removes. When nothing differs, no commit is made.
  - Readers see the branch before the commit or after it, and a run that dies leaves nothing.
options:
  repo:
    description:
      - Name of the repo, which has to exist.
      - Required, in the task or in each item of the batch.
    type: str
  branch:
    description:
      - Name of the branch; pachd makes it where it is missing. The output branch of a pipeline is refused, and so is
        any other that has provenance, because pachd alone writes there (and would lose what is put there).
    type: str
    default: master
  path:
    description:
      - Absolute path of the directory where the tree belongs. The file C(a/b) below O(src) becomes C(a/b) below it.
    type: str
    default: /
  compare:
    description:
      - How it is decided whether a file is the same.
      - V(checksum) compares the length and pachd's hash. On Pachyderm before 2.1.6, whose hashes were others, the
        content is downloaded and compared when the lengths are equal.
      - V(content) downloads and compares. V(size) compares the length alone. V(exists) leaves a file alone that is
        there.
    type: str
    choices: [checksum, content, size, exists]
    default: checksum
  description:
    description:
      - Description of the commit, if one has to be made.
      - Pachyderm takes a description only from whoever opens and finishes a commit. So with it the branch has an open
        commit while files are sent; a run that fails drops it, and one that is killed leaves it. The next run then
        refuses the branch and says so. Without a description nothing can be left behind.
    type: str
  wait:
    description:
      - What to do when the head of the branch is an open commit, to which somebody else is writing. By default the
        task fails, because what it sends would become part of that commit. With V(true) it waits for its end.
    type: bool
    default: false
  wait_timeout:
    description:
      - How long to wait for an open commit, and for pachd to finish the commit that was made, such as V(90s) or V(15m).
    type: raw
    default: 300
extends_documentation_fragment:
  - polystore.storage.pachyderm
  - polystore.storage.pachyderm.project
  - polystore.storage.engine
  - polystore.storage.tree
notes:
  - Trees on one branch are one commit, so they need the same O(description), O(wait) and O(wait_timeout).
  - Pachyderm has no empty directories. Names are printable ASCII without any of C(* ? [ ] { } ! \( \) @ + ^) and
    backslashes; a local file with another name is refused unless O(exclude) has it.
  - A file where the branch has a directory, or the other way round, is refused, unless O(prune) removes what is in the
    way.
  - With O(state=absent), the files that the local files stand for are deleted, and nothing else.
  - See M(polystore.storage.pachyderm_file) for commits that pachd finds bad, and for what hashing costs.
seealso:
  - module: polystore.storage.pachyderm_file
  - module: polystore.storage.pachyderm_download
  - module: polystore.storage.pachyderm_repo
"""

EXAMPLES = r"""
- name: A directory of images, and nothing else on the branch
  polystore.storage.pachyderm_sync:
    src: /data/images
    repo: photos
    prune: true

- name: Without temporary files, below a directory
  polystore.storage.pachyderm_sync:
    src: /data/results
    repo: results
    branch: staging
    path: /2026-11-20
    exclude: ["*.tmp", "cache/"]
    description: Results of November

- name: Two trees in one commit
  polystore.storage.pachyderm_sync:
    repo: photos
    batch:
      - {src: /data/a, path: /a}
      - {src: /data/b, path: /b, compare: size}
"""

RETURN = r"""
resources:
  description:
    - The files, with what was done to each and their state. By default all of them up to 100, and above that those that
      changed.
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
    branch:
      description: Name of the branch.
      type: str
    path:
      description: Absolute path.
      type: str
    action:
      description: What was done, V(created), V(updated), V(deleted), V(unchanged) or V(failed).
      type: str
    size:
      description: Bytes.
      type: int
    checksum:
      description:
        - pachd's hash of the content, as Pachyderm 2.1.6 and newer compute it, where it is known without more work.
      type: str
    commit_error:
      description: In a diff, why the newest commit of the branch was bad. Any change mends it.
      type: str
  sample:
    - project: default
      repo: photos
      branch: master
      path: /landscape.png
      action: created
      size: 1
      checksum: 3d4b9478848e85771d9d678f2d80966bf9ea36f0d05b44fe5b23433e14a3eace
summary:
  description: How many files were created, updated, deleted, unchanged and failed; and requests, writes and bytes.
  returned: success, and on failure what had been done
  type: dict
  sample: {created: 2, updated: 0, deleted: 0, unchanged: 5, failed: 0, requests: 6, writes: 1, bytes_sent: 9021}
failures:
  description: What failed, with the item, the operation, the server's code and words, and what to do about it.
  returned: failure
  type: list
  elements: dict
"""

from ansible_collections.polystore.storage.plugins.module_utils.core.host import run_module
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.sync import SyncResource

SUBJECT = SyncResource


def main() -> None:
    run_module(SUBJECT)


if __name__ == "__main__":
    main()
