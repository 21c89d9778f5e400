# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two dialects of Alluxio's REST interface as data: option bodies, the normal form of a status, errors by name."""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple, Union
from urllib.parse import quote, urlsplit

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError

Version = tuple[int, int, int]
Code = Union[str, int]
# Seen on real servers: the first version that had it. In between nobody looked, so the older ones count as without.
SINCE: Mapping[str, Version] = {
    "sync": (1, 7, 1),
    "recursive_listing": (1, 8, 1),
    "common_ttl": (2, 1, 0),
    "download_file": (2, 1, 0),
    "replication": (2, 1, 0),
    "rename_persist": (2, 1, 0),
    "masked_secrets": (2, 1, 0),
    "refuses_incomplete": (2, 3, 0),  # open-file; before, an incomplete file reads as empty
    "metadata_only": (2, 5, 0),
    "operation_id": (2, 7, 3),
    "xattr": (2, 9, 0),
    "mount_guard": (2, 9, 0),  # before, a recursive delete wipes the store below a mount point
    "rename_overwrite": (2, 9, 1),
    "create_overwrite": (2, 9, 3),
    "default_ttl_free": (2, 9, 3),
    "delete_alluxio": (2, 9, 3),
    "s3_etag": (2, 9, 6),
}
FLOOR: Mapping[str, Version] = {"1": (1, 7, 1), "2": (2, 0, 0)}  # what a forced dialect stands for
BITS = ("NONE", "EXECUTE", "WRITE", "WRITE_EXECUTE", "READ", "READ_EXECUTE", "READ_WRITE", "ALL")
WRITE_TYPES = ("CACHE_THROUGH", "THROUGH", "ASYNC_THROUGH", "MUST_CACHE", "TRY_CACHE", "NONE")
TTL_ACTIONS = ("delete", "free", "delete_alluxio")
XATTR_STRATEGIES = ("UNION_REPLACE", "UNION_PRESERVE", "DELETE_KEYS", "TRUNCATE")
NEEDS = {"replication_min": "replication", "replication_max": "replication", "xattr": "xattr"}
NEEDS.update({"overwrite": "rename_overwrite", "recursive_listing": "recursive_listing"})
FIELDS = {name: name for name in ("recursive", "unchecked", "pinned", "owner", "group", "shared", "properties")}
FIELDS.update(block_size="blockSizeBytes", replication_min="replicationMin", replication_max="replicationMax")
FIELDS.update(read_only="readOnly", forced="forced")
ENUMS = {"write_type": ("writeType", WRITE_TYPES), "xattr_strategy": ("xattrUpdateStrategy", XATTR_STRATEGIES)}
# UNKNOWN (1.x says it for nearly everything) by what the message says.
MEANT = (
    (r"Traversal failed.*is a file", "INVALID_ARGUMENT"),
    (r'^Path "[^"]*" is invalid', "INVALID_ARGUMENT"),
    (r"already exists\b[^/]*$", "ALREADY_EXISTS"),
    (r"Component \d+\(.*\) does not exist\W*$|due to a concurrent delete", "NOT_FOUND"),
)
PLACE = "Start the proxy (bin/alluxio-start.sh proxy), or correct proxy_url (ALLUXIO_PROXY_URL); its port is 39999."
PORTS = "Is it the REST proxy's own port? 39999 is the proxy; 19998 and 19999 are the master, 29999 and 30000 a worker."
HTTPS = "Is https right there? The proxy itself speaks http. "
CUT = "Whatever was being changed may have been done: run again, which looks first."
NO_MASTER = (
    "The proxy lives, but its master does not answer it: see that it runs, and that alluxio.master.hostname in the "
    "proxy's alluxio-site.properties is right."
)
NO_WORKER = "No Alluxio worker can take the data: see that one runs and has room."
WAITED = (
    NO_MASTER[:-1] + "; for content, see that a worker runs. The proxy itself waits two minutes for a master: a "
    "shorter timeout hides its answer. " + CUT
)
LOST = "Its data cannot be read: its worker is gone, the file is incomplete, or it never reached the store below."
SHADOWED = (
    "An S3 servlet answers in place of REST and does nothing: set alluxio.proxy.s3.v2.version.enabled=false in the "
    "proxy's alluxio-site.properties and restart it."
)
MERGED = (
    "A reverse proxy in between merges the two slashes of /api/v1/paths//…: set merge_slashes off (nginx; other "
    "proxies: their like), or give the address behind it as proxy_url."
)
BETWEEN = "A reverse proxy in between says that, not Alluxio: see its log, or give the address behind it as proxy_url."
HINTS: Mapping[Code, str] = {
    "PERMISSION_DENIED": "The proxy acts as its own user (alluxio.security.login.username): that one lacks the right.",
    "UNAUTHENTICATED": "alluxio.security.authentication.type and the login user of proxy and master must agree.",
    401: "It wants credentials: give them in headers. " + BETWEEN,
    403: "It wants credentials: give them in headers. " + BETWEEN,
    404: "Does proxy_url hold the right path? " + PORTS,
    413: "It refuses large bodies: raise its limit (nginx: client_max_body_size 0). " + BETWEEN,
    502: BETWEEN,
    503: BETWEEN,
    504: "It gives up sooner than Alluxio: raise its limit (nginx: proxy_read_timeout). " + BETWEEN,
}
LOCKED = (401, 403, 407, 502, 503, 504)  # nothing else gets through either
# names in the chain of exceptions, what to say of the host, what to do, transient, fatal, sent
BROKEN = (
    ({"SSLEOFError", "SSLZeroReturnError"}, "The connection to %s broke", CUT, True, False, True),
    ({"SSLCertVerificationError"}, "TLS with %s failed, its certificate is not trusted",
     "Name the authority's certificate in ca_cert (or say validate_certs: false).", False, True, False),
    ({"SSLError"}, "TLS with %s failed", HTTPS, False, True, False),
    ({"ProxyError", "InvalidProxyURL"}, "The HTTP proxy on the way to %s cannot be used",
     "Correct http_proxy, https_proxy and no_proxy in the environment.", False, True, False),
    ({"gaierror", "NameResolutionError"}, "The name of %s cannot be resolved", PLACE, False, True, False),
    ({"ConnectionRefusedError"}, "%s refuses connections", PLACE, True, True, False),
    ({"NewConnectionError"}, "%s cannot be reached", PLACE, True, True, False),
    ({"ConnectTimeout", "ConnectTimeoutError"}, "%s cannot be reached in time", PLACE, False, True, False),
    ({"Timeout", "TimeoutError", "timeout"}, "%s did not answer in time", WAITED, False, True, True),
    ({"InvalidURL", "InvalidHeader", "LocationValueError"}, "The request to %s cannot be formed",
     "Correct proxy_url and headers.", False, True, False),
    ({"RemoteDisconnected", "ConnectionResetError", "IncompleteRead"}, "The connection to %s broke", CUT,
     True, False, True),
    ({"BadStatusLine", "UnknownProtocol", "LineTooLong"}, "%s does not speak HTTP", PORTS, False, True, True),
    ({"BaseException"}, "The connection to %s broke", CUT, True, False, True),
)  # fmt: skip


