# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection options of every FastDFS module."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment polystore.storage.fdfs. Its part .file: what fdfs_file takes, kept from a module's payload."""

    DOCUMENTATION = r"""
options:
  trackers:
    description:
      - Addresses of the trackers, each such as V(tracker.example) or V(tracker.example:22122). They are asked in turn
        until one answers.
      - If not set, those of O(client_conf) are used where that is set, then E(FDFS_TRACKERS) (with commas in between),
        then the file that E(FDFS_CLIENT_CONF) names.
    type: list
    elements: str
  client_conf:
    description:
      - Path of a C(client.conf) of FastDFS on the executing host. C(tracker_server), C(connect_timeout) and
        C(network_timeout) are read, also from files that it includes.
      - If not set, the value of E(FDFS_CLIENT_CONF) is used where no trackers are named.
    type: path
  connect_timeout:
    description:
      - Seconds to wait for a connection. If not set, that of the C(client.conf), and without one V(5).
    type: int
  timeout:
    description:
      - Seconds to wait for each piece of an answer, and for a server to take more. If not set, C(network_timeout) of
        the C(client.conf), and without one V(60).
    type: int
  retries:
    description:
      - How often to ask again after an error that may pass, with growing pauses; V(4) if not set.
      - What would do harm when it is done twice is only sent again where it cannot have been done.
    type: int
notes:
  - For FastDFS 4.06 to 6.16. Nothing has to be installed, the collection speaks the protocol itself.
  - FastDFS knows neither users nor encryption. Whoever reaches its ports can do everything.
  - The addresses of storages come from the trackers; the executing host has to reach those too.
"""

    FILE = r"""
options:
  name:
    description:
      - Name of the file in O(manifest). It is any text that you like; FastDFS does not know it.
      - Either this or O(file_id) is required, in the task or in each item of the batch.
    type: str
  manifest:
    description:
      - Path of the manifest on the executing host, which keeps the file's id under its name. It is made where it is
        missing; beside it, a file with C(.journal) at the end of its name keeps what a run has done so far.
      - Required with O(name).
    type: path
  file_id:
    description:
      - Id of a file that is there, such as V(group1/M00/00/00/wKgBQ2cL4VyABCDEAAAAC7f3YtE123.txt), to change its
        metadata, to remove it, or to change its content if it is an appender.
      - Use O(name) for what is in a manifest, because nothing is written into a manifest with this.
    type: str
  type:
    description:
      - Kind of the file. The content of a V(normal) one never changes, so other content is another file with another
        id. An V(appender) is changed in place and keeps its id. A V(slave) has an id that follows from that of its
        O(master).
      - If not set, a new file is V(normal), or V(slave) with O(master), and one that is there stays what it is.
    type: str
    choices: [normal, appender, slave]
  master:
    description:
      - The file that a slave belongs to, by its name in the same manifest or by its id. It may be declared in the same
        batch, in any order, and may be a slave itself.
      - When the master is replaced, the slaves that are declared with it, or by a later task, are stored anew beside
        the new one, and only then the old ones are deleted.
    type: str
  prefix:
    description:
      - What comes between the master's name and the extension in a slave's id, such as V(_150x150); 1 to 16 letters,
        digits, C(-), C(_) and C(.). Required for a slave.
    type: str
  extension:
    description:
      - Extension of the file's id, up to 6 characters, with or without a dot. Another one makes another file.
      - If not set, that of O(src) or of O(name) for a new file, if it is one that FastDFS takes.
    type: str
  file_group:
    description:
      - The group that stores the file. Another one makes another file. If not set, the tracker chooses.
    type: str
  metadata:
    description:
      - Metadata, which are merged with what is there. V(null) removes a name.
      - Names have at most 64 bytes and values at most 256; FastDFS would cut what is longer, so it is refused.
    type: dict
  purge_metadata:
    description:
      - Remove the metadata that O(metadata) does not name.
    type: bool
    default: false
  verify:
    description:
      - Ask the storage for each file, whether it is there and what it holds.
      - With V(false) the manifest is believed, and nothing at all is sent where nothing has to change.
    type: bool
    default: true
  compare:
    description:
      - How it is decided whether the content is the same.
      - V(checksum) compares the length and the CRC32, which are in the id of a normal file, and which the storage
        computes for others. Before FastDFS 6.02 it does not for appenders, and before 6.15.1 not for slaves; their
        content is read then, if the lengths are equal. Checksums of servers up to 5.11, which are no common CRC32, are
        understood.
      - V(content) reads and compares the content in every run. V(size) compares the length alone. V(exists) leaves a
        file alone that is there.
    type: str
    choices: [checksum, content, size, exists]
    default: checksum
  lock_timeout:
    description:
      - How long to wait for another run that uses the same manifest, in seconds or such as V(10m) or V(never).
    type: raw
    default: 600
notes:
  - Runs with the same manifest take turns, also from several hosts where the file system knows C(flock). Check mode
    waits for nobody, and lookups and downloads neither.
  - A new file is stored and recorded before the old one is deleted. A run that is killed leaves in the journal what it
    had stored; the next run deletes what no name stands for. Keep the manifest, and keep the journal with it.
  - Between the last byte of a new file and the storage's answer nobody knows its id. A run that dies in this moment
    may leave a file that nobody knows of; the next run says so. It cannot happen with slaves, nor when content of an
    appender changes.
  - A manifest that is lost or damaged is never written over. It can be written by hand, from names and ids alone.
  - The content of a slave is replaced by deleting the old one first, because both have the same id. Readers may find
    none for a moment. With a replaced master there is no such moment.
  - Of an appender, only what differs is sent. The lengths and checksums tell whether something was added at the end or
    cut off; otherwise its content is read and compared.
  - Metadata that are left out go with content that is replaced.
"""
