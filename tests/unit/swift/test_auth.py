# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Swift credentials come from: task, clouds.yaml, RC file, environment; and what may not be mixed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import MissingLibrary, OptionError
from ansible_collections.polystore.storage.plugins.module_utils.swift.auth import Credentials, read_rc, resolve

KEYSTONE = "https://keystone.example.org:5000/v3"
V1 = "http://swift.example.org/auth/v1.0"
STORAGE = "https://swift.example.org/v1/AUTH_x"
OS_PASSWORD = {
    "OS_AUTH_URL": KEYSTONE,
    "OS_USERNAME": "eva",
    "OS_PASSWORD": "env-pass",
    "OS_PROJECT_NAME": "env-project",
    "OS_USER_DOMAIN_NAME": "Default",
}
OS_CREDENTIAL = {
    "OS_AUTH_TYPE": "v3applicationcredential",
    "OS_AUTH_URL": KEYSTONE,
    "OS_APPLICATION_CREDENTIAL_ID": "env-id",
    "OS_APPLICATION_CREDENTIAL_SECRET": "env-secret",
}
ST = {"ST_AUTH": V1, "ST_USER": "test:tester", "ST_KEY": "testing"}
DIRECT = {"OS_STORAGE_URL": STORAGE, "OS_AUTH_TOKEN": "env-token"}
TASK_PASSWORD = {
    "auth_url": KEYSTONE,
    "username": "tim",
    "password": "task-pass",
    "user_domain_name": "Task",
    "project_name": "task-project",
}

