# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter swift_temp_url: as python-swiftclient signs, and as a real Swift understands it."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.polystore.storage.plugins.filter.swift_temp_url import FilterModule
from ansible_collections.polystore.storage.plugins.module_utils.swift import auth, client
from swiftclient.utils import generate_temp_url

temp_url = FilterModule().filters()["swift_temp_url"]
PATH = "/v1/AUTH_demo/c/dir/o.txt"
WHEN = 1893456000


@pytest.mark.parametrize("digest", ["sha1", "sha256", "sha512"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("prefix", [False, True])
@pytest.mark.parametrize("ip_range", [None, "192.0.2.0/24"])
def test_signs_as_swiftclient_does(digest: str, method: str, prefix: bool, ip_range: str | None) -> None:
    ours = temp_url(PATH, "key", method=method, expires=WHEN, prefix=prefix, ip_range=ip_range, digest=digest)
    theirs = generate_temp_url(
        PATH, WHEN, "key", method, absolute=True, prefix=prefix, ip_range=ip_range, digest=digest
    )
    assert parse_qs(urlsplit(ours).query) == parse_qs(urlsplit(theirs).query)
    assert urlsplit(ours).path == PATH


def test_iso_time_is_utc_and_a_url_stays_one() -> None:
    url = temp_url("https://h:8080" + PATH, "key", expires="2030-01-01T00:00:00Z", filename="ä b.txt", inline=True)
    assert url.startswith("https://h:8080" + PATH + "?temp_url_sig=")
    assert "temp_url_expires=%d&" % WHEN in url
    assert url.endswith("&filename=%C3%A4%20b.txt&inline")
    assert url == temp_url("https://h:8080" + PATH, "key", expires=WHEN, filename="ä b.txt", inline=True)


@pytest.mark.parametrize(
    ("place", "options", "word"),
    [
        ("/v1/AUTH_demo/c", {}, "/v1/account/container/object"),
        ("/v1/AUTH_demo/c/", {}, "/v1/account/container/object"),
        ("v1/AUTH_demo/c/o", {}, "/v1/account/container/object"),
        ("https://h/v1/AUTH_demo/c", {}, "/v1/account/container/object"),
        (PATH, {"key": ""}, "key"),
        (PATH, {"method": "BREW"}, "method"),
        (PATH, {"digest": "md5"}, "digest"),
        (PATH, {"duration": "soon"}, "duration"),
        (PATH, {"duration": "never"}, "duration"),
        (PATH, {"duration": 0}, "duration"),
        (PATH, {"expires": "tomorrow"}, "expires"),
    ],
)
def test_bad_input_is_named(place: str, options: dict[str, Any], word: str) -> None:
    with pytest.raises(AnsibleFilterError, match=word):
        temp_url(place, **{"key": "key", **options})


def test_real_swift_accepts_it(swift_server: Any) -> None:
    swift = client.SwiftClient(auth.resolve(swift_server.auth_v1(), {}))
    container, name, key = swift_server.new_container_name(), "ä ?#/%20.txt", "sesame"
    swift.request("PUT", container, headers={"X-Container-Meta-Temp-URL-Key": key})
    swift.request("PUT", container, name, body=b"content")
    parts = urlsplit(swift.storage_url)
    path = "%s/%s/%s" % (parts.path, container, name)
    root = "%s://%s" % (parts.scheme, parts.netloc)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for digest in ("sha256", "sha512"):
        with opener.open(root + temp_url(path, key, duration="5m", digest=digest, filename="a.txt")) as answer:
            assert answer.read() == b"content"
            assert "a.txt" in answer.headers["Content-Disposition"]
    below = temp_url("%s/%s/ä" % (parts.path, container), key, prefix=True).split("?")[1]
    with opener.open(root + temp_url(path, key).split("?")[0] + "?" + below) as answer:
        assert answer.read() == b"content"
    with pytest.raises(urllib.error.HTTPError) as refused:
        opener.open(root + temp_url(path, "wrong"))
    assert refused.value.code == 401
    refused.value.close()
    swift.close()
