# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""make quickstart: a real Swift on this machine, a playbook against it twice, and everything removed again.

What stays is the cache of installed packages. Whatever happens, also Ctrl-C, nothing goes on listening.
"""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from types import FrameType

from paths import environment
from stage import collections_path, tree
from venvs import venv

PLAYBOOK = "polystore.storage.quickstart"


def say(text: str) -> None:
    """One line to the newcomer, told apart from what Ansible prints."""
    print("\n>>> %s" % text, flush=True)


def play(command: list[str], env: dict[str, str], cwd: pathlib.Path) -> tuple[int, int]:
    """Runs the playbook and passes on what it says; (exit code, how many tasks changed something)."""
    changed = 0
    with subprocess.Popen(command, env=env, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        for raw in process.stdout or ():
            line = raw.decode("utf-8", "replace")
            sys.stdout.write(line)
            sys.stdout.flush()
            if found := re.search(r"\bok=\d+\s+changed=(\d+)\s", re.sub(r"\x1b\[[\d;]*m", "", line)):
                changed += int(found[1])
    return process.returncode, changed


def writes(sandbox: pathlib.Path) -> int:
    """How many requests that write something Swift has had, by its own access log."""
    lines = (sandbox / "swift" / "access.jsonl").read_text("utf-8").splitlines()
    return sum(json.loads(line)["method"] in ("PUT", "POST", "DELETE", "COPY") for line in lines)


def stop(number: int, _frame: FrameType | None) -> None:
    """A signal ends the run in order, so that the sandbox is removed."""
    sys.exit(128 + number)


def main() -> None:
    started = time.monotonic()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    interpreter = venv("quickstart")
    home = pathlib.Path(tempfile.mkdtemp(prefix="polystore-quickstart-"))
    sandbox = home / "sandbox"
    with tree() as collection:
        top = collections_path(collection)
        env = environment(interpreter, home / "home") | {"ANSIBLE_COLLECTIONS_PATH": top}
        env |= {"ANSIBLE_LOCALHOST_WARNING": "0", "ANSIBLE_INVENTORY_UNPARSED_WARNING": "0"}
        env |= {"ANSIBLE_DISPLAY_SKIPPED_HOSTS": "0", "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml"}
        env["ANSIBLE_PIPELINING"] = "1"
        env |= {"POLYSTORE_SERVER_PYTHON": str(interpreter)}
        env |= {"ANSIBLE_FORCE_COLOR": "1"} if sys.stdout.isatty() else {"ANSIBLE_NOCOLOR": "1"}
        command = [str(interpreter.parent / "ansible-playbook"), PLAYBOOK, "-e", "sandbox_dir=%s" % sandbox]
        try:
            say("A playbook, %s, starts a real OpenStack Swift on this machine and fills it." % PLAYBOOK)
            code, first = play(command, env, home)
            if code:
                sys.exit("\nThe first run failed (exit code %d); its messages are above." % code)
            say("The same playbook again: everything is there already, so nothing may change.")
            before = writes(sandbox)
            code, second = play(command, env, home)
            sent = writes(sandbox) - before
        finally:
            say("Cleaning up: the server is stopped, its directory removed.")
            files = str(collection / "roles" / "sandbox" / "files")
            remove = [str(interpreter), "-m", "polystore_sandbox", "absent", "--dir", str(sandbox)]
            subprocess.run(remove, env=env | {"PYTHONPATH": files}, check=True, stdout=subprocess.DEVNULL)
            shutil.rmtree(home)
    if code or second or sent:
        text = "\nThe second run should have changed nothing: exit code %d, changed=%d, %d writes"
        sys.exit(text % (code, second, sent))
    text = "First run: changed=%d, %d writes. Second run: changed=0, 0 writes (Swift's own log says so). %.0f s in all."
    say(text % (first, before, time.monotonic() - started))
    print("    The playbook: playbooks/quickstart.yml. What to read next: README.md, then `make docs`.")


if __name__ == "__main__":
    main()
