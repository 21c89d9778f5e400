# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all Alluxio resources share: the connection, paths, attributes, reading with few calls, the guard of mounts."""

from __future__ import annotations

import base64
import binascii
import dataclasses as dc
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.alluxio import client as wire
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import (
    Change,
    Item,
    State,
    compare,
    directive,
    merged,
    wanted,
)
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP, NEVER, duration
from ansible_collections.polystore.storage.plugins.module_utils.core.values import mode as octal

FEW = 8  # of so many wanted children on, their parent is listed
DIGEST = "polystore.digest"  # where our digest of a file's content is kept
TEMPORARY = re.compile(r"/\.polystore-([0-9a-f]{16})-[0-9a-f]{8}\Z")  # an upload that is not complete
HIDDEN = (DIGEST, "s3_etag")  # extended attributes that are not the user's
REPLICATION = ("replication_min", "replication_max")
LATER = ("owner", "group", "pinned")  # what no creation takes
Info = dict[str, Any]  # a FileInfo in the client's normal form


class AlluxioConnection:
    """The connection options of every Alluxio module, and the client they lead to."""

    spec: dict[str, dict[str, Any]] = {
        "proxy_url": {"type": "str"},
        "master_url": {"type": "str"},
        "timeout": {"type": "int"},
        "dialect": {"type": "str", "choices": ["auto", "1", "2"]},
        "headers": {"type": "dict", "no_log": True},
        "validate_certs": {"type": "bool"},
        "ca_cert": {"type": "path"},
        "retries": {"type": "int"},
    }

    @staticmethod
    def resolve(options: Mapping[str, Any], environ: Mapping[str, str]) -> wire.Settings:
        """The settings that options and environment lead to. Raises OptionError."""
        for name, least in (("timeout", 1), ("retries", 0)):
            if options.get(name) is not None and options[name] < least:
                raise OptionError(name, "%d is out of bounds" % options[name], "Give %d or more" % least)
        headers = options.get("headers") or {}
        return wire.Settings(
            proxy_url=options.get("proxy_url") or environ.get("ALLUXIO_PROXY_URL") or "http://localhost:39999",
            master_url=options.get("master_url") or environ.get("ALLUXIO_MASTER_URL") or None,
            timeout=options.get("timeout") or 120,
            dialect=options.get("dialect") or "auto",
            headers=tuple(sorted((str(n), str(v)) for n, v in headers.items())),
            validate_certs=options.get("validate_certs") is not False,
            ca_cert=options.get("ca_cert"),
            retries=4 if options.get("retries") is None else options["retries"],
        )

    @staticmethod
    def connect(settings: wire.Settings, parallel: int) -> wire.AlluxioClient:
        """A client; nothing is sent yet."""
        return wire.AlluxioClient(settings, parallel)

    @staticmethod
    def preload(tokens: Any) -> None:
        """Import the client library now, before the forks. Raises MissingLibrary. Alluxio knows no tokens."""
        wire.preload()


CONNECTION = AlluxioConnection()


def path(value: Any) -> str:
    """An absolute path in its normal form, without a "/" at its end. Raises ValueError for what servers misread."""
    if not isinstance(value, str) or not value:
        raise ValueError("%r is no path: write it from the root on, such as /data/in" % (value,))
    if re.match(r"^[A-Za-z][A-Za-z0-9+.-]*:", value):
        raise ValueError("%r is a URI: write only its path, such as /data/in" % (value,))
    if not value.startswith("/"):
        raise ValueError("%r does not begin at the root: write /%s" % (value, value))
    for char, why in (
        ("?", "Alluxio cuts paths at it"),
        ("\\", "Alluxio takes it for a slash"),
        ("\0", "it ends names"),
    ):
        if char in value:
            raise ValueError("%r holds %r, which no path can: %s" % (value, char, why))
    text = value[:-1] if value.endswith("/") else value
    for part in text.split("/")[1:]:
        if part in ("", ".", ".."):
            raise ValueError(
                '%r holds %s: write the path without ".", ".." and "//"' % (value, '"%s"' % (part or "//"))
            )
        try:
            long = len(part.encode("utf-8")) > 255
        except UnicodeEncodeError:
            raise ValueError("%r is not valid UTF-8" % (value,)) from None
        if long:
            raise ValueError("%r holds a name of more than 255 bytes" % (value,))
    return text or "/"


def parent(where: str) -> str:
    """The directory that a path lies in; of the root the root."""
    return where.rpartition("/")[0] or "/"


def above(where: str) -> list[str]:
    """All directories that a path lies in, the nearest first, the root last."""
    found = []
    while where != "/":
        where = parent(where)
        found.append(where)
    return found


