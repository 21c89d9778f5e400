# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is asking, and where: Swift credentials from task options, clouds.yaml, an RC file or the environment.

And what it means when the other side refuses: the errors of everything below and of HTTP.
"""

from __future__ import annotations

import dataclasses
import email.utils
import hashlib
import html
import http.client
import json
import os
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import (
    MissingLibrary,
    OptionError,
    StorageError,
)

SECRETS = ("password", "application_credential_secret", "token")
# Of each pair a lower source may not complete what a higher source began: Keystone would prefer the wrong one.
RIVALS = (
    ("username", "user_id"),
    ("user_domain_name", "user_domain_id"),
    ("project_name", "project_id"),
    ("project_domain_name", "project_domain_id"),
    ("application_credential_id", "application_credential_name"),
)
RIVAL = {a: b for pair in RIVALS for a, b in (pair, pair[::-1])}
USER = ("username", "user_id", "user_domain_name", "user_domain_id")
PROJECT = ("project_name", "project_id", "project_domain_name", "project_domain_id")
CREDENTIAL = ("application_credential_id", "application_credential_name", "application_credential_secret")
METHODS: dict[str, tuple[str, ...]] = {
    "v3password": USER + PROJECT + ("password",),
    "v3applicationcredential": USER + CREDENTIAL,
    "v3token": PROJECT + ("token",),
    "v1": ("username", "password"),
}
TYPE_NAMES = {"password": "v3password", "token": "v3token", "v1password": "v1", "v1.0": "v1", "1": "v1", "1.0": "v1"}
WHO = USER + CREDENTIAL + ("password", "token")
AUTH_KEYS = ("auth_url",) + USER + PROJECT + ("password",) + CREDENTIAL + ("token",)
PLAIN_KEYS = ("auth_type", "region_name", "interface", "storage_url", "ca_cert", "client_cert", "client_key")
# environment variables beside OS_<FIELD>
OS_ALIASES = {
    "auth_type": ("OS_AUTH_TYPE",),
    "token": ("OS_TOKEN", "OS_AUTH_TOKEN"),
    "project_name": ("OS_PROJECT_NAME", "OS_TENANT_NAME"),
    "project_id": ("OS_PROJECT_ID", "OS_TENANT_ID"),
    "interface": ("OS_INTERFACE", "OS_ENDPOINT_TYPE"),
    "ca_cert": ("OS_CACERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    "client_cert": ("OS_CERT",),
    "client_key": ("OS_KEY",),
}
ST_NAMES = {"auth_url": "ST_AUTH", "username": "ST_USER", "password": "ST_KEY"}
Source = dict[str, str]


@dataclasses.dataclass(frozen=True, repr=False)
class Credentials:
    """Everything a client needs to reach one account. timeout: seconds. The repr shows no secret."""

    auth_type: str
    auth_url: str = ""
    username: str = ""
    user_id: str = ""
    password: str = ""
    user_domain_name: str = ""
    user_domain_id: str = ""
    project_name: str = ""
    project_id: str = ""
    project_domain_name: str = ""
    project_domain_id: str = ""
    application_credential_id: str = ""
    application_credential_name: str = ""
    application_credential_secret: str = ""
    token: str = ""
    region_name: str = ""
    interface: str = "public"
    storage_url: str = ""
    validate_certs: bool = True
    ca_cert: str = ""
    client_cert: str = ""
    client_key: str = ""
    timeout: float = 60.0
    retries: int = 4

    def __repr__(self) -> str:
        shown = ((k, "***" if k in SECRETS else v) for k, v in dataclasses.asdict(self).items() if v != "")
        return "Credentials(%s)" % ", ".join("%s=%r" % pair for pair in shown)

    def identity(self) -> str:
        """A stable sha256 of all fields, for caches."""
        return hashlib.sha256(json.dumps(dataclasses.asdict(self), sort_keys=True).encode("utf-8")).hexdigest()


def resolve(options: Mapping[str, Any], environ: Mapping[str, str]) -> Credentials:
    """Credentials from the task's options, then cloud or rc_file, then the environment; rivals are never mixed.

    Raises OptionError naming the option and the variable that is missing or wrong.
    """
    sources = [_from_task(options)]
    cloud, rc_file = options.get("cloud"), options.get("rc_file")
    asked: tuple[str, ...] = ()
    if cloud and rc_file:
        raise OptionError("cloud", "cannot be used together with rc_file", "Give one of them.")
    if rc_file:
        variables, asked = read_rc(str(rc_file), environ)
        sources.append(_from_variables(variables, sources[0].get("auth_type")))
    elif cloud or (environ.get("OS_CLOUD") and not _method(sources[0])):
        sources.append(_from_cloud(str(cloud or environ["OS_CLOUD"]), environ))
    above = next((source["auth_type"] for source in sources if "auth_type" in source), None)
    fields = _merge([*sources, _from_variables(environ, above)])
    _check(fields, asked)
    insecure = fields.pop("insecure", "") == "yes"
    validate = options.get("validate_certs")
    return Credentials(
        validate_certs=not insecure if validate is None else bool(validate),
        timeout=_number(options, "timeout", 60.0, 0.001),
        retries=int(_number(options, "retries", 4, 0)),
        **fields,
    )


def _number(options: Mapping[str, Any], name: str, default: float, least: float) -> float:
    try:
        value = default if options.get(name) is None else float(options[name])
    except (TypeError, ValueError):
        value = -1.0
    if value < least:
        raise OptionError(name, "must be a number that is %s" % ("not negative" if least == 0 else "greater than 0"))
    return value


def _clean(source: Mapping[str, Any]) -> Source:
    """Drop what is empty; bring auth_type and interface into their one spelling."""
    clean = {key: str(value) for key, value in source.items() if value not in (None, "")}
    if "auth_type" in clean:
        clean["auth_type"] = TYPE_NAMES.get(clean["auth_type"].lower(), clean["auth_type"].lower())
    if clean.get("interface", "").endswith("URL"):
        clean["interface"] = clean["interface"][:-3]
    return clean


def _from_task(options: Mapping[str, Any]) -> Source:
    auth = options.get("auth") or {}
    unknown = sorted(set(map(str, auth)) - set(AUTH_KEYS)) if isinstance(auth, Mapping) else ["a dictionary to be seen"]
    if unknown:
        raise OptionError("auth", "has no key %s" % ", ".join(unknown), "Its keys are %s." % ", ".join(AUTH_KEYS))
    return _clean({**auth, **{key: options.get(key) for key in PLAIN_KEYS}})


def _from_variables(variables: Mapping[str, str], above: str | None) -> Source:
    """What OS_* say, or ST_* where OS_* name no place to go (above: the auth_type that a higher source fixed)."""
    source: Source = {}
    for key in AUTH_KEYS + PLAIN_KEYS:
        names = OS_ALIASES.get(key, ("OS_" + key.upper(),))
        source[key] = next((variables[name] for name in names if variables.get(name)), "")
    if variables.get("OS_INSECURE", "").lower() in ("1", "true", "yes", "on"):
        source["insecure"] = "yes"
    if not source["auth_type"] and variables.get("OS_AUTH_VERSION") in ("1", "1.0"):
        source["auth_type"] = "v1"
    legacy = {key: variables[name] for key, name in ST_NAMES.items() if variables.get(name)}
    if legacy and (above == "v1" or not (source["auth_url"] or source["storage_url"])):
        kept = {key: source.get(key) for key in ("ca_cert", "client_cert", "client_key", "insecure")}
        return _clean({**kept, **legacy, "auth_type": "v1"})
    return _clean(source)


def _method(source: Source) -> str:
    """The auth_type a source stands for by itself, or "" when it names nobody."""
    if "auth_type" in source:
        return source["auth_type"]
    if "token" in source and "storage_url" in source:
        return "v3token"
    if any(key in source for key in CREDENTIAL):
        return "v3applicationcredential"
    if any(key in source for key in ("username", "user_id", "password")):
        return "v1" if re.search(r"/v1(\.0)?/?$", source.get("auth_url", "")) else "v3password"
    return "v3token" if "token" in source else ""


def _merge(sources: list[Source]) -> Source:
    """One set of fields: the first source that names somebody fixes the method, lower ones only complete it."""
    ranks = [_method(source) for source in sources]
    first = next((index for index, rank in enumerate(ranks) if rank), 0)
    method = ranks[first] or "v3password"
    if method == "v3password" and not {"auth_type", "auth_url", "user_id", *PROJECT} & set(sources[first]):
        # A user or a password alone says nothing of how: what it completes does.
        method = next((rank for rank in ranks[first + 1 :] if rank in ("v1", "v3password")), method)
    if method not in METHODS:
        raise OptionError("auth_type", "%s is not supported" % method, "Use one of %s." % ", ".join(METHODS))
    owner = next((index for index, source in enumerate(sources) if set(source) & set(METHODS[method]) & set(WHO)), 0)
    merged: Source = {}
    for index, source in enumerate(sources):
        allowed = {"region_name", "interface", "ca_cert", "client_cert", "client_key", "insecure"}
        # v1 and v3password share fields but never each other's values; an account's URL goes with who opened it.
        if index <= first or ranks[index] in ("", method) or "v1" not in (method, ranks[index]):
            allowed |= {"auth_url", *METHODS[method]} | ({"storage_url"} if index <= owner else set())
            allowed |= {"user_domain_name", "user_domain_id"} if method == "v3token" else set()  # serve its project
        taken = {RIVAL.get(key) for key in merged}.union(merged)
        merged.update((key, value) for key, value in source.items() if key in allowed and key not in taken)
    merged["auth_type"] = method
    return merged


def _check(fields: Source, asked: tuple[str, ...]) -> None:
    """Raise OptionError for what is missing or malformed; let the user's domain serve a project without one."""
    method = fields["auth_type"]
    direct = method == "v3token" and "storage_url" in fields

    def need(*keys: str) -> None:
        if any(key in fields for key in keys):
            return
        name = OS_ALIASES.get(keys[0], ("OS_" + keys[0].upper(),))[0]
        if method == "v1":
            name = "%s or %s" % (ST_NAMES[keys[0]], name)
        hint = "Give it in the task, or as %s." % name
        if keys[0] == "auth_url":
            hint = "Say where: auth, cloud or rc_file in the task, or OS_AUTH_URL, OS_CLOUD or ST_AUTH."
        if keys[0] == "password" and "OS_PASSWORD" in asked:
            hint = "The rc_file asks for it at a terminal: set OS_PASSWORD in the environment, or auth.password."
        raise OptionError("auth." + keys[0], "is missing for auth_type %s" % method, hint)

    if not direct:
        need("auth_url")
    if method == "v3token":
        need("token")
    if method == "v3applicationcredential":
        need("application_credential_id", "application_credential_name")
        need("application_credential_secret")
    if method in ("v3password", "v1") or (method != "v3token" and "application_credential_id" not in fields):
        need("username", "user_id")
        if method != "v1" and "user_id" not in fields:
            need("user_domain_name", "user_domain_id")
    if method in ("v3password", "v1"):
        need("password")
    if method in ("v3password", "v3token") and not direct:
        if "storage_url" not in fields:
            need("project_name", "project_id")
        if "project_name" in fields and "project_domain_name" not in fields and "project_domain_id" not in fields:
            served = {k.replace("user", "project"): v for k, v in fields.items() if k.startswith("user_domain_")}
            fields.update(served)
            need("project_domain_name", "project_domain_id")
    for key, option in (("auth_url", "auth.auth_url"), ("storage_url", "storage_url")):
        if key in fields and not re.match(r"https?://[^/\s]+[^\s]*$", fields[key]):
            raise OptionError(option, "must be an address that begins with http:// or https://")
    if method != "v1" and re.search(r"/v2\.0/?$", fields.get("auth_url", "")):
        raise OptionError("auth.auth_url", "is Keystone v2.0, which is not supported", "Use the one that ends in /v3.")
    for key in ("ca_cert", "client_cert", "client_key"):
        if key in fields and not os.path.exists(fields[key]):
            raise OptionError(key, "%s does not exist" % fields[key])


