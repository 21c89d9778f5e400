# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all Swift resources share: the connection options, the normal form of metadata, checks of names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP, plain_text
from ansible_collections.polystore.storage.plugins.module_utils.swift import auth, client

AUTH_SECRETS = ("password", "application_credential_secret", "token")
AUTH_OPTIONS = (
    *("auth_url", "username", "user_id", "password", "user_domain_name", "user_domain_id", "project_name"),
    *("project_id", "project_domain_name", "project_domain_id", "application_credential_id"),
    *("application_credential_name", "application_credential_secret", "token"),
)
ACCOUNT_META, QUOTA, URL_KEYS = "x-account-meta-", "quota-bytes", ("temp-url-key", "temp-url-key-2")
ACCOUNT_FACTS = ("container_count", "object_count", "bytes_used")  # told, never compared; Swift counts with a delay
MAX_META_NAME, MAX_META_VALUE, MAX_META_COUNT, MAX_META_TOTAL = 128, 256, 90, 4096


class SwiftConnection:
    """The connection options of every Swift module, and the client they lead to."""

    spec: dict[str, dict[str, Any]] = {
        "cloud": {"type": "str"},
        "rc_file": {"type": "path"},
        "auth_type": {"type": "str", "choices": ["v3password", "v3applicationcredential", "v3token", "v1"]},
        "auth": {
            "type": "dict",
            "options": {n: {"type": "str", "no_log": n in AUTH_SECRETS} for n in AUTH_OPTIONS},
        },
        "region_name": {"type": "str"},
        "interface": {"type": "str", "choices": ["public", "internal", "admin"]},
        "storage_url": {"type": "str"},
        "validate_certs": {"type": "bool"},
        "ca_cert": {"type": "path"},
        "client_cert": {"type": "path"},
        "client_key": {"type": "path"},
        "timeout": {"type": "int"},
        "retries": {"type": "int"},
    }

    @staticmethod
    def resolve(options: Mapping[str, Any], environ: Mapping[str, str]) -> auth.Credentials:
        """The credentials that options and environment lead to. Raises OptionError."""
        return auth.resolve(options, environ)

    @staticmethod
    def connect(credentials: auth.Credentials, parallel: int) -> client.SwiftClient:
        """A client; nothing is sent yet."""
        return client.SwiftClient(credentials, parallel)

    @staticmethod
    def preload(tokens: Any) -> None:
        """Import the client libraries now, before the forks, which will share tokens. Raises MissingLibrary."""
        client.SwiftClient.shared = tokens
        client.preload()


CONNECTION = SwiftConnection()


def container_name(value: Any) -> str:
    """A container's name: 1 to 256 bytes, no "/". Raises ValueError."""
    text = plain_text(value)
    if not text or "/" in text or text in (".", "..") or len(text.encode()) > 256:
        raise ValueError('%r is no container name: 1 to 256 bytes of UTF-8 without "/"' % (text,))
    return text


def object_name(value: Any) -> str:
    """An object's name: 1 to 1024 bytes. Raises ValueError."""
    text = plain_text(value)
    if not text or len(text.encode()) > 1024:
        raise ValueError("%r is no object name: 1 to 1024 bytes of UTF-8" % (text,))
    return text


def meta_key(name: str) -> str:
    """The normal form of a metadata key: Swift folds case, and servers fold "_" into "-"."""
    return str(name).strip().lower().replace("_", "-")


def metadata(value: Mapping[str, Any]) -> dict[str, str | None]:
    """Metadata in its normal form: text values, "" and null both mean removal. Raises ValueError."""
    found: dict[str, str | None] = {}
    for name, content in value.items():
        key = meta_key(name)
        if not re.match(r"^[!#$%&'*+.^`|~0-9a-z-]+$", key) or len(key) > MAX_META_NAME:
            raise ValueError("%r is no metadata key: 1 to %d characters of an HTTP header name" % (name, MAX_META_NAME))
        if key in found:
            raise ValueError("%r is given twice: case and _ or - make no difference" % (name,))
        if isinstance(content, (dict, list)):
            raise ValueError("the value of %r is no text" % (name,))
        text = "" if content is None else plain_text(str(content)).strip()
        if len(text.encode()) > MAX_META_VALUE:
            raise ValueError("the value of %r is longer than %d bytes" % (name, MAX_META_VALUE))
        found[key] = text or None
    kept = {k: v for k, v in found.items() if v is not None}
    if len(kept) > MAX_META_COUNT:
        raise ValueError("%d keys are too many: Swift takes %d" % (len(kept), MAX_META_COUNT))
    if sum(len(k) + len(v.encode()) for k, v in kept.items()) > MAX_META_TOTAL:
        raise ValueError("all keys and values together are longer than %d bytes" % MAX_META_TOTAL)
    return found


