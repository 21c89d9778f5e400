# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where FastDFS's trackers are: options, environment, client.conf and what it includes."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.lines import Settings, read_conf, trackers_of
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.wire import Server

CONF = """
# the client's
connect_timeout=7
network_timeout = 90s
base_path=/opt/fastdfs
[section]
tracker_server = tracker1:22123
tracker_server=10.0.0.2 , 192.0.2.2:22124
;odd line
#tracker_server = commented:1
##include http.conf
#include more/other.conf
"""


def conf(directory: pathlib.Path, text: str = CONF) -> str:
    """A client.conf with another one that it includes."""
    (directory / "more").mkdir(exist_ok=True)
    (directory / "more" / "other.conf").write_text("tracker_server=third\r\n#include  ./last.conf\n")
    (directory / "more" / "last.conf").write_text("http.tracker_server_port=80\n")
    path = directory / "client.conf"
    path.write_text(text)
    return str(path)


def test_a_client_conf_and_what_it_includes(tmp_path: pathlib.Path) -> None:
    found = read_conf(conf(tmp_path))
    assert found["tracker_server"] == ["tracker1:22123", "10.0.0.2 , 192.0.2.2:22124", "third"]
    assert found["http.tracker_server_port"] == ["80"] and found["base_path"] == ["/opt/fastdfs"]
    settings = Settings.resolve({"client_conf": str(tmp_path / "client.conf")}, {})
    assert settings.trackers == (
        Server("tracker1", 22123), Server("10.0.0.2", 22124), Server("192.0.2.2", 22124), Server("third", 22122),
    )  # fmt: skip
    assert (settings.connect_timeout, settings.timeout, settings.retries) == (7.0, 90.0, 4)


def test_what_is_more_than_what(tmp_path: pathlib.Path) -> None:
    path = conf(tmp_path)
    environ = {"FDFS_TRACKERS": "env1:1,env2", "FDFS_CLIENT_CONF": path}

    def first(options: dict[str, Any], environ: dict[str, str]) -> str:
        return Settings.resolve(options, environ).trackers[0].host

    assert first({"trackers": ["own"], "client_conf": path}, environ) == "own"
    assert first({"client_conf": path}, environ) == "tracker1"
    assert first({}, environ) == "env1"
    assert first({}, {"FDFS_CLIENT_CONF": path}) == "tracker1"
    assert Settings.resolve({"trackers": "a,b:5"}, {}).trackers == (Server("a", 5), Server("b", 5))
    assert Settings.resolve({"trackers": ["a", "a:22122"]}, {}).trackers == (Server("a", 22122),)
    both = Settings.resolve({"trackers": ["own"], "client_conf": path, "timeout": 3, "retries": 0}, {})
    assert (both.connect_timeout, both.timeout, both.retries) == (7.0, 3.0, 0)
    plain = Settings.resolve({"trackers": ["own"]}, {})
    assert (plain.connect_timeout, plain.timeout) == (5.0, 60.0)
    assert plain.identity() != both.identity() == Settings(**vars(both)).identity()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("host", [("host", 22122)]), (" host:1 ", [("host", 1)]), ("[::1]", [("::1", 22122)]),
        ("[fe80::1]:23", [("fe80::1", 23)]), ("a:1,b:2", [("a", 1), ("b", 2)]), ("a,b:2", [("a", 2), ("b", 2)]),
        ("a:1,b", [("a", 1), ("b", 22122)]),
    ],
)  # fmt: skip
def test_addresses_of_trackers(text: str, wanted: list[Any]) -> None:
    assert trackers_of(text) == wanted


@pytest.mark.parametrize(
    "text", ["", "a b", "a:", "a:0", "a:65536", "a:b", "::1", "[::1", "http://a", "a/b", "a,", None]
)
def test_what_is_no_address_of_a_tracker(text: Any) -> None:
    with pytest.raises(OptionError, match="no address"):
        trackers_of("" if text is None else text)


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({}, "trackers"), ({"trackers": []}, "trackers"), ({"trackers": ["a:x"]}, "trackers"),
        ({"trackers": ["a"], "timeout": 0}, "timeout"), ({"trackers": ["a"], "timeout": -1}, "timeout"),
        ({"trackers": ["a"], "connect_timeout": 0}, "connect_timeout"),
        ({"trackers": ["a"], "connect_timeout": True}, "connect_timeout"),
        ({"trackers": ["a"], "timeout": 1e9}, "timeout"), ({"trackers": ["a"], "retries": -1}, "retries"),
        ({"client_conf": "/nonexistent/client.conf"}, "client_conf"), ({"client_conf": "/"}, "client_conf"),
        ({"client_conf": "/dev/null"}, "client_conf"), ({"client_conf": "a\0b"}, "client_conf"),
    ],
)  # fmt: skip
def test_options_that_cannot_be_right(options: dict[str, Any], option: str) -> None:
    with pytest.raises(OptionError) as caught:
        Settings.resolve(options, {})
    assert caught.value.option == option


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("#include missing.conf", "missing.conf cannot be read"), ("#include client.conf", "deeper than"),
        ("network_timeout=soon\ntracker_server=a", "soon"), ("network_timeout=never\ntracker_server=a", "out of b"),
        ("tracker_server=a:x", "tracker_server in"), ("base_path=/x", "no tracker is named"),
        ("#@if LOCAL_IP in [10.0.0.1]\ntracker_server=a\n#@endif", "not understood"),
        pytest.param("x" * (1 << 20) + "=1", "1 MiB", id="long"),
    ],
)  # fmt: skip
def test_client_confs_that_do_not_do(tmp_path: pathlib.Path, text: str, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        Settings.resolve({"client_conf": conf(tmp_path, text)}, {})
