# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for conditions."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(condition: Callable[[], T], what: str, seconds: float = 60.0) -> T:
    """The first true value of a condition; TimeoutError with `what` when it does not come."""
    until = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        if time.monotonic() >= until:
            raise TimeoutError("%s: not within %g s" % (what, seconds))
        time.sleep(0.05)
