# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Pachyderm client: addresses and settings, what errors are taken for, and what of them is shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.client import Settings, target
from ansible_collections.polystore.storage.tests.unit.pachyderm.double import Double, doubled, refusal


@pytest.fixture
def double() -> Iterator[Double]:
    with doubled() as made:
        yield made


# --- addresses and settings


@pytest.mark.parametrize(
    ("address", "name", "tls"),
    [
        ("grpc://localhost:30650", "localhost:30650", False),
        ("grpc://pachd", "pachd:30650", False),
        ("http://pachd.example.org:80", "pachd.example.org:80", False),
        ("http://pachd/", "pachd:30650", False),
        ("grpcs://pachd.example.org", "pachd.example.org:30650", True),
        ("https://pachd.example.org:443", "pachd.example.org:443", True),
        ("GRPCS://Pachd:1", "pachd:1", True),
        ("pachd:1650", "pachd:1650", False),
        ("pachd", "pachd:30650", False),
        ("10.0.0.7", "10.0.0.7:30650", False),
        ("[::1]:1650", "[::1]:1650", False),
        ("grpc://[fe80::1]", "[fe80::1]:30650", False),
        ("unix:/run/pachd.sock", "unix:/run/pachd.sock", False),
        ("unix:///run/pachd.sock", "unix:/run/pachd.sock", False),
        ("unix:pachd.sock", "unix:pachd.sock", False),
    ],
)
def test_addresses(address: str, name: str, tls: bool) -> None:
    assert target(address) == (name, tls)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("", "grpc://host:30650"),
        ("ftp://pachd", "ftp:// is not known"),
        ("pachd:99999", "port is wrong"),
        ("pachd:", "port is wrong"),
        ("pachd:0", "port is wrong"),
        ("grpc://pachd:port", "port is wrong"),
        ("::1", "is wrong"),
        ("grpc://", "is wrong"),
        ("grpc://pachd/path", "follows the port"),
        ("grpc://pachd?x=1", "follows the port"),
        ("grpc://pa chd", "no address"),
        ("grpc://pächd", "no address"),
        ("grpc://robot:secret@pachd", "auth_token"),
        ("unix:", "no path"),
        ("unix://host/path", "no path"),
    ],
)
def test_what_is_no_address_is_told_with_what_would_be(address: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        target(address)
    with pytest.raises(OptionError) as caught:
        Settings(address)
    assert caught.value.option == "address" and "secret" not in caught.value.told()


def test_settings_hide_the_token_and_tell_clients_apart() -> None:
    settings = Settings(auth_token=" t0ken\n")
    assert settings.auth_token == "t0ken" and "t0ken" not in repr(settings)
    assert settings.identity() == Settings(auth_token="t0ken").identity() != Settings().identity()
    assert "t0ken" not in settings.identity()


@pytest.mark.parametrize(("option", "value"), [("auth_token", "a\nb"), ("auth_token", "ключ"), ("timeout", 0)])
def test_settings_that_cannot_be(option: str, value: Any) -> None:
    with pytest.raises(OptionError) as caught:
        Settings(**{option: value})
    assert caught.value.option == option and str(value) not in caught.value.message.replace("0 is", "")


# --- what errors are taken for


@pytest.mark.parametrize(
    ("code", "words", "kind"),
    [
        ("NOT_FOUND", "repo default/r not found", "missing"),
        ("ALREADY_EXISTS", "repo default/r already exists", "exists"),
        ("PERMISSION_DENIED", "robot:bot is not authorized to perform this operation", "denied"),
        ("UNAUTHENTICATED", "no authentication token (try logging in)", "login"),
        ("UNIMPLEMENTED", "unknown method NoSuch for service pfs_v2.API", "unimplemented"),
        ("UNIMPLEMENTED", "the auth service is not activated", "auth-off"),
        ("UNKNOWN", "the auth service is not activated", "auth-off"),
        ("UNIMPLEMENTED", "the auth service is already activated", "unimplemented"),
        ("UNKNOWN", "unimplemented", "unimplemented"),
        # 2.0 and 2.1 say nearly everything in words alone
        ("UNKNOWN", "repo images not found", "missing"),
        ("UNKNOWN", 'branch "master" not found in repo images', "missing"),
        ("UNKNOWN", 'pipeline "edges" not found', "missing"),
        ("UNKNOWN", "repo images already exists", "exists"),
        ("UNKNOWN", 'pipeline "edges" already exists', "exists"),
        ("UNKNOWN", "robot:bot is not authorized to perform this operation - needs permissions [REPO_READ]", "denied"),
        ("UNKNOWN", "provided auth token is corrupted or has expired (try logging in again)", "login"),
        ("INTERNAL", "no authentication metadata found in context", "login"),
        ("INTERNAL", "token expiration is in the past", "login"),
        # Kubernetes' own
        ("UNKNOWN", 'failed to get secret: secrets "nos" not found', "missing"),
        ("UNKNOWN", 'failed to create secret: secrets "s1" already exists', "exists"),
        ("UNKNOWN", "apply edits: edit #0: pick repo: picking repo: repo (id=0, name=nor) not found", "missing"),
        ("UNKNOWN", "no role binding exists for REPO default/nor", "missing"),
        # heads that are not finished
        ("UNKNOWN", "start commit in transaction: parent commit default/r@1 has not been finished", "open"),
        ("UNAVAILABLE", "parent commit default/r@1 has not been finished", "open"),
        # words that look like one of those
        ("UNKNOWN", 'pipeline "p" cannot be created because a repo with the same name already exists', ""),
        ("UNKNOWN", 'error retrieving content from "http://w/no": 404 Not Found', ""),
        ("UNKNOWN", "path (/x*) invalid: globbing character (*) not allowed in path", ""),
        ("INVALID_ARGUMENT", "could not get defaults for project nop: not found", ""),
        ("FAILED_PRECONDITION", "cannot delete project pa: repo pa/x1 still exists", ""),
    ],
)  # fmt: skip
def test_kinds(double: Double, code: str, words: str, kind: str) -> None:
    error = refusal(double, code, words)
    assert (error.code, error.kind, error.server_message) == (code, kind, words)
    assert error.fatal == (kind == "login") and not error.transient
    assert bool(error.hint) == (kind in ("login", "denied", "open"))


def test_the_token_is_nowhere_in_an_error(double: Double) -> None:
    error = refusal(double, "UNKNOWN", "the token t0ken-1 is odd", auth_token="t0ken-1")
    assert error.server_message == "the token *** is odd" and "t0ken-1" not in error.told()
    assert double.seen[-1].metadata["authn-token"] == "t0ken-1"


@pytest.mark.parametrize("length", [10, 20 << 10, 200 << 10])
def test_a_document_in_an_error_is_cut_out_however_long(double: Double, length: int) -> None:
    document = json.dumps({"transform": {"env": {"PASSWORD": "s3cret" * (length // 6)}}})
    words = "could not make effective spec: could not parse %s as Create Pipeline Request message: %s"
    error = refusal(double, "INVALID_ARGUMENT", words % (document, 'unknown field "frobnicate"'))
    assert error.code == "INVALID_ARGUMENT"
    assert error.server_message == words % ("{…}", 'unknown field "frobnicate"')


def test_long_words_are_shortened_and_lines_joined(double: Double) -> None:
    assert refusal(double, "UNKNOWN", "one\n\n two \nthree").server_message == "one; two; three"
    assert len(refusal(double, "ABORTED", "panic: " + "goroutine 1\n" * 999).server_message) < 900
