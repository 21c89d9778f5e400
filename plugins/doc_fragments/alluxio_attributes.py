# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The attributes that Alluxio's directories and files have."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment polystore.storage.alluxio_attributes."""

    DOCUMENTATION = r"""
options:
  mode:
    description:
      - Permissions as an octal string such as V("0750"). Alluxio's umask does not apply to it.
    type: str
  owner:
    description:
      - Name of the owner. It is set after the creation, which takes none, and only the proxy's superuser may.
    type: str
  group:
    description:
      - Name of the group, set in the same way.
    type: str
  pinned:
    description:
      - Whether the data stays in Alluxio's own storage. A pinned directory pins all that is below it.
      - A file is pinned when its O(replication_min) is 1 or more, and only then, so the two may not contradict each
        other.
    type: bool
  ttl:
    description:
      - How long until Alluxio does what O(ttl_action) says, counted from the creation, as seconds or V(90s), V(15m),
        V(2h), V(7d), V(1w). V(never) removes it.
      - Once V(free) has been done Alluxio has forgotten the ttl, and a task that still wants it sets it anew.
    type: raw
  ttl_action:
    description:
      - What Alluxio does in the end. V(free) drops the copy in its own storage, V(delete) deletes the data in the store
        below too, V(delete_alluxio) (from 2.9.3 on) only Alluxio's own knowledge of it.
      - If not set, what is there is kept, and beside a new O(ttl) it is V(free). Without a ttl it means nothing.
    type: str
    choices: [delete, free, delete_alluxio]
  replication_min:
    description:
      - Least number of copies of a file in Alluxio's storage. From Alluxio 2.1 on.
    type: int
  replication_max:
    description:
      - Most copies of a file, V(-1) for no limit. From Alluxio 2.1 on.
    type: int
  xattr:
    description:
      - Extended attributes to set, each a text, or for bytes that are no text a dictionary with base64 under the key
        C(b64). What is there and not named here stays; V(null) removes. From Alluxio 2.9.0 on.
      - C(polystore.digest) and C(s3_etag) are kept by this collection and by the proxy, and are neither shown nor
        purged.
    type: dict
  purge_xattr:
    description:
      - Remove extended attributes that O(xattr) does not name.
    type: bool
    default: false
  write_type:
    description:
      - How a new directory or file is written. V(cache_through) and V(through) write to the store below, V(must_cache)
        and V(try_cache) only to Alluxio's storage, where it can be lost, V(async_through) later.
      - It is used for creations only, and what is there is not compared with it.
    type: str
    choices: [must_cache, try_cache, cache_through, through, async_through]
    default: cache_through
  sync_metadata:
    description:
      - Look at the store below before comparing, so that changes made there behind Alluxio are seen. That is slower.
      - Alluxio forgets the ttl of what it finds changed; a ttl is therefore set after the other attributes.
    type: bool
    default: false
"""
