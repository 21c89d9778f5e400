# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all Pachyderm resources share: connection and contexts, names, finished commits, content."""

from __future__ import annotations

import base64
import binascii
import contextlib
import dataclasses as dc
import importlib
import json
import os
import re
from collections.abc import Generator, Mapping
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import Item, key
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP, plain_text
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import client as wire

DEFAULT = "default"  # the project that is always there
DIRECTORY = 2  # FileType DIR
REFERENCE = re.compile(r"\A([A-Za-z0-9_-]*)((?:[\^~][0-9]*)*)\Z")
IDENTIFIER = re.compile(r"\A[0-9a-f]{32}\Z")
WRONG = re.compile(r"[^ -~]|[*?\[\]{}!()@+^\\]")  # what no path holds
PART, PIECE, MESSAGE = 1 << 20, 1 << 18, 19 << 20  # bytes sent, read, and in a GetFile message


class PachydermConnection:
    """The connection options of every Pachyderm module, and the client they lead to."""

    spec: dict[str, dict[str, Any]] = {
        "address": {"type": "str"},
        "auth_token": {"type": "str", "no_log": True},
        "config_file": {"type": "path"},
        "context": {"type": "str"},
        "ca_cert": {"type": "path"},
        "server_name": {"type": "str"},
        "timeout": {"type": "int"},
        "retries": {"type": "int"},
    }

    @staticmethod
    def resolve(options: Mapping[str, Any], environ: Mapping[str, str]) -> wire.Settings:
        """The settings that options, a context that was named, environment and active context lead to, in this order.

        A context's token goes only where the context itself points, unless the context was named. Raises OptionError.
        """
        for name, least in (("timeout", 1), ("retries", 0)):
            if options.get(name) is not None and options[name] < least:
                raise OptionError(name, "%d is out of bounds" % options[name], "Give %d or more" % least)
        named = bool(options.get("config_file") or options.get("context"))
        given = options.get("address") or (None if named else environ.get("PACHD_ADDRESS"))
        found = _context(options, environ) if named or not given else {}
        address = given or found.get("address") or environ.get("PACHD_ADDRESS") or "grpc://localhost:30650"
        tokens = [options.get("auth_token"), environ.get("PACHD_AUTH_TOKEN"), environ.get("AUTH_TOKEN")]
        tokens.insert(1 if named else 3, found.get("token"))
        token = next((text for text in tokens if text), None)
        if token and not re.match(r"^[!-~]+\Z", token):
            raise OptionError("auth_token", "it holds what no token can", "A token is printable ASCII without blanks")
        ca_cert = options.get("ca_cert")
        settings = wire.Settings(
            address=address,
            auth_token=token,
            ca_cert=ca_cert or found.get("ca") or None,
            server_name=options.get("server_name"),
            timeout=options.get("timeout") or 60,
            retries=4 if options.get("retries") is None else options["retries"],
        )
        for name in ("ca_cert", "server_name"):
            if options.get(name) and not wire.target(address)[1]:
                raise OptionError(name, "%s is not TLS" % address, "Write the address with grpcs://")
        if ca_cert and not os.path.isfile(ca_cert):
            raise OptionError("ca_cert", "%s does not exist" % ca_cert)
        return settings

    @staticmethod
    def connect(settings: wire.Settings, parallel: int) -> wire.PachydermClient:
        """A client; nothing is sent yet."""
        return wire.PachydermClient(settings, parallel)

    @staticmethod
    def preload(tokens: Any) -> None:
        """Import the client library now, before the forks; channels are made after them. Raises MissingLibrary."""
        wire.preload()


CONNECTION = PachydermConnection()


