# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs among Alluxio's versions, as data: since when there is what, and which name an error has."""

from __future__ import annotations

from dataclasses import dataclass

from polystore_sandbox.home import SandboxError

DEFAULT = "2.9.6"

# The first version that was seen with it.
SINCE = {
    "list_recursive": (1, 8),
    "version2": (2,),
    "download_file": (2, 1),
    "refuse_incomplete": (2, 3),
    "info_xattr": (2, 3),
    "load_metadata_only": (2, 5),
    "operation_id": (2, 7, 3),
    "xattr": (2, 9),
    "mount_guard": (2, 9),
    "http_under_500": (2, 9),
    "rename_overwrite": (2, 9, 1),
    "mount_unknown": (2, 9, 1),
    "create_overwrite": (2, 9, 3),
    "shadow": (2, 9, 3),
    "keeps_owner": (2, 3),
    "etag": (2, 9, 6),
}

# What happened -> the status name of 1.x, of 2.x. Many are UNKNOWN in 1.x.
NAMES = {
    "exists": ("ALREADY_EXISTS", "ALREADY_EXISTS"),
    "parent_missing": ("UNKNOWN", "NOT_FOUND"),
    "create_below_file": ("INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    "below_file": ("UNKNOWN", "INVALID_ARGUMENT"),
    "file_in_the_way": ("ALREADY_EXISTS", "UNKNOWN"),
    "rename_exists": ("UNKNOWN", "ALREADY_EXISTS"),
    "rename_bad": ("UNKNOWN", "INVALID_ARGUMENT"),
    "relative_create": ("INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    "relative": ("UNKNOWN", "INVALID_ARGUMENT"),
    "relative_null": ("UNKNOWN", "INVALID_ARGUMENT"),
    "missing": ("NOT_FOUND", "NOT_FOUND"),
    "not_empty": ("FAILED_PRECONDITION", "FAILED_PRECONDITION"),
    "delete_root": ("UNKNOWN", "PERMISSION_DENIED"),
    "denied": ("PERMISSION_DENIED", "PERMISSION_DENIED"),
    "open_directory": ("NOT_FOUND", "UNKNOWN"),
    "unmount_missing": ("UNKNOWN", "NOT_FOUND"),
    "unmount_bad": ("UNKNOWN", "INVALID_ARGUMENT"),
    "unknown": ("UNKNOWN", "UNKNOWN"),
    "internal": ("INTERNAL", "INTERNAL"),
    "unavailable": ("UNAVAILABLE", "UNAVAILABLE"),
    "invalid": ("INVALID_ARGUMENT", "INVALID_ARGUMENT"),
}


@dataclass(frozen=True)
class Dialect:
    """One version of Alluxio."""

    text: str
    version: tuple[int, ...]

    @classmethod
    def of(cls, text: str) -> Dialect:
        """Raises SandboxError for what is no version from 1.7 to 2.x."""
        parts = text.split(".")
        if len(parts) < 2 or not all(part.isdigit() for part in parts) or parts[0] not in ("1", "2"):
            raise SandboxError(f"{text!r} is no version of Alluxio that the stand-in knows: 1.7.1 to 2.9.6")
        return cls(text, tuple(int(part) for part in parts))

    def has(self, feature: str) -> bool:
        """Whether this version has what SINCE names."""
        return self.version >= SINCE[feature]

    @property
    def old(self) -> bool:
        """1.x."""
        return self.version < (2,)

    def name(self, case: str) -> str:
        """The status name for a case of NAMES."""
        if case == "mount_failed":
            return "INVALID_ARGUMENT" if (2,) <= self.version < SINCE["mount_unknown"] else "UNKNOWN"
        return NAMES[case][0 if self.old else 1]

    @property
    def ttl_action(self) -> str:
        """What happens at the end of a ttl that was given without its action."""
        return "FREE" if self.version >= (2, 9, 3) else "DELETE"

    @property
    def block(self) -> int:
        """A file's block size when none is given."""
        return 512 << 20 if self.old else 64 << 20

    @property
    def write_type(self) -> str:
        """What a file gets that was created without saying."""
        return "MUST_CACHE" if self.old else "ASYNC_THROUGH"


class Refusal(Exception):
    """The answer is an error. case: of NAMES; message: the server's words."""

    def __init__(self, case: str, message: str | None) -> None:
        super().__init__(message)
        self.case, self.message = case, message
