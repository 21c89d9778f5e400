# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a resource is: its items and their options, what they want, and the steps the engine takes with it."""

from __future__ import annotations

import contextlib
import dataclasses as dc
import json
import operator
import os
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any, Callable, TypeVar

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP, fingerprint

State = dict[str, Any]
Key = tuple[Any, ...]
I = TypeVar("I", bound="Item")  # noqa: E741


def equal(have: Any, want: Any) -> bool:
    """The default answer to "is it the same?"."""
    return bool(have == want)


@dc.dataclass(frozen=True)
class Opt:
    """One per-item option: its type in Ansible, how it is parsed, compared and shown."""

    role: str = "wanted"
    type: str = "str"
    elements: str | None = None
    choices: tuple[str, ...] = ()
    default: Any = KEEP
    required: bool = False
    nullable: bool = False
    parse: Callable[[Any], Any] | None = None
    same: Callable[[Any, Any], bool] = equal
    merge: bool = False
    secret: bool = False
    binary: bool = False
    options: dict[str, Any] | None = None
    aliases: tuple[str, ...] = ()

    def spec(self) -> dict[str, Any]:
        """The option in Ansible's argument_spec; required ones are checked item by item."""
        spec: dict[str, Any] = {"type": self.type}
        if self.choices:
            spec["choices"] = list(self.choices)
        for name in ("elements", "options"):
            if getattr(self, name):
                spec[name] = getattr(self, name)
        if self.default is not KEEP and self.default is not None:
            spec["default"] = self.default
        if self.aliases:
            spec["aliases"] = list(self.aliases)
        spec["no_log"] = self.secret
        return spec


def _field(**options: Any) -> Any:
    opt = Opt(**options)
    return dc.field(default=opt.default, metadata={"opt": opt})  # pylint: disable=invalid-field-call


def key(type: str = "str", **options: Any) -> Any:
    """A part of the item's identity; required unless a default is given."""
    options.setdefault("required", "default" not in options)
    return _field(role="key", type=type, **options)


def wanted(type: str = "str", **options: Any) -> Any:
    """Something the item should have: compared when it was given, left alone when it was not."""
    return _field(role="wanted", type=type, **options)


def directive(type: str = "str", **options: Any) -> Any:
    """How to go about it: never compared, never part of a state."""
    return _field(role="directive", type=type, **options)


@dc.dataclass
class Item:
    """One thing that should be present or absent. Subclasses add fields made by key(), wanted(), directive()."""

    state: str = directive(choices=("present", "absent"), default="present")

    @property
    def key(self) -> Key:
        """The identity, in the order of the key fields."""
        found: Key = _key_of(type(self))(self)
        return found

    def identity(self) -> State:
        """The identity by option name, for results and messages."""
        return {name: getattr(self, name) for name in _key_names(type(self))}

    def label(self) -> str:
        """How messages call this item."""
        return "/".join(str(part) for part in self.key)


_OPTS: dict[type, dict[str, Opt]] = {}
_KEYS: dict[type, list[str]] = {}
_READS: dict[type, Callable[[Any], Key]] = {}


def opts(cls: type) -> dict[str, Opt]:
    """The options of an item class by name, in the order of its fields."""
    if cls not in _OPTS:
        _OPTS[cls] = {f.name: f.metadata["opt"] for f in dc.fields(cls) if "opt" in f.metadata}
    return _OPTS[cls]


def _key_names(cls: type) -> list[str]:
    if cls not in _KEYS:
        _KEYS[cls] = [name for name, opt in opts(cls).items() if opt.role == "key"]
    return _KEYS[cls]


def _key_of(cls: type) -> Callable[[Any], Key]:
    if cls not in _READS:
        names = _key_names(cls)
        several = operator.attrgetter(*names) if len(names) > 1 else None
        _READS[cls] = several or (lambda item: tuple([getattr(item, name) for name in names]))
    return _READS[cls]


def _text(value: Any) -> str:
    if isinstance(value, (dict, list)):
        raise ValueError("%s is no text" % type(value).__name__)
    return value if isinstance(value, str) else str(value)


def _integer(value: Any) -> int:
    if isinstance(value, (bool, float)):
        raise ValueError("%r is no whole number" % (value,))
    try:
        return int(value)
    except (TypeError, ValueError):
        raise ValueError("%r is no whole number" % (value,)) from None