class AlluxioError(StorageError):
    """code: Alluxio's status name ("NOT_FOUND"), an HTTP status (int), or None below HTTP. sent: it may be there."""

    sent = True


class Order(NamedTuple):
    """One request. path: how messages call it; safe: sending it twice does no more than once; write: it counts."""

    method: str
    url: str
    operation: str
    path: str
    data: Any = None
    safe: bool = False
    write: bool = False
    kind: str = "application/json"

    @property
    def what(self) -> str:
        return " ".join(filter(None, (self.operation, self.path)))


def version_of(text: Any) -> Version | None:
    """(2, 9, 6) of "2.9.6", "2.9.6-SNAPSHOT" or "enterprise-2.9.6-1.0"; None when there is no such thing in it."""
    found = re.search(r"(?<![\d.])(\d+)\.(\d+)(?:\.(\d+))?", text if isinstance(text, str) else "")
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


def quoted(path: str) -> str:
    """An absolute path, percent-encoded segment by segment. Raises StorageError for what a server would misread:
    "?" cuts the path, a backslash becomes "/", dots and double slashes are walked."""
    wrong = not isinstance(path, str) or not path.startswith("/") or re.search(r"[?\\\0]", path)
    if wrong or re.search(r"//|/\.{1,2}(/|\Z)", path) or (path != "/" and path.endswith("/")):
        raise StorageError(
            "Alluxio would take the path %r for another" % (path,),
            operation="check path",
            code="INVALID_ARGUMENT",
            hint='Write it absolute and plain, without "?", "\\", "//", "." and "..".',
        )
    try:
        return "/".join(quote(part, safe="") for part in path.split("/"))
    except UnicodeError:
        raise StorageError("The path %r is not UTF-8" % path, operation="check path") from None


