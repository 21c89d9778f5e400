# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: pachyderm_file
short_description: Manage files in a repo of Pachyderm
version_added: 0.1.0
author: polystore.storage contributors (@polystore)
description:
  - Declares files of a branch and their content, which comes from the executing host, from a URL that pachd fetches, or
    from another file in Pachyderm.
  - All that one task changes on a branch is one commit, deletions included. Readers see the branch before it or after
    it, and a run that dies leaves nothing. When nothing differs, nothing is sent and no commit is made.
  - Whether content is the same is decided by the hash that pachd keeps, which is computed here from local content, so
    that nothing is downloaded. See O(compare).
  - Files are overwritten, never appended to.
  - pachd finds some mistakes only after it has accepted a commit. So each commit is looked at until it is finished.
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
      - Absolute path of the file in the repo, such as V(/images/liberty.png).
      - Pachyderm takes printable ASCII without any of C(* ? [ ] { } ! \( \) @ + ^) and backslashes.
      - With O(state=absent), a path that ends in C(/) is a directory to remove with all that is in it.
      - Required, in the task or in each item of the batch.
    type: str
  url:
    description:
      - URL that pachd fetches the content from (V(https://), V(http://), V(s3://), V(gs://), V(wasb://)), with its own
        credentials.
      - What is behind it is not known here. So a file that is there is left alone, whatever O(compare) says.
    type: str
  copy_from:
    description:
      - Another file in Pachyderm to copy, inside pachd. It has to exist.
      - What is compared is the newest good commit of the branch that is copied from.
    type: dict
    suboptions:
      project:
        description: Name of the project, by default the same.
        type: str
      repo:
        description: Name of the repo, by default the same.
        type: str
      branch:
        description: Name of the branch, by default the same in the same repo and C(master) in another.
        type: str
      path:
        description: Absolute path of the file. Required.
        type: str
  compare:
    description:
      - How it is decided whether the content is the same.
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
  - polystore.storage.content
notes:
  - Items of one branch are one commit, so they need the same O(description), O(wait) and O(wait_timeout).
  - Declare many files with O(batch) rather than in a loop, which makes a commit for each.
  - A file where a directory is, or the other way round, is refused before anything is sent, unless the task removes
    what is in the way. Should pachd find a commit bad nevertheless, the task fails with its reason. Nothing of that
    commit stays, but reading the branch fails until there is a new one; the next run makes it, also when no
    file differs, and reports a change.
  - Hashing what is larger than 1 MB takes about a second for each 10 MB; with numpy on the executing host ten times
    that.
seealso:
  - module: polystore.storage.pachyderm_sync
  - module: polystore.storage.pachyderm_download
  - module: polystore.storage.pachyderm_repo
"""

EXAMPLES = r"""
- name: Three images in one commit
  polystore.storage.pachyderm_file:
    repo: photos
    batch:
      - {path: /landscape.png, src: files/landscape.png}
      - {path: /red_vase.png, src: files/red_vase.png}
      - {path: /old.png, state: absent}

- name: A text
  polystore.storage.pachyderm_file:
    project: art
    repo: photos
    branch: staging
    path: /README
    content: "Closed until Monday"

- name: What pachd fetches itself
  polystore.storage.pachyderm_file:
    repo: photos
    path: /liberty.png
    url: https://images.example/liberty.png

- name: A file of another repo
  polystore.storage.pachyderm_file:
    repo: photos
    path: /archive/vase.png
    copy_from: {repo: inbox, path: /vase.png}

- name: A directory and all that is in it goes
  polystore.storage.pachyderm_file:
    repo: photos
    path: /archive/
    state: absent
"""

RETURN = r"""
resources:
  description: The files, with what was done to each and their state.
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
    url:
      description: Where pachd has fetched it from, without what may be secret in it.
      type: str
    copied_from:
      description: The file that it was made from just now.
      type: str
    directory:
      description: V(true) for a directory; of files nothing is said.
      type: bool
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
resource:
  description: The file, when the task was about one.
  returned: when one item was given
  type: dict
  sample: {project: default, repo: photos, branch: master, path: /landscape.png, action: unchanged}
summary:
  description: How many items were created, updated, deleted, unchanged and failed; and requests, writes and bytes.
  returned: success, and on failure what had been done
  type: dict
  sample: {created: 1, updated: 0, deleted: 0, unchanged: 0, failed: 0, requests: 6, writes: 1, bytes_sent: 130}
failures:
  description: What failed, with the item, the operation, the server's code and words, and what to do about it.
  returned: failure
  type: list
  elements: dict
"""

from ansible_collections.polystore.storage.plugins.module_utils.core.host import run_module
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.files import FileResource

SUBJECT = FileResource


def main() -> None:
    run_module(SUBJECT)


if __name__ == "__main__":
    main()
