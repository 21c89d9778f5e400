# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the collection importable and marks the tests that use a server.

Works where the checkout lies in .../ansible_collections/polystore/storage: the staged tree of `make test`, or a clone
of that name.
"""

from __future__ import annotations

import importlib
import pathlib
import sys

import hypothesis
import pytest

COLLECTION = pathlib.Path(__file__).resolve().parent.parent
if COLLECTION.parts[-3:] != ("ansible_collections", "polystore", "storage"):
    raise pytest.UsageError(
        "%s is not called ansible_collections/polystore/storage: run `make units`, or clone it to such a place"
        % COLLECTION
    )
sys.path.insert(0, str(COLLECTION.parents[2]))
sys.path.append(str(COLLECTION / "roles" / "sandbox" / "files"))  # the messages that a pachd knows

SERVERS = "ansible_collections.polystore.storage.tests.support.servers"
# Whoever asks for one of these talks to a server.
SYSTEM_FIXTURES = {
    "alluxio": {"alluxio_server", "alluxio_v1_server"},
    "pachyderm": {"pachd_server", *(f"pachd_v{version}_server" for version in (20, 24, 27, 28))},
    "fastdfs": {
        *("fdfs_server", "fdfs_wide_server"),
        *(f"fdfs_v{version}_server" for version in (503, 511, 606, 612, 615)),
    },
    "pegasus": {"pegasus_server", "pegasus_master_server"},
}
SERVER_FIXTURES = {"swift_server", "swift_and_keystone"}.union(*SYSTEM_FIXTURES.values())

REAL: set[str] = set()  # these stand for a server whose address is in the environment
if (COLLECTION / "tests" / "support" / "servers.py").exists():
    pytest_plugins = [SERVERS]
    given = importlib.import_module(SERVERS.replace("servers", "real")).given
    REAL.update(system.fixture for system in given().values())


# No deadline: a machine at work is no defect. No database: every run draws the same examples.
hypothesis.settings.register_profile("house", deadline=None, database=None, derandomize=True)
hypothesis.settings.load_profile("house")


@pytest.fixture(scope="session")
def collection() -> pathlib.Path:
    """The directory of the collection under test."""
    return COLLECTION


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests that need a server, so that -m "not server" leaves them out; puts the long ones first."""
    for item in items:
        wanted = set(getattr(item, "fixturenames", ()))
        if "swift_and_keystone" in wanted:
            item.add_marker("keystone")
        given = list(getattr(getattr(item, "callspec", None), "params", {}).values())
        # A parameter may be a fixture's name; a row of the contract's has one.
        named = {str(getattr(value, "server", value)) for value in given}
        for system, fixtures in SYSTEM_FIXTURES.items():
            contract = item.path.match("contract/test_%s_*.py" % system)  # they ask for their fixture by its name
            if contract or fixtures & (wanted | named):
                item.add_marker(system)
        if REAL & (wanted | named) and item.path.parent.name == "integration":
            item.add_marker("real")
        if SERVER_FIXTURES & wanted:
            item.add_marker("server")
    # What takes longest begins first, so that no worker is left alone with it at the end.
    items.sort(key=lambda item: item.get_closest_marker("second") is None)
