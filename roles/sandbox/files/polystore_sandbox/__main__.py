# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m polystore_sandbox start|stop|status|absent --dir DIR, or install --venv VENV: prints JSON.

Passwords are in the files endpoints.json, env.sh and clouds.yaml of DIR, which only its owner can read.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from polystore_sandbox import daemon, registry
from polystore_sandbox.environment import install, run
from polystore_sandbox.home import Home, SandboxError


def _port(text: str) -> tuple[str, int]:
    name, _equals, number = text.partition("=")
    if not number.isdigit() or int(number) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not SERVICE=PORT")
    return name, int(number)


def _option(text: str) -> tuple[str, str, str]:
    name, equals, value = text.partition("=")
    service, dot, option = name.partition(".")
    if not (equals and dot and option):
        raise argparse.ArgumentTypeError(f"{text!r} is not SERVICE.OPTION=VALUE")
    return service, option, value


def _options(given: argparse.Namespace) -> dict[str, dict[str, str]]:
    """The services' own options, by service."""
    found: dict[str, dict[str, str]] = {}
    for service, option, value in given.option:
        found.setdefault(service, {})[option] = value
    return found


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="polystore_sandbox", description=__doc__)
    made.add_argument("command", choices=["install", "start", "stop", "status", "absent", "serve"])
    made.add_argument("--dir", default="", help="the sandbox's directory; holds all its state")
    made.add_argument("--venv", default="", help="install, start: the virtual environment, made when missing")
    made.add_argument("--services", default="", help="comma separated; there are: " + ", ".join(registry.names()))
    made.add_argument("--address", default="127.0.0.1", help="where to listen (default %(default)s)")
    made.add_argument("--port", action="append", default=[], type=_port, metavar="SERVICE=PORT", help="0: any free one")
    made.add_argument("--option", action="append", default=[], type=_option, metavar="SERVICE.OPTION=VALUE")
    made.add_argument("--owner", type=int, default=0, metavar="PID", help="end when this process has ended")
    made.add_argument("--remove", action="store_true", help="with --owner: delete the directory then")
    made.add_argument("--check", action="store_true", help="change nothing, tell what would change")
    return made


def install_and_start(home: Home, wanted: list[str], given: argparse.Namespace) -> dict[str, Any]:
    """Starts with the environment's interpreter, which gets what it lacks first."""
    ports = dict(given.port)
    changed = home.create(given.check)
    made = install(given.venv, wanted, given.check)
    if given.check:
        result = daemon.start(home, wanted, given.address, ports, check=True, options=_options(given))
    else:
        options = ["--dir", str(home.folder), "--services", ",".join(wanted), "--address", given.address]
        options += [f"--port={name}={number}" for name, number in ports.items()]
        options += [f"--option={service}.{name}={value}" for service, name, value in given.option]
        options += ["--owner", str(given.owner)] + (["--remove"] if given.remove else [])
        result = json.loads(run([made["python"], "-m", "polystore_sandbox", "start", *options]))
    return {**result, "changed": changed or made["changed"] or result["changed"], "installed": made["installed"]}


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code; an error is one message on stderr."""
    options = parser()
    given = options.parse_args(arguments)
    needed = "venv" if given.command == "install" else "dir"
    if not getattr(given, needed):
        options.error(f"{given.command} needs --{needed}")
    home = Home(given.dir)
    wanted = [name.strip() for name in given.services.split(",") if name.strip()]
    try:
        for name in wanted:
            registry.find(name)
        result: dict[str, Any]
        if given.command == "serve":
            daemon.serve(home, wanted[0], given.owner, given.remove)
            return 0
        if given.command == "install":
            result = install(given.venv, wanted or ["swift"], given.check)
        elif given.command == "start" and given.venv:
            result = install_and_start(home, wanted or ["swift"], given)
        elif given.command == "start":
            result = daemon.start(
                home,
                wanted or ["swift"],
                given.address,
                dict(given.port),
                given.owner,
                given.remove,
                given.check,
                _options(given),
            )
        elif given.command == "stop":
            result = daemon.stop(home, wanted, given.check)
        elif given.command == "absent":
            result = daemon.absent(home, given.check)
        else:
            result = {"changed": False, "services": daemon.running(home) if home.is_sandbox() else {}}
    except SandboxError as exc:
        print(exc, file=sys.stderr)
        return 1
    print(json.dumps(result, indent=1, sort_keys=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
