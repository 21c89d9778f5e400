# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drives Pachyderm's official SDK (PyPI pachyderm-sdk 2.12.2).

    PACHD_ADDRESS=grpc://HOST:PORT python drive_sdk.py [PART ...]

Prints a line for each step (see telling.py). All that it makes is called cf-*, and goes before and after each part.
"""

from __future__ import annotations

import sys

import sdk
from sdk_files import commits, files
from sdk_others import others
from sdk_pipelines import defaults, pipelines
from sdk_repos import branches, projects, repos
from telling import Teller, web

PARTS = (projects, repos, branches, commits, files, pipelines, defaults, others)

with web() as url:
    tell = Teller(url, sdk.as_dict)
    sdk.clean()
    tell("version", sdk.client.get_version, show=lambda version: [version.major, version.minor])
    for part in PARTS:
        if part.__name__ in (sys.argv[1:] or [known.__name__ for known in PARTS]):
            part(tell)
            sdk.clean()
