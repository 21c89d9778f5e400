# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all parts of the master share: the tree, its lock, and whose everything is."""

from __future__ import annotations

import contextlib
import getpass
import grp
import pwd
import threading
from pathlib import Path
from typing import Any

from polystore_sandbox.alluxio.namespace import Namespace
from polystore_sandbox.alluxio.store import Mounts
from polystore_sandbox.alluxio.tree import PERSISTED, Inode, Tree
from polystore_sandbox.alluxio.versions import Dialect, Refusal

Options = dict[str, Any]


class Base:
    """Safe among threads."""

    def __init__(self, dialect: Dialect, folder: Path) -> None:
        self.dialect, self.folder = dialect, folder
        self.worker = folder / "worker"
        self.worker.mkdir(exist_ok=True)
        ufs = folder / "ufs"
        ufs.mkdir(exist_ok=True)
        self.lock = threading.RLock()
        self.tree = Tree(folder / "inodes.sqlite")
        self.mounts = Mounts(self.tree, str(ufs))
        self.names = Namespace(dialect, self.tree, self.mounts, self.worker)
        # The new directories above a file that is being written: they get what its completion adds to its xattr.
        self.sharing: dict[int, list[Inode]] = {}
        self.freeing: list[tuple[float, Inode]] = []
        self.user = getpass.getuser()
        self.group = _group_of(self.user)
        if not self.tree.root.owner:
            self.tree.root.owner, self.tree.root.group = self.user, self.group
            self.tree.root.ttl_action = dialect.ttl_action
            self.tree.changed(self.tree.root)
            self.tree.commit()

    @contextlib.contextmanager
    def change(self) -> Any:
        """The lock; what was done is written at the end, also when the operation was refused half way."""
        with self.lock:
            try:
                yield
            finally:
                self.tree.commit()

    def new_inode(self, parent: Inode, name: str, folder: bool, **values: Any) -> Inode:
        values = {"owner": self.user, "group": self.group, "pinned": parent.pinned, **values}
        inode = self.tree.add(parent, name, folder, **values)
        self.names.now_present(inode.path)
        return inode

    def persist_folders(self, inode: Inode | None) -> None:
        """Puts a directory and those above it into the store below."""
        if inode is None or inode.state == PERSISTED:
            return
        self.persist_folders(inode.parent)
        place = self.mounts.place(inode.path)
        place.make_folder(inode.mode)
        inode.state, inode.fingerprint = PERSISTED, place.marks()
        self.tree.changed(inode)

    def no_parent(self, path: str, rest: list[str]) -> Refusal:
        """The first of the missing names is above the last."""
        number = path.count("/") - len(rest) + 1
        return Refusal("parent_missing", f"File {path} creation failed. Component {number}({rest[0]}) does not exist")

    def delete(self, path: str, options: Options) -> None:
        """See Deleting."""
        raise NotImplementedError


def _group_of(user: str) -> str:
    try:
        return grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name
    except KeyError:
        return user
