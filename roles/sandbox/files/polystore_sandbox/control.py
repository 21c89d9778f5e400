# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control endpoint of a server: faults and log, on a loopback port of its own, behind a token.

`POST /faults` orders one, `DELETE /faults` takes all back, `GET /faults` counts them,
`POST /listen` {"on": false} closes the server's port until {"on": true}; `POST /behaviour` {...} changes how the server
behaves, where it has such settings, and tells them all.
"""

from __future__ import annotations

import hmac
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from polystore_sandbox.faults import FaultError, FaultPlan


def start_control(
    address: str,
    token: str,
    faults: FaultPlan,
    listen: Callable[[bool], None] | None = None,
    behave: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
) -> int:
    """Serves the endpoint in a thread and returns its port."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self, status: int, value: Any) -> None:
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if not hmac.compare_digest(self.headers.get("X-Control-Token", ""), token):
                self._answer(403, {"error": "X-Control-Token is not the one of control.json"})
                return
            try:
                if (self.command, self.path) == ("POST", "/faults"):
                    faults.add(json.loads(body))
                elif (self.command, self.path) == ("DELETE", "/faults"):
                    faults.clear()
                elif (self.command, self.path) == ("POST", "/listen") and listen:
                    listen(bool(json.loads(body)["on"]))
                elif (self.command, self.path) == ("POST", "/behaviour") and behave:
                    self._answer(200, behave(json.loads(body)))
                    return
                elif (self.command, self.path) != ("GET", "/faults"):
                    there = "GET, POST and DELETE /faults, POST /listen and POST /behaviour"
                    self._answer(404, {"error": f"there are {there}"})
                    return
            except (FaultError, ValueError, KeyError, TypeError) as exc:
                self._answer(400, {"error": str(exc)})
                return
            self._answer(200, faults.state())

        do_GET = do_POST = do_DELETE = _handle

        def log_message(self, format: str, *args: Any) -> None:
            """Control requests are not logged."""

    server = ThreadingHTTPServer((address, 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return int(server.server_address[1])
