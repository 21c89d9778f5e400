# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: swift_temp_url
short_description: Sign a temporary URL of a Swift object
version_added: 0.1.0
author:
  - polystore.storage contributors (@polystore)
description:
  - Computes a URL that gives access to one object, or to all below a prefix, without a token, until it expires.
  - Nothing is sent. The key has to be set on the container or the account, with the option C(temp_url_keys) of
    M(polystore.storage.swift_container) or M(polystore.storage.swift_account).
positional: _input, key
options:
  _input:
    description:
      - The path of the object as V(/v1/AUTH_account/container/object), not percent-encoded, or its whole URL,
        percent-encoded.
      - A path is answered with a path, a URL with a URL.
    type: string
    required: true
  key:
    description: One of the temporary URL keys of the container or account.
    type: string
    required: true
  method:
    description: The HTTP method that is allowed. V(GET) allows V(HEAD) too.
    type: string
    choices: [GET, HEAD, PUT, POST, DELETE]
    default: GET
  duration:
    description: How long the URL is valid from now on, as seconds or as V(90s), V(15m), V(2h), V(7d).
    type: string
    default: 1h
  expires:
    description:
      - When the URL expires, as seconds since 1970 or as an ISO 8601 time in UTC such as V(2027-01-01T00:00:00Z).
      - Used instead of O(duration); the result is then the same each time.
    type: string
  prefix:
    description: Sign for all objects whose names begin with the object part of the path.
    type: boolean
    default: false
  ip_range:
    description: An address or network, such as V(192.0.2.0/24), that the URL is good for.
    type: string
  digest:
    description: The digest of the signature; the server lists those it takes in its capabilities, under C(tempurl).
    type: string
    choices: [sha256, sha512, sha1]
    default: sha256
  filename:
    description: The name under which a browser saves the object.
    type: string
  inline:
    description: Whether a browser shows the object instead of saving it.
    type: boolean
    default: false
seealso:
  - module: polystore.storage.swift_container
  - module: polystore.storage.swift_account
"""

EXAMPLES = r"""
- name: Show a link that works for one week
  ansible.builtin.debug:
    msg: "{{ (storage_url ~ '/reports/2026.pdf') | polystore.storage.swift_temp_url(key, duration='7d') }}"
  vars:
    storage_url: https://swift.example.org/v1/AUTH_demo
    key: "{{ vault_temp_url_key }}"

- name: Allow uploads below a prefix from one network until new year
  ansible.builtin.set_fact:
    drop_box: >-
      {{ '/v1/AUTH_demo/inbox/from-laboratory/' | polystore.storage.swift_temp_url(vault_temp_url_key, method='PUT',
         prefix=true, ip_range='192.0.2.0/24', expires='2027-01-01T00:00:00Z') }}
"""

RETURN = r"""
_value:
  description: The path or URL with its signature.
  type: string
"""

import base64
import datetime
import hashlib
import hmac
import time
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from ansible.errors import AnsibleFilterError
from ansible_collections.polystore.storage.plugins.module_utils.core.values import duration as seconds_of

METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE")
DIGESTS = ("sha256", "sha512", "sha1")


def _moment(value: Any) -> int:
    """Seconds since 1970 of a number or an ISO 8601 time (UTC where it names no zone). Raises ValueError."""
    text = str(value).strip()
    if text.isdigit():
        return int(text)
    when = datetime.datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)
    return int((when if when.tzinfo else when.replace(tzinfo=datetime.timezone.utc)).timestamp())


def sign(path: str, key: str, method: str, expires: int, prefix: bool, ip_range: str, digest: str) -> str:
    """The signature of a path that is not percent-encoded, as Swift's tempurl middleware computes it."""
    lines = ["ip=" + ip_range] if ip_range else []
    lines += [method, str(expires), ("prefix:" if prefix else "") + path]
    mac = hmac.new(key.encode(), "\n".join(lines).encode(), getattr(hashlib, digest))
    if digest == "sha512":
        return "sha512:" + base64.urlsafe_b64encode(mac.digest()).decode().rstrip("=")
    return mac.hexdigest()


def swift_temp_url(
    place: Any,
    key: Any,
    method: str = "GET",
    duration: Any = "1h",
    expires: Any = None,
    prefix: bool = False,
    ip_range: str | None = None,
    digest: str = "sha256",
    filename: str | None = None,
    inline: bool = False,
) -> str:
    """The path or URL `place` with a signature by key. Raises AnsibleFilterError."""
    text, method = str(place), str(method).upper()
    url = urlsplit(text) if text.startswith(("http://", "https://")) else None
    path = unquote(url.path) if url else text
    parts = path.split("/", 4)
    if len(parts) < 5 or parts[0] or not all(parts[1:4]) or not (parts[4] or prefix):
        raise AnsibleFilterError("swift_temp_url: %s is not /v1/account/container/object or the URL of one" % text)
    if not str(key):
        raise AnsibleFilterError("swift_temp_url: key is empty")
    if method not in METHODS or digest not in DIGESTS:
        raise AnsibleFilterError(
            "swift_temp_url: method is one of %s, digest one of %s" % (", ".join(METHODS), ", ".join(DIGESTS))
        )
    try:
        until = _moment(expires) if expires is not None else int(time.time()) + seconds_of(duration)
    except ValueError as error:
        raise AnsibleFilterError(
            "swift_temp_url: %s: %s" % ("duration" if expires is None else "expires", error)
        ) from None
    if expires is None and seconds_of(duration) <= 0:
        raise AnsibleFilterError("swift_temp_url: duration has to be greater than 0 and to end")
    query = [("temp_url_sig", sign(path, str(key), method, until, prefix, ip_range or "", digest))]
    query += [("temp_url_expires", str(until))]
    query += [("temp_url_ip_range", ip_range)] if ip_range else []
    query += [("temp_url_prefix", parts[4])] if prefix else []
    query += [("filename", filename)] if filename else []
    signed = "&".join("%s=%s" % (name, quote(value, safe="/:")) for name, value in query) + (
        "&inline" if inline else ""
    )
    base = "%s://%s" % (url.scheme, url.netloc) if url else ""
    return "%s%s?%s" % (base, quote(path), signed)


class FilterModule:
    """Ansible's filters of this file."""

    def filters(self) -> dict[str, Any]:
        return {"swift_temp_url": swift_temp_url}