def inside(where: str, top: str) -> bool:
    """Whether a path lies below top."""
    return where != top and where.startswith(top.rstrip("/") + "/")


# --- attributes


def mode(value: Any) -> str:
    """A mode such as "0755". Raises ValueError."""
    text = octal(value)
    if int(text, 8) > 0o777:
        raise ValueError("%r: Alluxio has no set-user-ID, set-group-ID and sticky bit" % (value,))
    return text


def lifetime(value: Any) -> Any:
    """A ttl in its normal form: seconds, or "never". Raises ValueError."""
    seconds = duration(value)
    if seconds == 0:
        raise ValueError('0 would let Alluxio act on it at once: write "never" for no ttl')
    return "never" if seconds == NEVER else seconds


def xattr_value(data: bytes) -> Any:
    """An extended attribute's value as options and results have it: text, or {"b64": ...} for what is no UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(data).decode()}


def xattr_bytes(value: Any) -> bytes:
    """The bytes of a value in its normal form."""
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else str(value).encode("utf-8")


def xattrs(value: Mapping[str, Any]) -> dict[str, Any]:
    """Extended attributes in their normal form; null means removal. Raises ValueError."""
    found: dict[str, Any] = {}
    for name, content in value.items():
        if not name or name in HIDDEN:
            raise ValueError("%r is no name that can be given: %s are kept by others" % (name, " and ".join(HIDDEN)))
        if content is None:
            found[name] = None
            continue
        if isinstance(content, list) or (isinstance(content, dict) and set(content) != {"b64"}):
            raise ValueError("the value of %r is neither text nor {b64: base64}" % (name,))
        try:
            raw = base64.b64decode(content["b64"], validate=True) if isinstance(content, dict) else None
            found[name] = xattr_value(str(content).encode("utf-8") if raw is None else raw)
        except (binascii.Error, TypeError, UnicodeEncodeError, ValueError):
            raise ValueError("the value of %r is not valid" % (name,)) from None
    return found


def _replicas(least: int) -> Any:
    def parse(value: int) -> int:
        if value < least:
            raise ValueError("%d is less than %d" % (value, least))
        return value

    return parse


@dc.dataclass
class Attributes(Item):
    """The attributes that directories and files have in common."""

    mode: str = wanted(parse=mode)
    owner: str = wanted()
    group: str = wanted()
    pinned: bool = wanted("bool")
    ttl: Any = wanted("raw", parse=lifetime)
    ttl_action: str = wanted(choices=("delete", "free", "delete_alluxio"))
    replication_min: int = wanted("int", parse=_replicas(0))
    replication_max: int = wanted("int", parse=_replicas(-1))
    xattr: Any = wanted("dict", parse=xattrs, merge=True)
    purge_xattr: bool = directive("bool", default=False)
    write_type: str = directive(
        choices=("must_cache", "try_cache", "cache_through", "through", "async_through"), default="cache_through"
    )
    sync_metadata: bool = directive("bool", default=False)


def validate(item: Any) -> None:
    """Attributes that contradict each other. Raises OptionError."""
    least, most = item.replication_min, item.replication_max
    if least is not KEEP and most is not KEEP and 0 <= most < least:
        raise OptionError("replication_min", "%d is more than replication_max" % least)
    if item.pinned is not KEEP and least is not KEEP and item.pinned != (least > 0):
        raise OptionError(
            "pinned",
            "%s contradicts replication_min: %d" % (str(item.pinned).lower(), least),
            "Alluxio pins a file when its replication_min is 1 or more, and only then: leave one of them out",
        )
    for name in ("owner", "group"):
        if getattr(item, name) == "":
            raise OptionError(name, "is empty", "Leave it out to leave it alone")


def state(info: Mapping[str, Any]) -> State:
    """The attributes that a FileInfo tells, by option name; of a directory no replication, it has none."""
    ttl = info["ttl"]
    found: State = {name: info[name] for name in ("mode", "owner", "group", "pinned")}
    found["ttl"] = "never" if ttl < 0 else ttl // 1000 if ttl % 1000 == 0 else ttl / 1000.0
    if ttl >= 0:
        found["ttl_action"] = info["ttl_action"]
    if not info["folder"]:
        found.update({name: info[name] for name in REPLICATION if info.get(name) is not None})
    found["xattr"] = {k: xattr_value(v) for k, v in sorted((info.get("xattr") or {}).items()) if k not in HIDDEN}
    return found


def settled(item: Any, present: State | None) -> Any:
    """The item with its ttl_action as it follows: KEEP without a ttl; what is there, or free, beside a new ttl."""
    have = present or {}
    ttl = have.get("ttl", "never") if item.ttl is KEEP else item.ttl
    if ttl == "never":
        return dc.replace(item, ttl_action=KEEP) if item.ttl_action is not KEEP else item
    if item.ttl is not KEEP and item.ttl_action is KEEP:
        return dc.replace(item, ttl_action=have.get("ttl_action", "free"))
    return item


def plan(client: Any, item: Any, present: State | None, extra: State | None = None) -> Change | None:
    """compare() with what Alluxio's attributes imply; refuses what this server does not know.

    present: as state() tells it, with more keys where the resource has more; extra: differences it has found itself.
    """
    settled_item = settled(item, present)
    change = compare(settled_item, present, extra)
    if change is None or change.action == "deleted":
        return change
    change.item = item
    fields, after = change.fields, change.after or {}
    if fields.get("ttl") == "never":
        after.pop("ttl_action", None)
    if present is not None and "replication_min" in present:
        least = fields.get("replication_min")
        if least is not None and "pinned" not in fields:
            after["pinned"] = least > 0
        elif "pinned" in fields and least is None:
            after["replication_min"] = max(present["replication_min"], 1) if fields["pinned"] else 0
    least, most = after.get("replication_min") or 0, after.get("replication_max", -1)
    if ("replication_min" in fields or "replication_max" in fields) and 0 <= most < least:
        raise OptionError("replication_min", "it would be %d, and replication_max %d" % (least, most))
    supported(client, fields)
    return change


def supported(client: Any, fields: Mapping[str, Any]) -> None:
    """Raises OptionError for an attribute that this server does not know, before anything is written."""
    needs = [("xattr", "xattr", "2.9.0")] if fields.get("xattr") else []
    needs += [(name, "replication", "2.1.0") for name in REPLICATION if name in fields]
    if fields.get("ttl_action") == "delete_alluxio":
        needs.append(("ttl_action", "delete_alluxio", "2.9.3"))
    for option, feature, since in needs:
        if not client.can(feature):
            told = ".".join(str(number) for number in client.version)
            raise OptionError(
                option,
                "this server (Alluxio %s) does not know %s" % (told, feature),
                "Alluxio has it from %s on: leave the option out, or upgrade" % since,
            )


def milliseconds(ttl: Any) -> int:
    """A ttl in its normal form as the client takes it."""
    return -1 if ttl == "never" else int(ttl * 1000)


def creation(item: Any, file: bool = False) -> dict[str, Any]:
    """The arguments of create_directory or (file) upload; owner, group and pinned are to be set afterwards."""
    item = settled(item, None)
    given: dict[str, Any] = {"write_type": item.write_type.upper()}
    for name in ("mode", "ttl_action", *(REPLICATION if file else ())):
        if getattr(item, name) is not KEEP:
            given[name] = getattr(item, name)
    if item.ttl is not KEEP and item.ttl != "never":
        given["ttl"] = milliseconds(item.ttl)
    found = {k: xattr_bytes(v) for k, v in merged({}, item.xattr or {}, False).items()}
    if found:
        given["xattr"] = found
    return given


def homes(client: Any, path: str, given: Mapping[str, Any]) -> None:
    """Make what is missing above a path that is created with a ttl: 2.x gives it to the parents that it makes, too."""
    top = parent(path)
    if given.get("ttl", -1) < 0 or client.version < (2,) or client.get_status(top) is not None:
        return
    try:
        client.create_directory(top, recursive=True, write_type=given["write_type"])
    except StorageError as error:
        if error.code != "ALREADY_EXISTS":  # somebody else was quicker
            raise


def apply(
    client: Any,
    where: str,
    before: State | None,
    fields: Mapping[str, Any],
    sync: bool = False,
    recursive: bool = False,
) -> None:
    """Set the attributes among fields; nothing is sent when there is none.

    before: the state() that was there (for a new item: what its creation set); fields: as a Change has them.
    sync: look at the store below after a change of mode, owner or group, and set the ttl after that, because that
    look makes Alluxio forget the ttl.
    """
    have = before or {}
    sent = {n: fields[n] for n in ("mode", "owner", "group", "pinned", *REPLICATION) if n in fields}
    late = sync and any(n in sent for n in ("mode", "owner", "group"))
    ttl = {"ttl": fields.get("ttl", have.get("ttl", "never"))}
    ttl["ttl_action"] = fields.get("ttl_action", have.get("ttl_action", "free"))
    times = {"ttl": milliseconds(ttl["ttl"]), "ttl_action": ttl["ttl_action"]}
    gone: list[str] = []
    if "xattr" in fields:
        had, want = have.get("xattr") or {}, fields["xattr"]
        new = {k: xattr_bytes(v) for k, v in want.items() if k not in had or had[k] != v}
        gone = sorted(k for k in had if k not in want)
        if new:
            sent.update(xattr=new, xattr_strategy="UNION_REPLACE")
    if ("ttl" in fields or "ttl_action" in fields) and not late:
        sent.update(times)
    if sent:
        client.set_attribute(where, recursive=recursive, **sent)
    if gone:
        removed = dict.fromkeys(gone, b"")
        client.set_attribute(where, recursive=recursive, xattr=removed, xattr_strategy="DELETE_KEYS")
    if late:
        rows = [client.get_status(where, sync=True)]
        recursive = recursive and "ttl" in fields  # else it is the top's own, which is put back
        if recursive:
            rows += client.list_status(where, recursive=True, sync=True)
        if any(row and row["ttl"] != times["ttl"] for row in rows) or "ttl_action" in fields:
            client.set_attribute(where, recursive=recursive, **times)


# --- reading


def look(client: Any, workers: Any, paths: Iterable[str], sync: bool = False) -> dict[str, Info]:
    """What is at the paths, by path; missing ones are left out.

    Parents of FEW or more wanted children are listed, the others asked one by one; what lies below something that is
    known to be missing is not asked for. sync: look at the store below too.
    """
    asked, found, gone = set(paths), {}, set()
    front = asked
    while front:  # parents that many share a parent of their own: one listing tells which of them exist
        shared: dict[str, set[str]] = {}
        for where in front:
            if parent(where) not in asked:
                shared.setdefault(parent(parent(where)), set()).add(parent(where))
        front = {where for many in shared.values() if len(many) >= FEW for where in many}
        asked = asked | front

    def listed(top: str, names: list[str]) -> None:
        try:
            rows = client.list_status(top, sync=sync)
        except StorageError as error:
            if error.fatal or error.transient or client.get_status(top) is not None:
                raise
            gone.add(top)
            rows = []
        for row in rows:
            found[row["path"]] = row
        gone.update(name for name in names if name not in found)

    def one(job: tuple[str, list[str]]) -> None:
        top, names = job
        try:
            if len(names) >= FEW:
                return listed(top, names)
            for name in names:
                info = client.get_status(name, sync=sync)
                if info is None:
                    gone.add(name)
                else:
                    found[name] = info
        except StorageError as error:
            error.item = error.item or top
            raise

    levels: dict[int, dict[str, list[str]]] = {}
    for where in asked:
        levels.setdefault(where.count("/") if where != "/" else 0, {}).setdefault(parent(where), []).append(where)
    for _depth, groups in sorted(levels.items()):
        jobs: list[tuple[str, list[str]]] = []
        for top, names in groups.items():
            if not any(up in gone or (up in found and not found[up]["folder"]) for up in (top, *above(top))):
                jobs += [(top, names)] if len(names) >= FEW else [(top, [name]) for name in names]
        workers.each(one, jobs)
    return {where: found[where] for where in set(paths) if where in found}


def guard(client: Any, where: str, verb: str = "deleted", info: Info | None = None) -> list[Info]:
    """Everything below a path that is to be deleted or renamed. Raises StorageError when there is a mount point.

    Servers before 2.9.0 would delete the data in the mounted store; so this asks on every version.
    info: the path's own status, where it is known.
    """
    if where == "/":
        raise StorageError("the root cannot be %s" % verb, operation="check options")
    info = info or client.get_status(where)
    if info is None:
        return []
    rows = client.list_status(where, recursive=True) if info["folder"] else []
    mounts = sorted(row["path"] for row in [info, *rows] if row["mount_point"])
    if mounts:
        what = "is a mount point" if mounts[0] == where else "holds the mount point %s" % mounts[0]
        raise StorageError(
            "%s %s, and is not %s" % (where, what, verb),
            operation="look for mount points",
            code="MOUNT_POINT",
            hint="Unmount it first: alluxio_mount with state: absent leaves the mounted data as it is",
        )
    return rows


def digest(sha256: str, length: int) -> bytes:
    """The value of DIGEST for content with this SHA-256 (hexadecimal) and length.

    SHA-256, because processors have instructions for it: MD5 takes twice as long there, longer than the transfer.
    """
    return ("sha256:%s:%d" % (sha256, length)).encode()


def digest_of(info: Mapping[str, Any]) -> str | None:
    """The SHA-256 that a file's DIGEST tells, when it is about content of the file's length."""
    match = re.match(rb"^sha256:([0-9a-f]{64}):(\d+)$", (info.get("xattr") or {}).get(DIGEST, b""))
    return match.group(1).decode() if match and int(match.group(2)) == info["length"] else None