def _boolean(value: Any) -> bool:
    text = str(value).strip().lower()
    if text in ("true", "yes", "on", "1", "y", "t"):
        return True
    if text in ("false", "no", "off", "0", "n", "f"):
        return False
    raise ValueError("%r is neither true nor false" % (value,))


def _mapping(value: Any) -> dict[str, Any]:
    if isinstance(value, str) and value.lstrip().startswith("{"):
        value = json.loads(value)
    if not isinstance(value, Mapping):
        raise ValueError("%r is no dictionary" % (value,))
    return {str(k): v for k, v in value.items()}


def _sequence(value: Any) -> list[Any]:
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return [part.strip() for part in str(value).split(",")]
    if not isinstance(value, (list, tuple)):
        raise ValueError("%r is no list" % (value,))
    return list(value)


_TYPES: dict[str, Callable[[Any], Any]] = {
    "str": _text,
    "path": lambda value: os.path.expanduser(os.path.expandvars(_text(value))),
    "int": _integer,
    "bool": _boolean,
    "dict": _mapping,
    "list": _sequence,
}


def _parsed(opt: Opt, name: str, value: Any) -> Any:
    """One option's value, typed and parsed. Raises ValueError."""
    if opt.type in _TYPES:
        value = _TYPES[opt.type](value)
    if opt.elements:
        value = [_TYPES.get(opt.elements, lambda v: v)(part) for part in value]
    if opt.options:
        unknown = sorted(set(value) - set(opt.options))
        if unknown:
            raise ValueError("%s is unknown in it, known are %s" % (", ".join(unknown), ", ".join(sorted(opt.options))))
    for one in () if not opt.choices else value if isinstance(value, list) else [value]:
        if one not in opt.choices:
            raise ValueError("%r is not one of %s" % (one, ", ".join(opt.choices)))
    return opt.parse(value) if opt.parse else value


def faults(cls: type, raw: Mapping[str, Any], where: str, found: dict[str, Any]) -> Iterator[OptionError]:
    """What is wrong with options as they were typed; found gets what is right, parsed."""
    known = opts(cls)
    for name in raw:
        if name not in known and not any(name in o.aliases for o in known.values()):
            yield OptionError(where + name, "unknown option", "Known here: %s" % ", ".join(sorted(known)))
    for name, opt in known.items():
        given = name if name in raw else next((n for n in opt.aliases if n in raw), None) if opt.aliases else None
        if given is None or (raw[given] is None and not opt.nullable):
            if opt.required:
                yield OptionError(where + name, "is required", "Give it in the task or in every item of the batch")
            continue
        try:
            found[name] = None if raw[given] is None else _parsed(opt, name, raw[given])
        except ValueError as wrong:
            yield OptionError(where + name, "the value given is not valid" if opt.secret else str(wrong))


def build(cls: type[I], raw: Mapping[str, Any], where: str = "") -> I:
    """An item of class cls from options as they were typed. Raises OptionError, which names where and the option."""
    found: dict[str, Any] = {}
    for fault in faults(cls, raw, where, found):
        raise fault from None
    return cls(**found)


def argument_spec(cls: type) -> dict[str, Any]:
    """Ansible's argument_spec of an item class."""
    return {name: opt.spec() for name, opt in opts(cls).items()}


@dc.dataclass
class Change:
    """What is to be done with one item. action: created, updated or deleted; fields: what differs, as wanted."""

    item: Any
    action: str
    before: State | None
    after: State | None
    fields: State = dc.field(default_factory=dict)
    detail: Any = None


@dc.dataclass
class Made:
    """A change that was made. state: what is there now, where that is more than planned; old: what to retire."""

    change: Change
    state: State | None = None
    old: Any = None
    error: StorageError | None = None


@dc.dataclass
class Scope:
    """A tree or range declared as a whole: how much is wanted in it, how much is there, what is too much."""

    label: str
    wanted: int
    present: int
    surplus: list[Change]
    max_delete: Any = (10, True)
    allow_empty: bool = False


