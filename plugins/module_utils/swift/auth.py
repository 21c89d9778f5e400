# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is asking, and where: Swift credentials from task options, clouds.yaml, an RC file or the environment."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import MissingLibrary, OptionError

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
TYPE_NAMES.update((method, method) for method in METHODS)
AUTH_KEYS = ("auth_url",) + USER + PROJECT + ("password",) + CREDENTIAL + ("token",)
PLAIN_KEYS = ("auth_type", "region_name", "interface", "storage_url", "ca_cert", "client_cert", "client_key")
# environment variables beside OS_<FIELD>
OS_ALIASES = {
    "auth_type": ("OS_AUTH_TYPE",),
    "token": ("OS_TOKEN", "OS_AUTH_TOKEN"),
    "project_name": ("OS_PROJECT_NAME", "OS_TENANT_NAME"),
    "project_id": ("OS_PROJECT_ID", "OS_TENANT_ID"),
    "interface": ("OS_INTERFACE", "OS_ENDPOINT_TYPE"),
    "ca_cert": ("OS_CACERT",),
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
    if cloud and rc_file:
        raise OptionError("cloud", "cannot be used together with rc_file", "Give one of them.")
    asked: tuple[str, ...] = ()
    if rc_file:
        variables, asked = read_rc(str(rc_file), environ)
        sources.append(_from_variables(variables, sources[0].get("auth_type")))
    elif cloud or (environ.get("OS_CLOUD") and not _method(sources[0])):
        sources.append(_from_cloud(str(cloud or environ["OS_CLOUD"]), environ))
    above = next((s["auth_type"] for s in sources if "auth_type" in s), None)
    sources.append(_from_variables(environ, above))
    fields = _merge(sources)
    _check(fields, asked)
    insecure = fields.pop("insecure", "") == "yes"
    validate = options.get("validate_certs")
    try:
        timeout = float(60 if options.get("timeout") is None else options["timeout"])
        retries = int(4 if options.get("retries") is None else options["retries"])
    except (TypeError, ValueError):
        raise OptionError("timeout" if _odd(options.get("timeout")) else "retries", "is not a number") from None
    if timeout <= 0 or retries < 0:
        raise OptionError(
            "timeout" if timeout <= 0 else "retries",
            "must be greater than 0" if timeout <= 0 else "must not be negative",
        )
    return Credentials(
        validate_certs=not insecure if validate is None else bool(validate), timeout=timeout, retries=retries, **fields
    )


def _odd(value: Any) -> bool:
    try:
        return value is not None and float(value) is None
    except (TypeError, ValueError):
        return True


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _from_task(options: Mapping[str, Any]) -> Source:
    auth = options.get("auth") or {}
    if not isinstance(auth, Mapping):
        raise OptionError("auth", "must be a dictionary", "Its keys are %s." % ", ".join(AUTH_KEYS))
    unknown = sorted(set(map(str, auth)) - set(AUTH_KEYS))
    if unknown:
        raise OptionError("auth", "has no key %s" % ", ".join(unknown), "Its keys are %s." % ", ".join(AUTH_KEYS))
    source = {key: _text(auth.get(key)) for key in AUTH_KEYS}
    source.update((key, _text(options.get(key))) for key in PLAIN_KEYS)
    return _clean(source, "auth_type")


def _clean(source: Source, origin: str) -> Source:
    """Drop what is empty; bring auth_type, interface and the truth of `insecure` into their one spelling."""
    source = {key: value for key, value in source.items() if value}
    if "auth_type" in source:
        try:
            source["auth_type"] = TYPE_NAMES[source["auth_type"].lower()]
        except KeyError:
            wrong = "%s is not supported" % source["auth_type"]
            raise OptionError(origin, wrong, "Use one of %s." % ", ".join(METHODS)) from None
    if source.get("interface", "").endswith("URL"):
        source["interface"] = source["interface"][:-3]
    return source


def _from_variables(variables: Mapping[str, str], above: str | None) -> Source:
    """What OS_* say, or ST_* where OS_* name no place to go (above: the auth_type that a higher source fixed)."""
    source: Source = {}
    for key in AUTH_KEYS + PLAIN_KEYS:
        names = OS_ALIASES.get(key, ("OS_" + key.upper(),))
        source[key] = next((variables[name] for name in names if variables.get(name)), "")
    if variables.get("OS_INSECURE", "").lower() in ("1", "true", "yes", "on"):
        source["insecure"] = "yes"
    version = variables.get("OS_AUTH_VERSION") or variables.get("ST_AUTH_VERSION") or ""
    if not source["auth_type"] and version in ("1", "1.0"):
        source["auth_type"] = "v1"
    legacy = {key: variables[name] for key, name in ST_NAMES.items() if variables.get(name)}
    placed = source["auth_url"] or source["storage_url"]
    if legacy and (above == "v1" or not placed):
        kept = {key: source[key] for key in ("ca_cert", "client_cert", "client_key", "insecure") if source.get(key)}
        source = dict(legacy, auth_type="v1", **kept)
    return _clean(source, "OS_AUTH_TYPE")


def _method(source: Source) -> str:
    """The auth_type a source stands for by itself, or "" when it names nobody."""
    if "auth_type" in source:
        return source["auth_type"]
    if "token" in source and "storage_url" in source:
        return "v3token"
    if any(key in source for key in CREDENTIAL):
        return "v3applicationcredential"
    if any(key in source for key in ("username", "user_id", "password")):
        return "v3password"
    return "v3token" if "token" in source else ""


def _merge(sources: list[Source]) -> Source:
    """One set of fields: the first source that names somebody fixes the method, lower ones only complete it."""
    first = next((index for index, source in enumerate(sources) if _method(source)), len(sources) - 1)
    method = _method(sources[first]) or "v3password"
    mine = METHODS[method] + ("auth_url", "region_name", "interface", "ca_cert", "client_cert", "client_key")
    merged: Source = {}
    for index, source in enumerate(sources):
        # v1 and v3password share fields, but never each other's values; an account's URL goes with who opened it.
        foreign = "v1" in (method, _method(source)) and _method(source) not in ("", method)
        named = any(key in source for key in METHODS[method])
        before = set(merged)
        for key, value in source.items():
            if key in before or RIVAL.get(key) in before or key == "auth_type":
                continue
            if (
                key == "insecure"
                or (key in mine and not (foreign and key in METHODS[method] + ("auth_url",)))
                or key == "storage_url"
                and (index <= first or (named and not foreign and not before & set(METHODS[method])))
            ):
                merged[key] = value
    merged["auth_type"] = method
    return merged


def _missing(option: str, method: str, extra: str = "") -> OptionError:
    name = option.split(".")[-1]
    variable = OS_ALIASES.get(name, ("OS_" + name.upper(),))[0]
    if method == "v1" and name in ST_NAMES:
        variable = "%s (or %s)" % (ST_NAMES[name], variable)
    return OptionError(
        option, "is missing for auth_type %s" % method, extra or "Give it in the task, or as %s." % variable
    )


def _check(fields: Source, asked: tuple[str, ...]) -> None:
    """Raise OptionError for what is missing; let the user's domain serve a project without one."""
    method = fields["auth_type"]
    direct = method == "v3token" and "storage_url" in fields
    if method == "v3token" and "token" not in fields:
        raise _missing("auth.token", method)
    if "auth_url" not in fields and not direct:
        hint = "Give a connection in the task (auth, cloud, rc_file) or in the environment (OS_AUTH_URL, OS_CLOUD, ST_AUTH)."
        raise _missing("auth.auth_url", method, hint)
    for key in ("auth_url", "storage_url"):
        if key in fields and not re.match(r"https?://[^/]", fields[key]):
            raise OptionError("auth.auth_url" if key == "auth_url" else key, "must begin with http:// or https://")
    if method != "v1" and re.search(r"/v2\.0/?$", fields.get("auth_url", "")):
        raise OptionError(
            "auth.auth_url", "names Keystone v2.0, which is not supported", "Use the address that ends in /v3."
        )
    if method == "v3applicationcredential":
        if "application_credential_secret" not in fields:
            raise _missing("auth.application_credential_secret", method)
        if "application_credential_id" not in fields and "application_credential_name" not in fields:
            raise _missing("auth.application_credential_id", method)
    if method in ("v3password", "v1") or (
        method == "v3applicationcredential" and "application_credential_id" not in fields
    ):
        if "username" not in fields and "user_id" not in fields:
            raise _missing("auth.username", method)
        named = method != "v1" and "user_id" not in fields
        if named and "user_domain_name" not in fields and "user_domain_id" not in fields:
            raise _missing("auth.user_domain_name", method)
    if method in ("v3password", "v1") and "password" not in fields:
        ask = "The rc_file asks for it at a terminal: set OS_PASSWORD in the environment, or auth.password."
        raise _missing("auth.password", method, ask if "OS_PASSWORD" in asked else "")
    if method in ("v3password", "v3token") and not direct:
        if "project_name" not in fields and "project_id" not in fields and "storage_url" not in fields:
            raise _missing("auth.project_name", method)
        if "project_name" in fields and "project_domain_name" not in fields and "project_domain_id" not in fields:
            for key in ("user_domain_name", "user_domain_id"):
                if key in fields:
                    fields["project_domain" + key[11:]] = fields[key]
                    break
            else:
                raise _missing("auth.project_domain_name", method)
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
        paths = own + [os.path.join(place, kind + end) for place in places for end in (".yaml", ".yml", ".json")]
        path = next((path for path in paths if os.path.isfile(path)), None)
        if path:
            used.append(path)
            _deepen(merged, _yaml(path).get("clouds") or {})
    if not used:
        raise OptionError(
            "cloud", "no clouds.yaml was found", "Looked in %s and OS_CLIENT_CONFIG_FILE." % ", ".join(places)
        )
    cloud = merged.get(name)
    if not isinstance(cloud, dict):
        known = ", ".join(sorted(map(str, merged))) or "none"
        raise OptionError("cloud", "%s is not in %s" % (name, used[0]), "Known there: %s." % known)
    auth = cloud.get("auth") if isinstance(cloud.get("auth"), dict) else {}
    auth = dict({k.replace("tenant_", "project_"): v for k, v in auth.items()}, **{k: v for k, v in auth.items() if v})
    source = {key: _text(auth.get(key)) for key in AUTH_KEYS}
    for key, theirs in (
        ("ca_cert", "cacert"),
        ("client_cert", "cert"),
        ("client_key", "key"),
        ("storage_url", "object_store_endpoint_override"),
    ):
        source[key] = _text(cloud.get(theirs))
    source.update((key, _text(cloud.get(key))) for key in ("auth_type", "region_name", "interface"))
    source["storage_url"] = source["storage_url"] or _text(auth.get("storage_url"))
    for key in ("ca_cert", "client_cert", "client_key"):
        source[key] = os.path.expanduser(source[key])
    if str(cloud.get("verify", True)).lower() in ("false", "no", "0"):
        source["insecure"] = "yes"
    return _clean(source, "cloud")


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
