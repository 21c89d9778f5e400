# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the official SDK needs: python sdk_worker.py ADDRESS REPO put DIRECTORY | up FILE | down FILE

Runs in a venv of its own, and prints seconds. put: all files of a directory in one commit, as its documentation shows.
"""

from __future__ import annotations

import os
import sys
import time

from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs


def main() -> None:
    address, name, what, path = sys.argv[1:]
    client = Client.from_pachd_address(address)
    repo = pfs.Repo.from_uri(name)
    if not client.pfs.repo_exists(repo=repo):
        client.pfs.create_repo(repo=repo)
    branch = pfs.Branch.from_uri(name + "@master")
    if what == "put":  # both sides of a connection are warm before it is measured
        with client.pfs.commit(branch=branch) as commit:
            commit.put_file_from_bytes(path="/warm", data=b"x")
        commit.wait()
    started = time.monotonic()
    if what == "put":
        with client.pfs.commit(branch=branch) as commit:
            for top, _folders, files in os.walk(path):
                for file in files:
                    whole = os.path.join(top, file)
                    with open(whole, "rb") as stream:
                        commit.put_file_from_file(path="/" + os.path.relpath(whole, path), file=stream)
        commit.wait()
    elif what == "up":
        with client.pfs.commit(branch=branch) as commit, open(path, "rb") as stream:
            commit.put_file_from_file(path="/large", file=stream)
        commit.wait()
    else:
        with client.pfs.pfs_file(file=pfs.File.from_uri(name + "@master:/large")) as source, open(path, "wb") as out:
            for part in iter(lambda: source.read(1 << 20), b""):
                out.write(part)
    print(time.monotonic() - started)


main()