def _from_cloud(name: str, environ: Mapping[str, str]) -> Source:
    """One cloud of clouds.yaml, with what secure.yaml adds."""
    home = environ.get("XDG_CONFIG_HOME") or os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".config")
    places = [os.getcwd(), os.path.join(home, "openstack"), "/etc/openstack"]
    merged: dict[str, Any] = {}
    used = []
    for kind, variable in (("clouds", "OS_CLIENT_CONFIG_FILE"), ("secure", "OS_CLIENT_SECURE_FILE")):
        own = [environ[variable]] if environ.get(variable) else []
        paths = own + [os.path.join(place, kind + end) for place in places for end in (".yaml", ".yml")]
        path = next((path for path in paths if os.path.isfile(path)), None)
        if path:
            used.append(path)
            _deepen(merged, _yaml(path).get("clouds"))
    if not used:
        where = "Looked in %s, and for OS_CLIENT_CONFIG_FILE." % ", ".join(places)
        raise OptionError("cloud", "no clouds.yaml was found", where)
    cloud = merged.get(name)
    if not isinstance(cloud, dict):
        known = ", ".join(sorted(map(str, merged))) or "none"
        raise OptionError("cloud", "%s is not in %s" % (name, used[0]), "Known there: %s." % known)
    given = cloud["auth"] if isinstance(cloud.get("auth"), dict) else {}
    source = {key: given.get(key) or given.get(key.replace("project_", "tenant_")) for key in AUTH_KEYS}
    for key, theirs in (("ca_cert", "cacert"), ("client_cert", "cert"), ("client_key", "key")):
        source[key] = os.path.expanduser(str(cloud.get(theirs) or ""))
    source.update((key, cloud.get(key)) for key in ("auth_type", "region_name", "interface"))
    source["storage_url"] = cloud.get("object_store_endpoint_override") or given.get("storage_url")
    source["insecure"] = "yes" if str(cloud.get("verify", True)).lower() in ("false", "no", "0") else ""
    return _clean(source)


