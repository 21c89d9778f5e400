# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""python pachd_small.py PORT MAJOR MINOR MICRO: a pachd of grpcio that can tell its version, and nothing else."""

from __future__ import annotations

import sys
from concurrent import futures

import grpc


def main() -> None:
    """Serves until it is killed."""
    port, *numbers = map(int, sys.argv[1:])
    answer = bytes(byte for field, value in enumerate(numbers, 1) for byte in (field << 3, value))
    told = grpc.unary_unary_rpc_method_handler(lambda request, context: answer)
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("versionpb_v2.API", {"GetVersion": told})])
    server.add_insecure_port("127.0.0.1:%d" % port)
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
