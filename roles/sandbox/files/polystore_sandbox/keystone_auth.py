# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paste filters that let Keystone's tokens and tempauth's live in one pipeline."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

TEMPAUTH_TOKEN = "AUTH_tk"


def _tempauths(environ: dict[str, Any]) -> bool | None:
    """True when the request's token is one of tempauth, None when there is no token."""
    token = environ.get("HTTP_X_AUTH_TOKEN") or environ.get("HTTP_X_STORAGE_TOKEN")
    return str(token).startswith(TEMPAUTH_TOKEN) if token else None


def filter_factory(global_conf: dict[str, str], **local: str) -> Callable[[Any], Any]:
    """keystonemiddleware's authtoken, which would ask Keystone for each of tempauth's tokens again."""
    make = importlib.import_module("keystonemiddleware.auth_token").filter_factory(global_conf, **local)
    return _choose(make, lambda environ: not _tempauths(environ))


def tempauth_factory(global_conf: dict[str, str], **local: str) -> Callable[[Any], Any]:
    """Swift's tempauth, which fails on the REMOTE_USER that keystoneauth leaves."""
    make = importlib.import_module("swift.common.middleware.tempauth").filter_factory(global_conf, **local)
    return _choose(make, lambda environ: _tempauths(environ) is not False)


def _choose(make: Callable[[Any], Any], wanted: Callable[[dict[str, Any]], bool]) -> Callable[[Any], Any]:
    def wrap(application: Any) -> Any:
        filtered = make(application)

        def call(environ: dict[str, Any], start_response: Any) -> Any:
            return (filtered if wanted(environ) else application)(environ, start_response)

        return call

    return wrap