def _context(options: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """address, token and ca (PEM) of a context in pachctl's configuration file. Raises OptionError."""
    home = environ.get("HOME") or os.path.expanduser("~")
    path = options.get("config_file") or environ.get("PACH_CONFIG")
    said, option = bool(path), "config_file" if options.get("config_file") or not path else "PACH_CONFIG"
    path = path or os.path.join(home, ".pachyderm", "config.json")
    if not said and not options.get("context") and not os.path.exists(path):
        return {}
    try:
        with open(path, encoding="utf-8") as stream:
            whole = json.load(stream)
        found = whole.get("v2") or {}
        contexts = dict(found.get("contexts") or {})
        name = options.get("context") or found.get("active_context") or ""
        context = dict(contexts.get(name) or {})
    except OSError as error:
        raise OptionError(option, "%s cannot be read: %s" % (path, error.strerror)) from None
    except (AttributeError, TypeError, ValueError):  # its text holds tokens: nothing of it is quoted
        raise OptionError(option, "%s is no configuration of pachctl" % path) from None
    if not context:
        if not said and not options.get("context"):
            return {}
        known = ", ".join(sorted(contexts)) or "none"
        raise OptionError("context", "%s has no context %s" % (path, name or "that is active"), "It has: %s" % known)
    return _told(context, path, name)


def _told(context: Mapping[str, Any], path: str, name: str) -> dict[str, str]:
    """What a context says."""
    forwards = context.get("port_forwarders")
    port = forwards.get("pachd") if isinstance(forwards, Mapping) else None
    address = context.get("pachd_address") or ("grpc://localhost:%s" % port if port else "")
    try:
        ca = base64.b64decode(context.get("server_cas") or "", validate=True).decode("ascii")
    except (binascii.Error, TypeError, ValueError):
        raise OptionError("context", "server_cas of %s in %s is not valid" % (name, path)) from None
    return {"address": str(address), "token": str(context.get("session_token") or ""), "ca": ca}


def name(value: Any) -> str:
    """The name of a repo, branch or pipeline: 1 to 63 of letters, digits, "_" and "-". Raises ValueError."""
    text = plain_text(value)
    if not re.match(r"^[A-Za-z0-9_-]{1,63}\Z", text):
        raise ValueError('%r is no name: 1 to 63 letters, digits, "_" and "-"' % (text,))
    return text


def project_name(value: Any) -> str:
    """The name of a project: up to 51 of letters, digits, "_" and "-", the first no sign. Raises ValueError."""
    text = plain_text(value)
    if not re.match(r"^[A-Za-z0-9][A-Za-z0-9_-]{0,50}\Z", text):
        raise ValueError(
            '%r is no project: 1 to 51 letters, digits, "_" and "-", beginning with a letter or digit' % (text,)
        )
    return text


def text(value: Any) -> str:
    """A description: text that is valid UTF-8. Raises ValueError."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("%r is not valid UTF-8" % (value,)) from None
    if "\0" in value:  # the server's database keeps none
        raise ValueError("%r holds a NUL" % (value,))
    return str(value)


@dc.dataclass
class InProject(Item):
    """Something that lies in a project."""

    project: str = key(parse=project_name, default=DEFAULT)


def path(value: Any) -> str:
    """A path in a commit: absolute, without "/" at its end. Raises ValueError for what the server cannot hold."""
    if not isinstance(value, str):
        raise ValueError("%r is no path" % (value,))
    wrong = WRONG.findall(value)
    if wrong:
        raise ValueError("%r holds %r, which no path in Pachyderm can" % (value, min(wrong)))
    parts = [part for part in value.split("/") if part]
    if "." in parts or ".." in parts:
        raise ValueError('%r holds "." or ".."' % (value,))
    return "/" + "/".join(parts)


def reference(value: Any) -> tuple[str, str, int]:
    """(branch, id, how many commits back) of "master", a commit's id of 32 digits, or either with "^2" or "~1" behind
    it. Raises ValueError."""
    match = REFERENCE.match(value) if isinstance(value, str) and value else None
    if match is None:
        raise ValueError(
            '%r is no commit: write an id of 32 digits, a branch, or either with "^2" behind it' % (value,)
        )
    name, back = match.group(1), 0
    for number in re.findall(r"[\^~]([0-9]*)", match.group(2)):
        back += int(number) if number else 1
    return ("", name, back) if IDENTIFIER.match(name) else (name, "", back)


def commit_of(client: Any, item: Any) -> Any:
    """The Commit message that `branch` or `commit` of an item name, as 2.0 to 2.12 understand it."""
    branch, number, back = ("", "", 0) if item.commit is KEEP else reference(item.commit)
    if item.branch is not KEEP and item.commit is not KEEP and branch not in ("", item.branch):
        raise OptionError("commit", "%s is on another branch than %s" % (item.commit, item.branch))
    if not number and not branch:
        branch = "master" if item.branch is KEEP else item.branch
    return client.commit(item.project, item.repo, branch, number + ("^%d" % back if back else ""))


def finished(client: Any, item: Any, wait: bool = False, timeout: float = 0) -> Any:
    """The CommitInfo of the finished commit that an item names; its `commit` has an id and never changes again.

    A commit that is finishing is waited for at most `timeout` seconds, an open one only with `wait`; reading either
    could hang without end. Raises StorageError when it is open, has failed, or is not there.
    """
    wanted = commit_of(client, item)
    told = item.commit if item.commit is not KEEP else wanted.branch.name
    said = "%s/%s@%s" % (item.project, item.repo, told)
    request = client.message("pfs_v2.InspectCommitRequest", commit=wanted)
    try:
        info = client.maybe("pfs_v2.API/InspectCommit", request, operation="inspect commit")
    except StorageError as error:
        if "invalid offset for ancestor" not in error.server_message:  # 2.12 has words of its own for too far back
            raise
        info = None
    if info is None:
        raise StorageError(
            "There is no commit %s" % said,
            operation="inspect commit",
            code="NOT_FOUND",
            hint="Check project, repo, and branch or commit",
        )
    if not info.HasField("finished") and not info.error:
        if not info.HasField("finishing") and not wait:
            raise StorageError(
                "The commit %s is open: somebody, or a job, is writing to it" % said,
                operation="inspect commit",
                code="OPEN",
                hint='Wait until it is finished (wait: true), or name the commit before it (commit: "%s^")' % told,
            )
        timeout = timeout or client.settings.timeout
        try:
            info = client.finished(info.commit, timeout)
        except StorageError as error:
            if error.code == "DEADLINE_EXCEEDED":
                error.message = "The commit %s was not finished within %g s" % (said, timeout)
                error.hint = "Raise wait_timeout, or name the commit before it"
            raise
    if info.error:
        raise StorageError(
            "The commit %s has failed" % said,
            operation="inspect commit",
            code="FAILED",
            server_message=info.error,
            hint='What is in it is not to be trusted: name the commit before it (commit: "%s^")' % told,
        )
    return info


def check_commit(item: Any) -> None:
    """Raises OptionError when `commit` of an item is no commit."""
    if item.commit is not KEEP:
        try:
            reference(item.commit)
        except ValueError as error:
            raise OptionError("commit", str(error)) from None


def _trim() -> None:
    """Give freed memory back: glibc keeps tens of MiB."""
    with contextlib.suppress(ImportError, OSError, AttributeError, TypeError):
        libc = importlib.import_module("ctypes").CDLL(None)
        libc.mallopt(-3, 4 * PART)  # M_MMAP_THRESHOLD, which a message raises
        libc.malloc_trim(0)


def content(client: Any, file: Any, size: int, offset: int = 0) -> Generator[bytes, None, None]:
    """A file's content from offset on, at most 256 KiB at a time; close it. size: of the file, bytes.

    gRPC holds a message three times: so 20 MiB are on their way at most, whatever is read at once.
    """
    request = client.message("pfs_v2.GetFileRequest", file=file, offset=offset)
    share = min(max(size - offset, 0), MESSAGE) // PART
    with client.turn:
        for _mebibyte in range(share):
            client.room.acquire()
    try:
        with contextlib.closing(client.stream("pfs_v2.API/GetFile", request)) as messages:
            for data in messages:
                start = next((at for at in range(1, len(data)) if data[at] < 128), 0) + 1  # after tag and length
                for at in range(start, len(data), PIECE):
                    yield data[at : at + PIECE]
                del data
                if share:
                    _trim()
    finally:
        if share:
            client.room.release(share)
