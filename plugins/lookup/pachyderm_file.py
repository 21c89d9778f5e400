# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: pachyderm_file
short_description: Read files of Pachyderm into a play
version_added: 0.1.0
author: polystore.storage contributors (@polystore)
description:
  - Gives the content of files of a commit. The controller reads them, whatever host the play is about.
  - The connection comes from the options, or from the environment as for the modules. C(module_defaults) do not reach
    lookups.
options:
  _terms:
    description: The paths of the files.
    required: true
    type: list
    elements: str
  repo:
    description:
      - The repo that the files are in.
    type: str
    required: true
  branch:
    description:
      - The branch whose newest commit is meant, V(master) if neither this nor O(commit) is set.
    type: str
  commit:
    description:
      - The commit, as an id of 32 digits, or counted back from an id or from the newest commit of a branch, as
        V(master^) and V(master^2).
    type: str
  encoding:
    description:
      - V(text) is UTF-8 text. V(b64) is base64, for everything else.
    type: str
    choices: [text, b64]
    default: text
  max_bytes:
    description:
      - The largest content that is read, in bytes or with a unit such as V(64k). More is an error.
    type: raw
    default: 1M
extends_documentation_fragment:
  - polystore.storage.pachyderm
  - polystore.storage.pachyderm.project
notes:
  - Large files belong on disk, where M(polystore.storage.pachyderm_download) brings them without a copy in memory.
  - All files of one look-up come from the same commit. One that is open or has failed is an error.
seealso:
  - module: polystore.storage.pachyderm_download
"""

EXAMPLES = r"""
- name: Show a small file
  ansible.builtin.debug:
    msg: "{{ lookup('polystore.storage.pachyderm_file', '/notes.txt', repo='photos', address='grpc://pachd:30650') }}"

- name: Write a binary one to another repo
  polystore.storage.pachyderm_file:
    repo: archive
    path: /liberty.png
    content_b64: "{{ lookup('polystore.storage.pachyderm_file', '/liberty.png', repo='photos', encoding='b64') }}"
"""

RETURN = r"""
_raw:
  description: The content of each file.
  type: list
  elements: str
"""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import common
from ansible_collections.polystore.storage.plugins.plugin_utils.contents import Contents, parsed


class Where:
    """The commit that is read, by the names of the options."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.project = parsed("project", common.project_name, options["project"])
        self.repo = parsed("repo", common.name, options["repo"])
        self.branch = parsed("branch", common.name, options["branch"]) if options["branch"] else KEEP
        self.commit = options["commit"] or KEEP
        common.check_commit(self)


class LookupModule(Contents):
    """Reads files of Pachyderm in the controller."""

    name, better = "pachyderm_file", "pachyderm_download"
    connection = common.CONNECTION
    commit: Any

    def begin(self) -> None:
        self.commit = common.finished(self.client, Where(self.options)).commit

    @contextlib.contextmanager
    def open(self, term: Any) -> Iterator[tuple[int | None, Iterable[bytes]]]:
        path = parsed("_terms", common.path, term)
        file = self.client.file(self.commit, path)
        request = self.client.message("pfs_v2.InspectFileRequest", file=file)
        info = self.client.maybe("pfs_v2.API/InspectFile", request, operation="inspect file")
        if info is None:
            raise StorageError("There is no file %s" % path, operation="read file", code="NOT_FOUND")
        if info.file_type == common.DIRECTORY:
            raise StorageError("%s is a directory" % path, operation="read file")
        self.fits(path, info.size_bytes)
        with contextlib.closing(common.content(self.client, file, info.size_bytes)) as parts:
            yield info.size_bytes, parts
