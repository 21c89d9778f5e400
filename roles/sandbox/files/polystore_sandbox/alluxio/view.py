# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FileInfo: an inode as get-status and list-status show it, in each dialect."""

from __future__ import annotations

from typing import Any

from polystore_sandbox.alluxio.namespace import Namespace
from polystore_sandbox.alluxio.tree import Inode


def _entry(kind: str, subject: str, mode: int) -> str:
    letters = "".join(letter if mode & bit else "-" for letter, bit in (("r", 4), ("w", 2), ("x", 1)))
    return f"{kind}:{subject}:{letters}"


def file_info(inode: Inode, names: Namespace) -> dict[str, Any]:
    """The caller has the lock."""
    dialect = names.dialect
    path = inode.path
    place = names.mounts.place(path)
    cached = 100 if not inode.folder and (inode.cached or not inode.length) else 0
    blocks = _blocks(inode)
    found: dict[str, Any] = {
        "fileId": inode.id,
        "name": inode.name,
        "path": path,
        "ufsPath": place.uri,
        "length": len(inode.children) if inode.folder else inode.length,
        "blockSizeBytes": inode.block_size,
        "creationTimeMs": inode.created,
        "lastModificationTimeMs": inode.modified,
        "completed": inode.completed,
        "folder": inode.folder,
        "pinned": inode.pinned,
        "cacheable": not inode.folder,
        "persisted": inode.persisted,
        "persistenceState": inode.state,
        "blockIds": blocks,
        "fileBlockInfos": _block_infos(inode, blocks, dialect.old),
        "inMemoryPercentage": 0 if inode.folder or inode.length else 100,  # the worker's one tier is no memory
        "inAlluxioPercentage": cached,
        "ttl": inode.ttl,
        "ttlAction": inode.ttl_action,
        "owner": inode.owner,
        "group": inode.group,
        "mode": inode.mode,
        "mountPoint": bool(inode.mount) and inode.parent is not None,
        "mountId": place.mount.id,
        "ufsFingerprint": _fingerprint(inode, dialect.old),
    }
    if dialect.old:
        return found
    acl = [
        _entry("user", "", inode.mode >> 6),
        _entry("group", "", inode.mode >> 3),
        _entry("other", "", inode.mode),
    ]
    found.update(
        acl={"owner": inode.owner, "owningGroup": inode.group, "stringEntries": acl},
        defaultAcl={
            "owner": inode.owner if inode.folder else "",
            "owningGroup": inode.group if inode.folder else "",
            "stringEntries": [],
        },
        lastAccessTimeMs=inode.accessed,
        replicationMin=inode.replication_min,
        replicationMax=inode.replication_max,
        pinnedMediumTypes=inode.media,
        cacheContext=None,
    )
    if dialect.has("info_xattr"):
        found["xattr"] = inode.xattr
        inner = {name: value for name, value in found.items() if name not in ("cacheContext", "pinnedMediumTypes")}
        found["fileInfo"] = {**inner, "mediumTypes": inode.media}
    return found


def _fingerprint(inode: Inode, old: bool) -> str:
    """As the server writes it, of files only."""
    if inode.folder:
        return ""
    mark = ":" if old else "|"
    found = ""
    for name, value in inode.fingerprint.items():
        text = value.replace(" ", "_")
        found += f"{name}{mark}{text.replace(':', '_') if old else text} "
    return found


def _blocks(inode: Inode) -> list[int]:
    first = inode.id & ~0xFFFFFF
    if inode.begun:
        return [first]
    if inode.folder or not inode.length or not inode.completed:
        return []
    return [first + number for number in range(-(-inode.length // max(inode.block_size, 1)))]


def _block_infos(inode: Inode, blocks: list[int], old: bool) -> list[dict[str, Any]]:
    if not inode.completed:
        return []
    tiers = [{"tierName": "node", "value": "127.0.0.1"}, {"tierName": "rack", "value": None}]
    address: dict[str, Any] = {"host": "127.0.0.1", "rpcPort": 29999, "dataPort": 29999, "webPort": 30000}
    address.update(domainSocketPath="", tieredIdentity={"tiers": tiers})
    worker: dict[str, Any] = {"workerId": 1, "tierAlias": "SSD", "workerAddress": address}
    if not old:
        worker["mediumType"] = "SSD"
        address["containerHost"] = ""
    found = []
    for number, block in enumerate(blocks):
        offset = number * inode.block_size
        length = min(inode.block_size, inode.length - offset)
        info = {"blockId": block, "length": length, "locations": [worker] if inode.cached else []}
        below = ["127.0.0.1"] if inode.persisted and not inode.cached else []
        found.append({"blockInfo": info, "offset": offset, "ufsLocations": below})
    return found
