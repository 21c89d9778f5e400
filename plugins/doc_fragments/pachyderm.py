# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection options of every Pachyderm module, and the project that most of them take."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment polystore.storage.pachyderm. Its part .project: the option project."""

    DOCUMENTATION = r"""
options:
  address:
    description:
      - Address of pachd, such as V(grpc://pachd.example:30650), or V(grpcs://) for TLS. V(http://), V(https://),
        V(unix:/path) and V(host:port) are understood too; without a port it is 30650.
      - If not set, the address of O(context) is used where that or O(config_file) is set, then E(PACHD_ADDRESS), then
        the active context of the configuration file, and without all of them V(grpc://localhost:30650).
    type: str
  auth_token:
    description:
      - Token of a user or robot. It is needed where authentication is active, and ignored elsewhere.
      - If not set, the token of O(context) is used where that or O(config_file) is set, then E(PACHD_AUTH_TOKEN) or
        E(AUTH_TOKEN), then that of the active context, if the address comes from there too.
    type: str
  config_file:
    description:
      - Path of pachctl's configuration file on the executing host.
      - If not set, the value of E(PACH_CONFIG) is used, and without it C(~/.pachyderm/config.json).
    type: path
  context:
    description:
      - Which context of the configuration file to use; if not set, the active one. Its address, token and certificate
        authorities are used. Its project is not, O(ignore:project) says that.
    type: str
  ca_cert:
    description:
      - Path of the certificate authorities to trust, on the executing host.
    type: path
  server_name:
    description:
      - Name that the server's certificate has to be for, where it is not the one in the address.
    type: str
  timeout:
    description:
      - Seconds to wait for a connection, and for an answer; V(60) if not set.
    type: int
  retries:
    description:
      - How often to ask again after an error that may pass, with growing pauses; V(4) if not set.
    type: int
requirements:
  - grpcio
  - protobuf >= 4.21
notes:
  - For Pachyderm 2.0 to 2.12. What a server is too old for is refused by name before anything is sent.
"""

    PROJECT = r"""
options:
  project:
    description:
      - Name of the project. Others than V(default) need Pachyderm 2.5.
    type: str
    default: default
"""
