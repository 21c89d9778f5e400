# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which services there are: every module in `services` with a `SERVICE` is one, and nothing else names them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from polystore_sandbox import services
from polystore_sandbox.faults import FaultPlan, RequestLog
from polystore_sandbox.home import Home, SandboxError


@dataclass
class Running:
    """What a service gets to run with."""

    home: Home
    name: str
    address: str
    port: int  # 0: choose one and tell `ready`
    peers: dict[str, str]  # URL by name of the services started before it
    log: RequestLog
    options: dict[str, Any] = field(default_factory=dict)  # of this service alone
    faults: FaultPlan = field(default_factory=FaultPlan)
    # To be called once, when the port is open: with the port, how to close (False) and open (True) it, and how to
    # change the server's behaviour while it runs (settings -> all settings, or ValueError).
    ready: Callable[..., None] = lambda _port, _listen, _behave=None: None


class Service(Protocol):
    """One server program."""

    name: str
    order: int  # lower ones are started first and their URL is known to those after them
    requirements: dict[str, str]  # what must be importable -> what pip installs for it

    def prepare(self) -> None:
        """Runs first in the server's process, before any other import."""

    def serve(self, running: Running) -> None:
        """Serves until the process ends."""

    def answers(self, address: str, port: int) -> bool:
        """True when a client's request is answered."""

    def endpoints(self, home: Home, url: str, peers: dict[str, str]) -> dict[str, Any]:
        """What a client needs; `env` and `clouds` in it go to env.sh and clouds.yaml."""


def names() -> list[str]:
    """Names of all services there are."""
    return sorted(module.name for module in pkgutil.iter_modules(services.__path__))


def find(name: str) -> Service:
    """The service of that name; SandboxError says which there are."""
    if name not in names():
        raise SandboxError(f"there is no service {name!r} in this sandbox; there are: {', '.join(names())}")
    service: Service = importlib.import_module(f"polystore_sandbox.services.{name}").SERVICE
    return service


def find_all(wanted: list[str]) -> list[Service]:
    """The services in the order in which they are started."""
    return sorted((find(name) for name in dict.fromkeys(wanted)), key=lambda service: service.order)
