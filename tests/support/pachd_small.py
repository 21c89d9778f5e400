# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pachd of grpcio that can tell its version, and nothing else: quick to start and to kill.

python pachd_small.py PORT MAJOR MINOR MICRO serves it; Pachd is its handle for tests.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from concurrent import futures


def main() -> None:
    """Serves until it is killed."""
    import grpc

    port, *numbers = map(int, sys.argv[1:])
    answer = bytes(byte for field, value in enumerate(numbers, 1) for byte in (field << 3, value))
    told = grpc.unary_unary_rpc_method_handler(lambda request, context: answer)
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("versionpb_v2.API", {"GetVersion": told})])
    server.add_insecure_port("127.0.0.1:%d" % port)
    server.start()
    server.wait_for_termination()


class Pachd:
    """One that runs, at `target`, as a version."""

    def __init__(self, port: int, version: str) -> None:
        self.port, self.version, self.target = port, version, "127.0.0.1:%d" % port
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Starts it (again), and waits until it listens."""
        python = os.environ.get("POLYSTORE_SERVER_PYTHON") or sys.executable
        command = [python, __file__, str(self.port), *self.version.split(".")]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while time.monotonic() < until and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.02)
        self.kill()
        raise RuntimeError("pachd does not start with %s: has it grpcio?" % python)

    def kill(self) -> None:
        """Ends it as a crash does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


if __name__ == "__main__":
    main()