def _yaml(path: str) -> dict[str, Any]:
    try:
        import yaml
    except ImportError:
        raise MissingLibrary("PyYAML", "to read clouds.yaml") from None
    try:
        with open(path, encoding="utf-8") as handle:
            data = yaml.safe_load(handle)
    except (OSError, ValueError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)  # the error's own text may quote a password
        where = " (line %d)" % (mark.line + 1) if mark else ""
        raise OptionError("cloud", "%s cannot be read%s: %s" % (path, where, type(error).__name__)) from None
    return data if isinstance(data, dict) else {}


def _deepen(into: dict[str, Any], more: Any) -> None:
    for key, value in more.items() if isinstance(more, dict) else ():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _deepen(into[key], value)
        else:
            into[key] = value


_ASSIGNMENT = re.compile(r"\s*(?:(?:export|declare\s+-x|typeset\s+-x)\s+)?([A-Za-z_]\w*)=")
_PIECE = re.compile(r"'([^']*)'|\"((?:[^\"\\]|\\.)*)\"|\\(.)|([^\s'\"\\;&|]+)")
_VARIABLE = re.compile(r"\\([$`\"\\])|\$(?:(\w+)|\{(\w+)(?::?-([^}]*))?\})|(\$\(|`)")


def read_rc(path: str, environ: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Variables that an OpenStack RC file exports, read and never executed, and the names it would ask for.

    What it asks for at a terminal, or computes by a command, is left out: the environment has it, or nobody.
    """
    try:
        with open(os.path.expanduser(path), encoding="utf-8") as handle:
            lines = handle.read().splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise OptionError("rc_file", "%s cannot be read: %s" % (path, reason)) from None
    found: dict[str, str] = {}
    asked: list[str] = []
    depth = 0
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "if" or depth:  # a condition is not evaluated; what is set under it does not count
            depth += (words[0] == "if") - (words[-1] in ("fi", "fi;") or words[0] == "fi")
        elif words[0] == "read":
            asked += [word for word in words[1:] if re.match(r"[A-Za-z_]\w*$", word)]
        elif words[0] == "unset":
            for word in words[1:]:
                found.pop(word.strip(";"), None)
        else:
            _assignments(line, found, asked, environ, "%s line %d" % (path, number))
    return found, tuple(asked)


def _assignments(line: str, found: dict[str, str], asked: list[str], environ: Mapping[str, str], where: str) -> None:
    at = 0
    while True:
        match = _ASSIGNMENT.match(line, at)
        if not match:
            return
        name, at, value, known = match.group(1), match.end(), "", True
        while at < len(line) and line[at] not in " \t;&|":
            piece = _PIECE.match(line, at)
            if not piece:
                raise OptionError("rc_file", "%s: the quotes of %s do not match" % (where, name))
            raw, soft, escaped, bare = piece.groups()
            at = piece.end()
            if raw is not None or escaped is not None:
                value += raw if raw is not None else escaped
                continue
            for part in _VARIABLE.finditer(soft if soft is not None else bare):
                used = part.group(2) or part.group(3)
                known = known and not part.group(5) and used not in asked
            value += _VARIABLE.sub(lambda part: _expand(part, found, environ), soft if soft is not None else bare)
        if known:
            found[name] = value
        else:
            found.pop(name, None)
            asked.append(name)
        while at < len(line) and line[at] in " \t;":
            at += 1


def _expand(part: re.Match[str], found: Mapping[str, str], environ: Mapping[str, str]) -> str:
    if part.group(1):
        return part.group(1)
    name = part.group(2) or part.group(3) or ""
    return found.get(name) or environ.get(name) or part.group(4) or ""


# --- what refusals mean

TRANSIENT = (408, 429, 498, 500, 502, 503, 504)
HINTS = {
    # of an HTTP status
    401: "Check the user, its domain, the password and the project; a token may have expired.",
    403: "This user may not do that here: check its role in the project and the container's ACLs.",
    409: "The container is not empty, or it exists with another storage policy.",
    411: "Something between here and Swift dropped the Content-Length: check the proxy.",
    413: "A quota or the server's largest object size would be exceeded.",
    422: "The content did not arrive as it was sent (its checksum differs).",
    498: "The server limits the rate of requests: lower parallel, or raise retries.",
    503: "The server is overloaded or a storage node is away: try again later, or raise retries.",
    507: "The server has no space left.",
}
HINTS[429] = HINTS[498]
PLACE = "Check auth.auth_url and storage_url."
CUT = "The server or something in between closed it: run again, or raise retries."
BROKEN = (
    # names in the chain of exceptions, what to say of the host, what to do, transient, fatal
    ({"SSLEOFError", "SSLZeroReturnError"}, "The connection to %s broke", CUT, True, False),
    (
        {"SSLCertVerificationError"},
        "TLS with %s failed, its certificate is not trusted",
        "Name the authority's certificate in ca_cert (or say validate_certs: false).",
        False,
        True,
    ),
    ({"SSLError"}, "TLS with %s failed", "Is https right there? Check ca_cert, client_cert, client_key.", False, True),
    ({"gaierror"}, "The name of %s cannot be resolved", PLACE, False, True),
    ({"ConnectionRefusedError"}, "%s refuses connections", PLACE, True, True),
    ({"Timeout", "TimeoutError", "timeout"}, "%s did not answer in time", "Is timeout too short?", True, False),
    ({"InvalidHeader", "InvalidURL", "InvalidSchema"}, "The request to %s cannot be formed", "", False, True),
    ({"BaseException"}, "The connection to %s broke", CUT, True, False),
)


def short(body: bytes) -> str:
    """The words of a page in at most 300 characters."""
    text = re.sub(r"(?is)<(style|script|title).*?</\1>|<[^>]*>", " ", body[:20000].decode("utf-8", "replace"))
    return " ".join(html.unescape(text).split())[:300]


def trouble(error: BaseException, url: str, timeout: float) -> StorageError:
    """What went wrong below HTTP. The library's own text is not shown: it may quote headers."""
    seen: list[Any] = [error]
    for one in seen:  # a chain of wrapped exceptions: it grows while it is walked
        for inner in (*one.args, getattr(one, "reason", None), one.__cause__, one.__context__):
            if isinstance(inner, BaseException) and inner not in seen:
                seen.append(inner)  # pylint: disable=modified-iterating-list
    names = {base.__name__ for one in seen for base in type(one).__mro__}
    among, message, hint, transient, fatal = next(row for row in BROKEN if names & row[0])
    details = (getattr(one, "verify_message", "") or getattr(one, "strerror", "") for one in reversed(seen))
    detail = next(filter(None, details), "") or type(error).__name__
    if "timeout" in among:
        detail = "timeout: %g s" % timeout
    told = "%s (%s)" % (message % urlsplit(url).netloc, detail)
    return StorageError(told, hint=hint, transient=transient, fatal=fatal)


def refusal(
    status: int, headers: Mapping[str, str], words: str, what: str, operation: str, option: str = "storage_url"
) -> StorageError:
    """The error for an HTTP status of 300 and more. what: method and place; option: the one that names the place."""
    reason = http.client.responses.get(status, "")
    hint, fatal = HINTS.get(status, ""), option != "storage_url"
    message = "%s: HTTP %d %s" % (what, status, reason)
    if status < 400 and "x-trans-id" not in headers and "x-openstack-request-id" not in headers:
        hint = "A proxy in between does that: give the address behind it as %s." % option
        message += ", redirected to " + headers.get("location", "nowhere").split("?")[0]
        fatal = True
    elif fatal and (status == 404 or not hint):
        hint = "Is %s (OS_AUTH_URL) right?" % option
    elif status == 404 and what.startswith("PUT ") and "/" in what:
        hint = "The container %s does not exist: create it first." % what[4:].split("/")[0]
    return StorageError(
        message,
        operation=operation,
        code=status,
        server_message=words or reason,
        hint=hint,
        transient=status in TRANSIENT,
        retry_after=_after(headers.get("retry-after", "")),
        fatal=fatal,
    )


def _after(value: str) -> float | None:
    """Seconds of a Retry-After header, which may be a number or a date."""
    try:
        return float(value)
    except ValueError:
        when = email.utils.parsedate_tz(value)
        return None if when is None else max(0.0, email.utils.mktime_tz(when) - time.time())