# task options, environment, what the credentials hold, what they do not hold
RESOLVED: list[tuple[str, dict[str, Any], dict[str, str], dict[str, Any], tuple[str, ...]]] = [
    (
        "environment, password; the user's domain serves the project",
        {},
        OS_PASSWORD,
        {"auth_type": "v3password", "username": "eva", "password": "env-pass", "project_domain_name": "Default"},
        ("user_id", "token", "storage_url"),
    ),
    ("environment, v1", {}, ST, {"auth_type": "v1", "auth_url": V1, "username": "test:tester"}, ("project_name",)),
    ("OS_* before ST_*", {}, {**OS_PASSWORD, **ST}, {"auth_type": "v3password", "password": "env-pass"}, ()),
    (
        "v1 asked for: ST_* before OS_*",
        {"auth_type": "v1"},
        {**OS_PASSWORD, **ST},
        {"auth_type": "v1", "auth_url": V1, "password": "testing"},
        ("project_name", "user_domain_name"),
    ),
    (
        "v1 by OS_AUTH_TYPE",
        {},
        {"OS_AUTH_TYPE": "v1password", "OS_AUTH_URL": V1, "OS_USERNAME": "a:b", "OS_PASSWORD": "p"},
        {"auth_type": "v1", "username": "a:b"},
        (),
    ),
    ("v1 by OS_AUTH_VERSION", {}, {**OS_PASSWORD, "OS_AUTH_VERSION": "1.0"}, {"auth_type": "v1"}, ("project_name",)),
    ("v1 by its URL", {"auth": {"auth_url": V1, "username": "u", "password": "p"}}, {}, {"auth_type": "v1"}, ()),
    (
        "a password alone completes v1",
        {"auth": {"password": "task-pass"}},
        ST,
        {"auth_type": "v1", "username": "test:tester", "password": "task-pass"},
        (),
    ),
    (
        "task before environment",
        {"auth": TASK_PASSWORD},
        OS_PASSWORD,
        {"username": "tim", "password": "task-pass", "project_name": "task-project", "project_domain_name": "Task"},
        (),
    ),
    (
        "an id in the environment does not join a name in the task",
        {"auth": {"username": "tim", "project_name": "task-project"}},
        {**OS_PASSWORD, "OS_USER_ID": "uid", "OS_PROJECT_ID": "pid", "OS_TENANT_ID": "tid"},
        {"username": "tim", "password": "env-pass", "project_name": "task-project"},
        ("user_id", "project_id"),
    ),
    (
        "a token in the task is not joined with a password",
        {"auth": {"token": "task-token"}},
        OS_PASSWORD,
        {"auth_type": "v3token", "token": "task-token", "auth_url": KEYSTONE, "project_name": "env-project"},
        ("password", "username"),
    ),
    (
        "a password in the task is not joined with a token or its storage URL",
        {"auth": TASK_PASSWORD},
        DIRECT,
        {"auth_type": "v3password", "password": "task-pass"},
        ("token", "storage_url"),
    ),
    (
        "an application credential in the task is not joined with a password or a project",
        {"auth": {"application_credential_id": "i", "application_credential_secret": "s"}},
        OS_PASSWORD,
        {"auth_type": "v3applicationcredential", "auth_url": KEYSTONE, "application_credential_id": "i"},
        ("password", "project_name", "project_domain_name"),
    ),
    (
        "a password in the task wins over the environment's method",
        {"auth": TASK_PASSWORD},
        OS_CREDENTIAL,
        {"auth_type": "v3password", "password": "task-pass"},
        ("application_credential_secret",),
    ),
    (
        "keystone's password does not go to v1",
        {"auth_type": "v3password", "auth": TASK_PASSWORD},
        ST,
        {"auth_url": KEYSTONE, "password": "task-pass"},
        (),
    ),
    ("token and storage URL as they are", {}, DIRECT, {"auth_type": "v3token", "storage_url": STORAGE}, ("auth_url",)),
    ("the same beside a password", {}, {**OS_PASSWORD, **DIRECT}, {"auth_type": "v3token"}, ("password",)),
    (
        "type in the task, values in the environment",
        {"auth_type": "v3token"},
        {**OS_PASSWORD, **DIRECT},
        {"token": "env-token", "storage_url": STORAGE},
        ("password",),
    ),
    (
        "an application credential by name",
        {},
        {
            "OS_AUTH_URL": KEYSTONE,
            "OS_APPLICATION_CREDENTIAL_NAME": "n",
            "OS_APPLICATION_CREDENTIAL_SECRET": "s",
            "OS_USER_ID": "uid",
        },
        {"auth_type": "v3applicationcredential", "application_credential_name": "n", "user_id": "uid"},
        (),
    ),
    (
        "a foreign OS_AUTH_TYPE does not disturb a task that says all",
        {"auth": TASK_PASSWORD},
        {"OS_AUTH_TYPE": "v3oidcpassword"},
        {"auth_type": "v3password"},
        (),
    ),
    (
        "places and TLS",
        {"storage_url": STORAGE, "region_name": "r", "validate_certs": True},
        {**OS_PASSWORD, "OS_ENDPOINT_TYPE": "internalURL", "OS_INSECURE": "true", "OS_REGION_NAME": "other"},
        {"storage_url": STORAGE, "region_name": "r", "interface": "internal", "validate_certs": True},
        (),
    ),
    ("OS_INSECURE", {}, {**OS_PASSWORD, "OS_INSECURE": "True"}, {"validate_certs": False}, ()),
    ("numbers", {"timeout": 5, "retries": 0, "auth": {**TASK_PASSWORD, "password": 12}}, {}, {"password": "12"}, ()),
]


@pytest.mark.parametrize(
    ("options", "environ", "holds", "lacks"), [c[1:] for c in RESOLVED], ids=[c[0] for c in RESOLVED]
)
def test_resolved(
    options: dict[str, Any], environ: dict[str, str], holds: dict[str, Any], lacks: tuple[str, ...]
) -> None:
    credentials = resolve(options, environ)
    assert {key: getattr(credentials, key) for key in holds} == holds
    assert {key: getattr(credentials, key) for key in lacks} == dict.fromkeys(lacks, "")
    for secret in ("task-pass", "env-pass", "testing", "env-token", "task-token", "env-secret"):
        assert secret not in repr(credentials)


def without(values: dict[str, str], *names: str) -> dict[str, str]:
    return {key: value for key, value in values.items() if key not in names}