class Resource:
    """One kind of thing that a module declares: the steps, in the order in which the engine takes them."""

    Item: type[Any] = Item
    connection: Any = None
    noun = "item"
    single = True  # one item given means one `resource` in the result; a tree has many
    hashing = False  # plan() reads local content: plan in the workers

    def __init__(self, client: Any, run: Any) -> None:
        self.client = client
        self.run = run

    @classmethod
    def validate(cls, item: Any) -> None:
        """Options that contradict each other; before any connection. Raises OptionError (without "where")."""

    @contextlib.contextmanager
    def session(self) -> Iterator[None]:
        """What spans the run: a lock, a channel, a manifest."""
        yield

    def expand(self, items: list[Any]) -> Iterable[Any]:
        """The things to compare: the items themselves, or the files of the trees they name. May ask the server."""
        return items

    def read(self, items: list[Any]) -> dict[Key, State]:
        """The present state of all items by key, in as few calls as can be; absent ones are left out. A snapshot."""
        raise StorageError("%s cannot be read" % self.noun)

    def plan(self, item: Any, present: State | None) -> Change | None:
        """The change that makes present what the item says, or None."""
        return compare(item, present)

    def scopes(self, items: list[Any], pieces: list[Any], present: dict[Key, State]) -> Iterable[Scope]:
        """What was declared as a whole with prune: true, and what is too much in it."""
        return ()

    def group(self, change: Change) -> Hashable:
        """Changes with an equal group are made together. By default each alone."""
        return id(change)

    def order(self, groups: list[list[Change]]) -> list[list[list[Change]]]:
        """Waves of groups; the next begins when all of the one before have succeeded. By default deletions last."""
        last = [g for g in groups if all(c.action == "deleted" for c in g)]
        return [[g for g in groups if not all(c.action == "deleted" for c in g)], last]

    def make(self, group: list[Change]) -> list[Made]:
        """Make the new, in a worker. An error raised here fails the whole group."""
        raise StorageError("%s cannot be changed" % self.noun)

    def record(self, made: list[Made]) -> None:
        """Make it durable; never in two threads at once, in the order of completion, several at a time."""

    def retire(self, made: Made) -> None:
        """Remove what is now old, in a worker."""

    def settle(self, made: Made) -> None:
        """Wait until the system shows the change."""

    def finish(self, complete: bool) -> None:
        """Once at the end of a real run, changes or none: tidy up what a dead run left. complete: nothing failed."""


def merged(have: Mapping[str, Any], want: Mapping[str, Any], purge: bool) -> dict[str, Any]:
    """have with want laid over it; a None in want removes its key; with purge nothing else stays."""
    base = {} if purge else dict(have)
    base.update(want)
    return {k: v for k, v in base.items() if v is not None}


def differences(item: Any, present: State | None) -> State:
    """The options of the item that differ from present, as they should be (merged ones whole)."""
    have, found = present or {}, {}
    for name, opt in opts(type(item)).items():
        want, now = getattr(item, name), have.get(name)
        purge = opt.merge and getattr(item, "purge_" + name, False) is True
        if opt.role != "wanted" or (want is KEEP and not purge):
            continue
        if opt.merge:
            want = merged(now or {}, want or {}, purge)
            if want != (now or {}):
                found[name] = want
        elif not opt.same(now, want):
            found[name] = want
    return found


def compare(item: Any, present: State | None, extra: State | None = None) -> Change | None:
    """The generic plan, option by option. extra: differences that the resource has found."""
    if item.state == "absent":
        return None if present is None else Change(item, "deleted", present, None)
    fields = {**differences(item, present), **(extra or {})}
    if present is None:
        return Change(item, "created", None, dict(fields), fields)
    return Change(item, "updated", present, {**present, **fields}, fields) if fields else None


@contextlib.contextmanager
def about(item: Any) -> Iterator[None]:
    """An error raised in this block is about this item, unless it says otherwise."""
    try:
        yield
    except StorageError as error:
        error.item = error.item or item.label()
        raise


def shown(item: Any, state: State | None) -> State | None:
    """A state for results and diffs: secrets and binary values as digests, the identity first."""
    if state is None:
        return None
    known = opts(type(item))
    out: State = item.identity()
    for name, value in state.items():
        opt = known.get(name)
        if name.startswith("_"):
            continue
        if opt and (opt.secret or opt.binary) and value not in (None, ""):
            several = isinstance(value, (list, tuple))
            value = [fingerprint(v) if v else v for v in value] if several else fingerprint(value)
        elif isinstance(value, bytes):
            value = fingerprint(value)
        out[name] = value
    return out
