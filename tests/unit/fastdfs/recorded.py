# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What real servers of FastDFS 5.03 to 6.16.1 were asked and answered (tests/support/fdfs_vectors.json), in full."""

from __future__ import annotations

import json
import pathlib
from typing import NamedTuple

FILE = pathlib.Path(__file__).parents[2] / "support" / "fdfs_vectors.json"
TIME = "000000006b016fc3"


class Answer(NamedTuple):
    """run: "6.16.1-16", version and width of addresses, with -two, -ids or -trunk where that was so."""

    run: str
    step: str
    command: int
    reply: bytes

    @property
    def status(self) -> int:
        return self.reply[9]

    @property
    def body(self) -> bytes:
        return self.reply[10:]


def _filled(text: str, names: dict[str, str]) -> bytes:
    for step, name in names.items():
        text = text.replace("<%s>" % step, name.encode().hex())
        text = text.replace("<%s.code>" % step, name[10:37].encode().hex())
    return bytes.fromhex(text.replace("<time>", TIME))


def _read() -> tuple[dict[str, bytes], list[Answer]]:
    kept = json.loads(FILE.read_text("utf-8"))
    commands = {step: int(text[16:18], 16) for step, _to, text in kept["requests"]}
    answers = []
    for one in kept["answers"]:
        for run in one["runs"] if one["reply"] else ():
            reply = _filled(one["reply"], kept["names"].get(run, {}))
            answers.append(Answer(run, one["step"].replace("_", " "), commands[one["step"]], reply))
    requests = {}
    for number in kept["sequences"]["usual"]:
        step, _to, text = kept["requests"][number]
        requests[step.replace("_", " ")] = _filled(text, kept["names"]["6.16.1-16"])
    return requests, answers


REQUESTS, ANSWERS = _read()  # the requests are those of the run 6.16.1-16


def reply(step: str, run: str = "6.16.1-16") -> bytes:
    """The body of the answer in one step of a run."""
    [found] = [answer.body for answer in ANSWERS if (answer.step, answer.run) == (step, run)]
    return found