REFUSED: list[tuple[dict[str, Any], dict[str, str], str, str]] = [
    ({}, {}, "auth.auth_url", "OS_CLOUD"),
    ({}, without(OS_PASSWORD, "OS_AUTH_URL"), "auth.auth_url", "OS_AUTH_URL"),
    ({}, without(OS_PASSWORD, "OS_PASSWORD"), "auth.password", "OS_PASSWORD"),
    ({}, without(OS_PASSWORD, "OS_USERNAME"), "auth.username", "OS_USERNAME"),
    ({}, without(OS_PASSWORD, "OS_USER_DOMAIN_NAME"), "auth.user_domain_name", "OS_USER_DOMAIN_NAME"),
    ({}, without(OS_PASSWORD, "OS_PROJECT_NAME"), "auth.project_name", "OS_PROJECT_NAME"),
    (
        {},
        {**without(OS_PASSWORD, "OS_USER_DOMAIN_NAME", "OS_USERNAME"), "OS_USER_ID": "u"},
        "auth.project_domain_name",
        "OS_PROJECT_DOMAIN_NAME",
    ),
    ({}, without(ST, "ST_KEY"), "auth.password", "ST_KEY"),
    ({}, without(ST, "ST_USER"), "auth.username", "ST_USER"),
    ({}, without(ST, "ST_AUTH"), "auth.auth_url", "ST_AUTH"),
    ({"auth_type": "v3token"}, OS_PASSWORD, "auth.token", "OS_TOKEN"),
    ({}, without(OS_CREDENTIAL, "OS_APPLICATION_CREDENTIAL_SECRET"), "auth.application_credential_secret", "OS_"),
    ({}, without(OS_CREDENTIAL, "OS_APPLICATION_CREDENTIAL_ID"), "auth.application_credential_id", "OS_"),
    ({}, {**OS_PASSWORD, "OS_AUTH_TYPE": "v3kerberos"}, "auth_type", "v3password"),
    ({"auth_type": "v2"}, OS_PASSWORD, "auth_type", "v3password"),
    ({"auth": {"user": "x"}}, OS_PASSWORD, "auth", "username"),
    ({"auth": "x"}, OS_PASSWORD, "auth", "username"),
    ({"auth": {"auth_url": "keystone.example.org"}}, OS_PASSWORD, "auth.auth_url", "https://"),
    ({"auth": {"auth_url": "https://k.example.org/v2.0"}}, OS_PASSWORD, "auth.auth_url", "/v3"),
    ({"storage_url": "ftp://x"}, OS_PASSWORD, "storage_url", "https://"),
    ({"ca_cert": "/nonexistent/ca.pem"}, OS_PASSWORD, "ca_cert", "/nonexistent/ca.pem"),
    ({"client_key": "/nonexistent/key.pem"}, OS_PASSWORD, "client_key", "/nonexistent/key.pem"),
    ({"timeout": 0}, OS_PASSWORD, "timeout", "greater than 0"),
    ({"timeout": "soon"}, OS_PASSWORD, "timeout", "number"),
    ({"retries": -1}, OS_PASSWORD, "retries", "negative"),
    ({"cloud": "a", "rc_file": "b"}, {}, "cloud", "rc_file"),
    ({"rc_file": "/nonexistent/openrc"}, {}, "rc_file", "/nonexistent/openrc"),
]


@pytest.mark.parametrize(("options", "environ", "option", "word"), REFUSED, ids=[c[2] + "-" + c[3] for c in REFUSED])
def test_refused(options: dict[str, Any], environ: dict[str, str], option: str, word: str) -> None:
    with pytest.raises(OptionError) as refused:
        resolve(options, environ)
    assert refused.value.option == option
    assert word in refused.value.told()
    assert "env-pass" not in refused.value.told()


def test_identity_tells_all_fields_apart() -> None:
    one = resolve({}, OS_PASSWORD)
    assert one.identity() == resolve({}, dict(OS_PASSWORD)).identity()
    others = [resolve({"timeout": 61}, OS_PASSWORD), resolve({"auth": {"password": "other"}}, OS_PASSWORD)]
    assert len({one.identity(), *(other.identity() for other in others)}) == 3
    assert isinstance(one, Credentials) and len(one.identity()) == 64


# --- RC files

HORIZON = """#!/usr/bin/env bash
# To use an OpenStack cloud you need to authenticate
export OS_AUTH_URL=https://keystone.example.org:5000/v3
export OS_PROJECT_ID=0123456789abcdef
export OS_PROJECT_NAME="project_2000"
export OS_USER_DOMAIN_NAME="Default"
if [ -z "$OS_USER_DOMAIN_NAME" ]; then unset OS_USER_DOMAIN_NAME; fi
export OS_PROJECT_DOMAIN_ID="default"
if [ -z "$OS_PROJECT_DOMAIN_ID" ]; then
    unset OS_PROJECT_DOMAIN_ID
fi
unset OS_TENANT_ID
unset OS_TENANT_NAME
export OS_USERNAME="eva"
echo "Please enter your OpenStack Password for project $OS_PROJECT_NAME as user $OS_USERNAME: "
read -sr OS_PASSWORD_INPUT
export OS_PASSWORD=$OS_PASSWORD_INPUT
export OS_REGION_NAME="regionOne"
export OS_INTERFACE=public
export OS_IDENTITY_API_VERSION=3
"""