class Dialect:
    """How one server is spoken to. told: its own version, where it is known; forced: "auto", "1" or "2"."""

    def __init__(self, told: Version | None, forced: str = "auto") -> None:
        self.number = int(forced) if forced in FLOOR else 1 if told and told[0] == 1 else 2
        self.version: Version = told if told and told[0] == self.number else FLOOR[str(self.number)]

    def can(self, feature: str) -> bool:
        """Whether this server has it. feature: a key of SINCE."""
        return self.version >= SINCE[feature]

    def need(self, feature: str, option: str) -> None:
        """Raises StorageError where the server lacks the feature."""
        if not self.can(feature):
            first, have = (".".join(map(str, v)) for v in (SINCE[feature], self.version))
            raise StorageError(
                "%s needs Alluxio %s, this one speaks as %s" % (option, first, have),
                operation="check options",
                code="UNIMPLEMENTED",
                hint="Leave %s out, or upgrade Alluxio." % option,
            )

    def body(self, **given: Any) -> dict[str, Any]:
        """The JSON body of these options, by our names; None is left out. Raises StorageError.

        ttl: milliseconds, always sent with its action (free unless given); mode: "0755"; xattr: {name: bytes};
        sync: look at the store below first.
        """
        out: dict[str, Any] = {}
        common: dict[str, Any] = {"syncIntervalMs": 0} if given.pop("sync", None) else {}
        ttl, action = given.pop("ttl", None), given.pop("ttl_action", None)
        if ttl is not None:
            fields = {"ttl": int(ttl), "ttlAction": self._action(action or "free")}
            (common if self.number == 2 else out).update(fields)
        elif action is not None:
            raise StorageError("ttl_action says nothing without ttl", operation="check options", hint="Give both.")
        for name, value in given.items():
            if value is None or (name == "overwrite" and not value):
                continue
            if name in NEEDS:
                self.need(NEEDS[name], name)
            if name == "mode":
                out["mode"] = bits(value)
            elif name == "overwrite":
                out["s3SyntaxOptions"] = {"overwrite": True}
            elif name == "xattr":
                out["xattr"] = {key: base64.b64encode(content).decode() for key, content in value.items()}
                if given.get("xattr_strategy") is None:  # a creation, which else marks each parent that it makes too
                    out["xattrPropStrat"] = "LEAF_NODE"
            elif name in ENUMS:
                out[ENUMS[name][0]] = _enum(name, value, ENUMS[name][1])
            else:
                out[FIELDS[name]] = value
        return {**out, "commonOptions": common} if common else out

    def _action(self, action: str) -> str:
        name = _enum("ttl_action", action, tuple(known.upper() for known in TTL_ACTIONS))
        if name == "DELETE_ALLUXIO":
            self.need("delete_alluxio", "ttl_action: delete_alluxio")
        return name


