# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs an estate in this process, as the task does: python estate_run.py MANIFEST plan|apply|destroy...

Prints a JSON line for each run: what, seconds, cpu (seconds of all threads), peak (MiB, of the process until then),
summary.
"""

from __future__ import annotations

import json
import os
import pathlib
import sys
import time

from ansible_collections.polystore.storage.plugins.plugin_utils.estate.chain import How
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.document import Document
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.manifest import Reader
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.record import Record
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.work import Wish, Work
from ansible_collections.polystore.storage.tests.support.memory import peak


def main(place: pathlib.Path, wishes: list[str]) -> None:
    for what in wishes:
        started, before = time.monotonic(), time.process_time()
        document = Document.parse(place.read_text("utf-8"), str(place), str(place.parent))
        manifest = Reader(document, os.environ, lambda text, known: text).read()
        read = time.monotonic() - started
        record = Record(str(place.with_suffix(".record.json")), manifest.name)
        wish = Wish(check=what == "plan", destroy=what == "destroy")
        work = Work(manifest, record, wish, How(8, os.environ, lambda line: print(line, file=sys.stderr)))
        work.run()
        outcome = work.outcome()
        if outcome["failures"]:
            raise SystemExit(str(outcome["failures"][:3]))
        told = {"what": what, "seconds": time.monotonic() - started, "cpu": time.process_time() - before, "read": read}
        print(json.dumps({**told, "peak": peak(), "summary": outcome["summary"]}), flush=True)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2:])