LINES: list[tuple[str, dict[str, str]]] = [
    ("export A=B", {"A": "B"}),
    ("A=B", {"A": "B"}),
    ("  export A=B  # comment", {"A": "B"}),
    ("# export A=B", {}),
    ("export A=b#c", {"A": "b#c"}),
    ("export A='p$x\"` y'", {"A": 'p$x"` y'}),
    ('export A="p\\$x \\"q\\""', {"A": 'p$x "q"'}),
    ("export A=p\\ q", {"A": "p q"}),
    ("export A=a\"b\"'c'", {"A": "abc"}),
    ("export A=", {"A": ""}),
    ("export A=1 B=2", {"A": "1", "B": "2"}),
    ("A=1; export A", {"A": "1"}),
    ("declare -x A=1", {"A": "1"}),
    ("A=1\nexport B=${A}2$A", {"A": "1", "B": "121"}),
    ("export A=${HOME_X}/x", {"A": "/h/x"}),
    ('export A="${NONE:-fallback}"', {"A": "fallback"}),
    ("export A=$(rm -rf /tmp/never)", {}),
    ("export A=`id`", {}),
    ("export A=1\nexport A=$(id)", {}),
    ("export A=1\nunset A", {}),
    ("export A=1\nif true; then\nexport A=2\nfi\nexport B=3", {"A": "1", "B": "3"}),
    ("echo A=1", {}),
    ("export A=1\r", {"A": "1"}),
]


@pytest.mark.parametrize(("text", "found"), LINES, ids=[repr(line[0]) for line in LINES])
def test_rc_lines(tmp_path: Path, text: str, found: dict[str, str]) -> None:
    rc = tmp_path / "openrc"
    rc.write_bytes(text.encode())
    assert read_rc(str(rc), {"HOME_X": "/h"})[0] == found


@pytest.mark.parametrize("text", ['export A="open', "export A='open", "export A=b\\"])
def test_rc_with_open_quotes(tmp_path: Path, text: str) -> None:
    rc = tmp_path / "openrc"
    rc.write_text("X=1\n" + text)
    with pytest.raises(OptionError, match="line 2") as refused:
        read_rc(str(rc), {})
    assert "open" not in str(refused.value).replace(str(rc), "")


def test_rc_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "openrc").write_bytes(b"export A=\xff\xfe")
    with pytest.raises(OptionError, match="rc_file.*UTF-8"):
        resolve({"rc_file": str(tmp_path / "openrc")}, {})


def test_rc_of_horizon(tmp_path: Path) -> None:
    rc = tmp_path / "openrc.sh"
    rc.write_text(HORIZON)
    with pytest.raises(OptionError) as refused:
        resolve({"rc_file": str(rc)}, {})
    assert refused.value.option == "auth.password" and "terminal" in refused.value.told()
    credentials = resolve({"rc_file": str(rc)}, {**OS_CREDENTIAL, **ST, "OS_PASSWORD": "p", "OS_USERNAME": "other"})
    assert (credentials.auth_type, credentials.username, credentials.password) == ("v3password", "eva", "p")
    assert (credentials.project_id, credentials.project_domain_id) == ("0123456789abcdef", "default")
    assert (credentials.region_name, credentials.project_domain_name) == ("regionOne", "")
    assert resolve({"rc_file": str(rc), "auth": {"password": "task"}}, {}).password == "task"


def test_rc_with_v1(tmp_path: Path) -> None:
    rc = tmp_path / "strc"
    rc.write_text("".join("export %s=%s\n" % pair for pair in ST.items()))
    credentials = resolve({"rc_file": str(rc)}, OS_PASSWORD)
    assert (credentials.auth_type, credentials.password, credentials.auth_url) == ("v1", "testing", V1)


