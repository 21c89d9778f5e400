# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection options of every Alluxio module."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment polystore.storage.alluxio."""

    DOCUMENTATION = r"""
options:
  proxy_url:
    description:
      - Address of Alluxio's REST proxy, such as V(http://proxy.example:39999).
      - If not set, the value of E(ALLUXIO_PROXY_URL) is used, and without it V(http://localhost:39999).
    type: str
  master_url:
    description:
      - Address of the master's web server, such as V(http://master.example:19999). Only there Alluxio tells how a
        store is mounted; nothing else needs it.
      - If not set, the value of E(ALLUXIO_MASTER_URL) is used.
    type: str
  timeout:
    description:
      - Seconds to wait for a connection, and for each piece of an answer; V(120) if not set.
      - A proxy that has lost its master answers after two minutes, so a much shorter time hides what it says.
    type: int
  dialect:
    description:
      - Which form requests have. V(auto) asks the proxy for its version, which is V(1) for Alluxio 1.7 and 1.8, and
        V(2) for 2.x. If not set, V(auto).
    type: str
    choices: [auto, "1", "2"]
  headers:
    description:
      - Headers to send with each request to the proxy, where a reverse proxy before it wants some. The REST proxy
        itself knows no authentication and does everything as its own user. The values are kept secret.
    type: dict
  validate_certs:
    description:
      - Whether the server's certificate has to be valid, V(true) if nothing else says.
    type: bool
  ca_cert:
    description:
      - Path of the certificate authorities to trust, on the executing host.
    type: path
  retries:
    description:
      - How often to ask again after an error that may pass, with growing pauses; V(4) if not set.
    type: int
requirements:
  - requests
notes:
  - For Alluxio 1.7 to 2.9. The proxy has to answer REST, which it does with
    C(alluxio.proxy.s3.v2.version.enabled=false); from 2.9.3 on that is not its default, and a proxy without it answers
    every request with success and does nothing. That is recognised and told.
  - Paths are absolute. One with C(?), a backslash, C(.), C(..) or C(//) in it is refused, because Alluxio would take it
    for another.
"""