def _enum(option: str, value: str, known: tuple[str, ...]) -> str:
    if value.upper() not in known:
        message = "%s: %r is none of %s" % (option, value, ", ".join(known))
        raise StorageError(message, operation="check options")
    return value.upper()


def bits(mode: str) -> dict[str, str]:
    """The three parts of "0755", by the server's names. Raises StorageError."""
    number = int(mode, 8)
    if number > 0o777:
        message = "mode: Alluxio has no set-user-ID, set-group-ID or sticky bit (%s)" % mode
        raise StorageError(message, operation="check options", hint="Give three octal digits.")
    return {who + "Bits": BITS[number >> at & 7] for who, at in (("owner", 6), ("group", 3), ("other", 0))}


def _bytes(value: Any) -> bytes:
    try:
        return base64.b64decode(value)
    except (binascii.Error, ValueError, TypeError):
        return str(value).encode()


def normal(info: Mapping[str, Any]) -> dict[str, Any]:
    """The normal form of a FileInfo of either dialect; what a server does not tell has the value of its absence."""
    get = info.get
    return {
        "path": get("path") or "",
        "folder": bool(get("folder")),
        "length": int(get("length") or 0),
        "completed": bool(get("completed", True)),
        "mode": "%04o" % (int(get("mode") or 0) & 0o7777),
        "owner": get("owner") or "",
        "group": get("group") or "",
        "pinned": bool(get("pinned")),
        "ttl": max(int(get("ttl", -1)), -1),
        "ttl_action": str(get("ttlAction") or "free").lower(),
        "replication_min": get("replicationMin"),
        "replication_max": get("replicationMax"),
        "xattr": {name: _bytes(value) for name, value in (get("xattr") or {}).items()},
        "persisted": bool(get("persisted")),
        "persistence_state": get("persistenceState") or "",
        "mount_point": bool(get("mountPoint")),
        "ufs_path": get("ufsPath") or "",
        "in_alluxio": int(get("inAlluxioPercentage") or 0),
        "modified_ms": int(get("lastModificationTimeMs") or 0),
        "file_id": get("fileId"),
        "block_size": int(get("blockSizeBytes") or 0),
    }


def words(body: bytes) -> str:
    """The words of an answer or a page in at most 300 characters; of a mount error its last line, which tells."""
    text = body[:20000].decode("utf-8", "replace")
    if re.search(r"(?is)<(html|head|body|h1|title|!doctype)\b", text):
        text = html.unescape(re.sub(r"(?is)<(style|script|title).*?</\1>|<[^>]*>", " ", text))
    elif text.startswith("mount command:"):
        text = text.rstrip().splitlines()[-1]
    return " ".join(text.split())[:300]


def refusal(status: int, body: bytes) -> tuple[Code, str]:
    """(code, the server's words) of a failed answer: the status name where it is Alluxio's, else an HTTP status."""
    try:
        told = json.loads(body)
        name = told.get("statusCode") or told.get("status")
    except (ValueError, AttributeError):
        told, name = {}, None
    if isinstance(name, str) and re.match(r"^[A-Z_]+$", name):
        text = words(str(told.get("message") or "").encode())
        if name == "UNKNOWN":
            name = next((code for pattern, code in MEANT if re.search(pattern, text)), name)
        return name, text
    text = words(body)
    inner = re.match(r"^HTTP ([45]\d\d) ", text)  # since 2.9.0 the real status stands in a 500's text
    return int(inner[1]) if inner else status, text