def meta_from(headers: Mapping[str, str], prefix: str, hidden: tuple[str, ...] = ()) -> dict[str, str]:
    """The metadata in lower-case headers below a prefix such as "x-container-meta-", without the hidden keys."""
    start = len(prefix)
    found = {meta_key(n[start:]): v for n, v in headers.items() if n.startswith(prefix)}
    return {k: v for k, v in found.items() if k not in hidden and v}


def meta_changes(prefix: str, before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    """The headers of a merging POST or PUT that lead from before to after; an empty value removes."""
    headers = {prefix + k: v for k, v in after.items() if before.get(k) != v}
    headers.update({prefix + k: "" for k in before if k not in after})
    return headers


def no_own_options(given: Any, own: Mapping[str, str]) -> None:
    """Raises OptionError when metadata names what has an option of its own. own: key to that option."""
    for name in given or ():
        if name in own:
            raise OptionError("metadata", "%s has an option of its own" % name, "Use %s" % own[name])


def check_limits(option: str, after: Mapping[str, str], limits: Mapping[str, Any]) -> None:
    """What would be there in the end, held against the server's own limits (GET /info, section "swift")."""
    for key, value in after.items():
        if len(key) > limits.get("max_meta_name_length", MAX_META_NAME):
            raise OptionError(option, "the key %s is longer than this server allows" % key)
        if len(value.encode()) > limits.get("max_meta_value_length", MAX_META_VALUE):
            raise OptionError(option, "the value of %s is longer than this server allows" % key)
    if len(after) > limits.get("max_meta_count", MAX_META_COUNT):
        raise OptionError(option, "%d keys are more than this server allows" % len(after))
    if sum(len(k) + len(v.encode()) for k, v in after.items()) > limits.get("max_meta_overall_size", MAX_META_TOTAL):
        raise OptionError(option, "all keys and values together are longer than this server allows")


def acl(value: Any) -> str:
    """The server's own normal form of an ACL: no blanks, no empty elements, ".referrer:" and its like as ".r:"."""
    parts = value if isinstance(value, (list, tuple)) else str(value).split(",")
    found = []
    for raw in (piece for part in parts for piece in str(part).split(",")):
        part = plain_text(raw).strip()
        match = re.match(r"^\.(r|ref|referer|referrer)\s*:\s*(-?)\s*(.*)$", part, re.I)
        if match:
            part = ".r:%s%s" % (match.group(2), match.group(3).strip())
        if part and part not in (".r:", ".r:-"):
            found.append(part)
    return ",".join(found)


def temp_url_keys(value: Any) -> list[str | None]:
    """One or two keys of temporary URLs; null leaves a key alone, "" clears it. Raises ValueError."""
    if len(value) > 2 or any(isinstance(part, (dict, list)) for part in value):
        raise ValueError("not one or two texts")
    return [None if part is None else plain_text(str(part)) for part in value]


def merged_keys(present: Mapping[str, Any] | None, want: Any) -> Any:
    """Both keys as they should be in the end; KEEP when nothing was said."""
    have = (present or {}).get("temp_url_keys") or ["", ""]
    if want is KEEP:
        return KEEP
    return [have[n] if n >= len(want) or want[n] is None else want[n] for n in (0, 1)]


def same_keys(have: Any, want: Any) -> bool:
    """Whether two lists of keys are the same; none is as good as two empty ones."""
    return bool((have or ["", ""]) == want)


def account_state(headers: Mapping[str, str]) -> dict[str, Any]:
    """The state that an account's headers tell."""
    meta = meta_from(headers, ACCOUNT_META)
    old = meta.pop(QUOTA, "")
    quota = headers.get("x-account-quota-bytes") or old  # newer servers keep it apart from the metadata
    return {
        "temp_url_keys": [meta.pop(name, "") for name in URL_KEYS],
        "metadata": meta,
        "quota_bytes": int(quota) if quota.isdigit() else None,
        **{name: int(headers.get("x-account-" + name.replace("_", "-"), 0)) for name in ACCOUNT_FACTS},
    }
