# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for Alluxio: the proxy's REST interface on one port, the master's info on another."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from typing import Any

from polystore_sandbox.alluxio.api import Api
from polystore_sandbox.alluxio.http import HttpServer
from polystore_sandbox.alluxio.versions import DEFAULT, Dialect
from polystore_sandbox.front import Front
from polystore_sandbox.home import Home
from polystore_sandbox.registry import Running

PROBE = "/api/v1/proxy/info?sandbox"


class Alluxio:
    """See polystore_sandbox.registry.Service. Options: version, master_port, and those of Api.behave."""

    name = "alluxio"
    order = 30
    requirements: dict[str, str] = {}

    def prepare(self) -> None:
        """Nothing is needed."""

    def answers(self, address: str, port: int) -> bool:
        """Asks for the info; a shadowed one is empty."""
        try:
            with urllib.request.urlopen(f"http://{address}:{port}{PROBE}", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def endpoints(self, home: Home, url: str, peers: dict[str, str]) -> dict[str, Any]:
        """Where the proxy and the master are, and the local directory behind "/"."""
        known = home.read(f"{self.name}/known.json")
        master = str(known.get("master_url", ""))
        return {
            "proxy_url": url,
            "master_url": master,
            "version": known.get("version", DEFAULT),
            "ufs": str(home.folder / self.name / "ufs"),
            "env": {"ALLUXIO_PROXY_URL": url, "ALLUXIO_MASTER_URL": master},
        }

    def serve(self, running: Running) -> None:
        """Serves until the process is ended."""
        given = dict(running.options)
        folder = running.home.service(self.name)
        dialect = Dialect.of(str(given.pop("version", DEFAULT)))
        known = running.home.read(f"{self.name}/known.json")
        wanted = int(given.pop("master_port", known.get("master_port", 0)))
        api = Api(dialect, folder)
        api.behave(given)
        proxy = HttpServer(Front(api, running.faults, running.log, PROBE), running.address, running.port, self.name)
        front = Front(api.master_application, running.faults, running.log)
        master = HttpServer(front, running.address, wanted, self.name + " (its master_port)")

        def behave(settings: dict[str, Any]) -> dict[str, Any]:
            now = api.behave(settings)
            master.listen(api.mode != "no-master")
            return now

        proxy.listen(True)
        master.listen(True)
        master.listen(api.mode != "no-master")
        url = f"http://{running.address}:{master.port}"
        known = {"master_url": url, "master_port": master.port, "version": dialect.text}
        running.home.write(f"{self.name}/known.json", known)
        running.ready(proxy.port, proxy.listen, behave)
        while True:
            time.sleep(min(api.ttl_interval, 0.5))
            api.tick()


SERVICE = Alluxio()