# --- clouds.yaml

CLOUDS = """
clouds:
  password:
    auth: {auth_url: %(k)s, username: cora, project_name: cp, user_domain_name: Default, password: cloud-pass}
    region_name: one
    interface: internal
    verify: false
  credential:
    auth_type: v3applicationcredential
    auth: {auth_url: %(k)s, application_credential_id: cid}
  old:
    auth_type: password
    auth: {auth_url: %(k)s, username: cora, tenant_name: cp, user_domain_id: default, password: 123}
    object_store_endpoint_override: %(s)s
  v1:
    auth_type: v1password
    auth: {auth_url: %(v)s, username: "a:b", password: cloud-pass}
  kerberos:
    auth_type: v3kerberos
    auth: {auth_url: %(k)s}
""" % {"k": KEYSTONE, "s": STORAGE, "v": V1}
SECURE = "clouds: {credential: {auth: {application_credential_secret: hidden}}}\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with clouds.yaml and secure.yaml, and an empty current directory."""
    place = tmp_path / ".config" / "openstack"
    place.mkdir(parents=True)
    (place / "clouds.yaml").write_text(CLOUDS)
    (place / "secure.yaml").write_text(SECURE)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    return tmp_path


def test_clouds(home: Path) -> None:
    environ = {"HOME": str(home)}
    one = resolve({"cloud": "password"}, {**environ, **OS_CREDENTIAL, "OS_STORAGE_URL": STORAGE})
    assert (one.auth_type, one.username, one.password, one.project_domain_name) == (
        "v3password",
        "cora",
        "cloud-pass",
        "Default",
    )
    assert (one.region_name, one.interface, one.validate_certs, one.storage_url) == ("one", "internal", False, "")
    two = resolve({"cloud": "credential"}, {**environ, **OS_PASSWORD})
    assert (two.auth_type, two.application_credential_secret, two.password) == ("v3applicationcredential", "hidden", "")
    three = resolve({}, {**environ, "OS_CLOUD": "old"})
    assert (three.project_name, three.password, three.storage_url) == ("cp", "123", STORAGE)
    assert three.project_domain_id == "default"
    four = resolve({"cloud": "v1"}, {**environ, **OS_PASSWORD})
    assert (four.auth_type, four.auth_url, four.password, four.project_name) == ("v1", V1, "cloud-pass", "")


def test_what_the_task_says_goes_before_os_cloud(home: Path) -> None:
    environ = {"HOME": str(home), "OS_CLOUD": "no such cloud"}
    assert resolve({"auth": TASK_PASSWORD}, environ).username == "tim"
    assert resolve({"cloud": "password", "auth": {"password": "task"}}, environ).password == "task"


def test_places_of_clouds(home: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(CLOUDS.replace("cora", "own"))
    environ = {"HOME": str(home), "OS_CLIENT_CONFIG_FILE": str(own)}
    assert resolve({"cloud": "password"}, environ).username == "own"
    Path("clouds.yaml").write_text(CLOUDS.replace("cora", "here"))
    assert resolve({"cloud": "password"}, {"HOME": str(home)}).username == "here"


@pytest.mark.parametrize(
    ("text", "cloud", "word"),
    [
        (CLOUDS, "missing", "password"),
        (CLOUDS, "kerberos", "v3kerberos"),
        ("clouds: [", "x", "cannot be read"),
        ("clouds: {x: {auth: {password: 'sec", "x", "cannot be read"),
        ("just text", "x", "none"),
        ("clouds: {x: 1}", "x", "not in"),
        (None, "x", "no clouds.yaml"),
    ],
)
def test_bad_clouds(home: Path, text: str | None, cloud: str, word: str) -> None:
    place = home / ".config" / "openstack"
    (place / "secure.yaml").unlink()
    (place / "clouds.yaml").unlink() if text is None else (place / "clouds.yaml").write_text(text)
    with pytest.raises(OptionError) as refused:
        resolve({"cloud": cloud}, {"HOME": str(home)})
    assert word in refused.value.told() and "'sec" not in refused.value.told()


def test_yaml_is_needed_for_clouds_only(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert resolve({}, OS_PASSWORD).username == "eva"
    with pytest.raises(MissingLibrary, match="PyYAML"):
        resolve({"cloud": "password"}, {"HOME": str(home)})