def refused(status: int, headers: Mapping[str, str], body: bytes, order: Order, forced: bool) -> AlluxioError:
    """The error of an answer that is no success, with what to change. forced: the user chose the dialect."""
    code, text = refusal(status, body)
    told = "%s: %s" % (order.what, code if isinstance(code, str) else "HTTP %d" % code)
    # 503 and its like come from before Alluxio; a 504 has waited long enough
    hint, fatal, transient = HINTS.get(code, ""), code in LOCKED, code in (429, 502, 503)
    relative = re.search(r'Path "([^"]*)" is invalid', text)
    lost = isinstance(code, int) and code >= 500 and order.operation in ("read", "download-file")
    if (relative and not relative[1].startswith("/")) or (code == 404 and order.path == "/"):
        hint, fatal = (MERGED + " " + HINTS[404] if code == 404 else MERGED), True
    elif status < 400:
        told = "%s: HTTP %d, redirected to %s" % (order.what, status, headers.get("location", "").split("?")[0])
        hint, fatal = "Redirects are not followed: give the address behind it as proxy_url.", True
    elif code == "PERMISSION_DENIED" and re.search(r"mount point", text):
        hint = "Unmount it first (alluxio_mount)." if "contains a mount" in text else "It is mounted read-only there."
    elif code == "UNAVAILABLE" or re.search(r"No available Alluxio worker|Connection refused", text):
        masterless = "Failed to connect to" in text or not re.search(r"io exception|[Ww]orker|refused", text)
        code, hint, fatal = "UNAVAILABLE", NO_MASTER if masterless else NO_WORKER, True
    elif "Failed to cache" in text:
        hint = NO_WORKER
    elif re.search(r"Unrecognized field|Can ?not (construct|deserialize)|not one of the values", text):
        hint = "Leave dialect at auto." if forced else "This Alluxio does not know that: leave the option out."
    elif lost and not transient and code != 504:
        hint = LOST
    elif not hint and code == 500 and re.search(rb"(?i)<html", body) and not re.search(rb"(?i)jetty|Bad Mess", body):
        hint = BETWEEN
    error = AlluxioError(told, operation=order.operation, code=code, server_message=text, hint=hint, fatal=fatal)
    error.transient, error.sent = transient, code != 429
    wait = headers.get("retry-after", "")
    error.retry_after = float(wait) if wait.isdigit() else None
    return error


def strange(body: bytes, order: Order) -> AlluxioError:
    """The error of a success that Alluxio does not answer: empty where a body is due, a page, S3's XML."""
    if not body.strip():
        return AlluxioError(
            "%s: the answer is empty" % order.what, operation=order.operation, hint=SHADOWED, fatal=True
        )
    hint = SHADOWED if re.search(rb"<Error>|amazonaws", body[:2000]) else BETWEEN + " " + PORTS
    told = "%s: the answer is not Alluxio's" % order.what
    return AlluxioError(told, operation=order.operation, server_message=words(body), hint=hint, fatal=True)


def trouble(error: BaseException, order: Order, timeout: float) -> AlluxioError:
    """What went wrong below HTTP. The library's own text is not shown: it may quote headers."""
    seen: list[Any] = [error]
    for one in seen:  # a chain of wrapped exceptions: it grows while it is walked
        for inner in (*one.args, getattr(one, "reason", None), one.__cause__, one.__context__):
            if isinstance(inner, BaseException) and inner not in seen:
                seen.append(inner)  # pylint: disable=modified-iterating-list
    names = {base.__name__ for one in seen for base in type(one).__mro__}
    among, message, hint, transient, fatal, sent = next(row for row in BROKEN if names & row[0])
    details = (getattr(one, "verify_message", "") or getattr(one, "strerror", "") for one in reversed(seen))
    detail = next(filter(None, details), "") or type(error).__name__
    if among & {"Timeout", "ConnectTimeout"}:
        detail = "timeout: %g s" % timeout
    if sent and not order.path:  # the very first question: nothing has been changed, and nobody is known to be there
        hint = "Is there an Alluxio proxy at all? " + (HTTPS if order.url.startswith("https:") else "") + PORTS
    told = "%s: %s (%s)" % (order.what, message % urlsplit(order.url).netloc, detail)
    found = AlluxioError(told, operation=order.operation, hint=hint.strip(), transient=transient, fatal=fatal)
    found.sent = sent
    return found
