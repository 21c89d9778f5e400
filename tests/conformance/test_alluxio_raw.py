# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Raw calls: what a server answers, compared with what a real one of its version answered.

`make test` judges the stand-in by it, POLYSTORE_ALLUXIO=real the recorded answers by a real server. With
POLYSTORE_RECORD=1 besides, and in one process, the real server's answers are written down anew.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.polystore.storage.tests.conformance import alluxio_answers, alluxio_calls, alluxio_changes

STORIES: dict[str, list[alluxio_calls.Step]] = {
    **alluxio_calls.HTTP,
    **alluxio_calls.PATHS,
    **alluxio_calls.DIRECTORIES,
    **alluxio_changes.CHANGES,
    **alluxio_changes.STREAMS,
    **alluxio_changes.MOUNTS,
}
FIELDS = "fields"
RECORD = os.environ.get("POLYSTORE_ALLUXIO") == "real" and os.environ.get("POLYSTORE_RECORD") == "1"


def compare(version: str, name: str, told: Any, story: list[alluxio_calls.Step]) -> None:
    """Fails with every difference; when recording, writes down instead."""
    recorded = alluxio_answers.load(version)
    told = json.loads(json.dumps(told))
    if RECORD:
        first: Any = next((one["info"] for one in told if isinstance(one, dict) and "info" in one), None)
        if first and alluxio_answers.TEMPLATE not in recorded:
            recorded[alluxio_answers.TEMPLATE] = first
        recorded[name] = alluxio_answers.shrink(told, recorded.get(alluxio_answers.TEMPLATE, {}))
        alluxio_answers.save(version, recorded)
        return
    if name not in recorded:
        pytest.fail("nothing was recorded for %r on %s" % (name, version))
    told = alluxio_answers.shrink(told, recorded[alluxio_answers.TEMPLATE])
    if found := alluxio_answers.differences(recorded[name], told, story):
        pytest.fail("\n".join(found), pytrace=False)


def check(server: Any, version: str, name: str, disk: Path) -> None:
    """Tells one story and compares."""
    teller = alluxio_answers.Teller(server, disk)
    try:
        if name == FIELDS:
            told: Any = [{operation: known} for operation, known in teller.fields().items()]
            compare(version, name, told, [])
        else:
            compare(version, name, teller.tell(STORIES[name]), STORIES[name])
    finally:
        teller.close()


@pytest.mark.parametrize("name", [*STORIES, FIELDS])
def test_2(name: str, alluxio_server: Any, tmp_path: Path) -> None:
    check(alluxio_server, "2.9.6", name, tmp_path)


@pytest.mark.parametrize("name", [*STORIES, FIELDS])
def test_1(name: str, alluxio_v1_server: Any, tmp_path: Path) -> None:
    check(alluxio_v1_server, "1.8.1", name, tmp_path)


def test_there_are_enough_calls() -> None:
    calls = [step for story in STORIES.values() for step in story if step.url]
    assert len(calls) >= 300
    assert len({(step.url, step.data) for step in calls}) >= 250
