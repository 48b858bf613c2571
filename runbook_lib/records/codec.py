"""
The JSON form of records: plain dataclasses to plain JSON and back. Imports `base`.

Mappings and tuples become objects and arrays, times become ISO 8601 with their zone, enums their value; a field that
holds its default is left out, so that files stay small and a new field with a default reads old files.
"""

from __future__ import annotations

import hashlib
import json
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, TypeVar, cast

from runbook_lib.records.base import key

__all__ = ["decode", "digest", "encode", "material", "opened"]

T = TypeVar("T")
_PLAIN = frozenset({str, int, float, bool, type(None)})
# Reads one kind of value; raises `_Misfit`.
_Decoder = Callable[[Any], Any]
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
# How far down `digest` takes a value apart: a plan, its steps, their changes and the states of their worlds.
_DEEP = 3
_MANY = 100


def encode(value: Any) -> Any:
    """
    Turn records, and containers of them, into what `json.dump` takes.
    """
    kind: Any = type(value)
    if kind in _PLAIN:
        return value
    if kind is dict:
        return {str(name): encode(here) for name, here in value.items()}
    if kind in (tuple, list):
        return [encode(here) for here in value]
    if (known := _defaults(kind)) is not None:
        return {name: encode(here) for name, default in known if (here := getattr(value, name)) != default}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    return value


def opened(value: Any) -> Any:
    """
    Turn a record into a mapping of its fields as `encode` does, but leave what is in them as it is.
    """
    kind: Any = type(value)
    known = _defaults(kind)
    if known is None:
        return value
    return {name: here for name, default in known if (here := getattr(value, name)) != default}


def decode(kind: type[T], data: Any) -> T:
    """
    Build a *kind* from its JSON form.

    Raises:
        ValueError: a field is missing, unknown or of another type; the message names the field.
    """
    try:
        return cast(T, _decoder(cast(Any, kind))(data))
    except _Misfit as error:
        raise ValueError(f"{kind.__name__}{''.join(reversed(error.place))}: {error.problem}") from error.__cause__


def material(record: Any) -> dict[str, Any]:
    """
    Return a record's JSON form without the fields that change by themselves: what drift is judged by.

    Ids differ in case between the service's own answers, so they are compared as keys.
    """
    kind: Any = type(record)
    return {name: _lasting(getattr(record, name)) for name in _material_fields(kind) if name != "name"}


def _lasting(value: Any) -> Any:
    """
    Encode *value* without the fields, of records inside a record, that change by themselves, and with ids as keys.
    """
    kind: Any = type(value)
    if kind is str:
        return key(value) if value[:15].lower() == "/subscriptions/" else value
    if kind is dict:
        return {str(name): _lasting(here) for name, here in value.items()}
    if kind in (tuple, list):
        return [_lasting(here) for here in value]
    if (known := _defaults(kind)) is not None:
        lasting = _material_fields(kind)
        return {
            name: _lasting(here)
            for name, default in known
            if name in lasting and (here := getattr(value, name)) != default
        }
    return encode(value)


def digest(value: Any) -> str:
    """
    Return the sha256 of the canonical JSON form (sorted keys, no white space).
    """
    hashed = hashlib.sha256()
    for piece in _canonical(value, 0):
        # JSON from Azure can hold half a surrogate pair, which UTF-8 cannot.
        hashed.update(piece.encode(errors="backslashreplace"))
    return hashed.hexdigest()


def _canonical(value: Any, depth: int) -> Iterator[str]:
    """
    Write *value* in pieces, so that a plan of 50,000 VMs is never in memory as one text.
    """
    taken = opened(value)
    large = isinstance(taken, dict | list | tuple) and (depth == 0 or taken is not value or _is_large(taken))
    if depth > _DEEP or not large:
        yield _CANONICAL(encode(value))
        return
    value = taken
    if isinstance(value, dict):
        between = "{"
        for name in sorted(value):
            yield f"{between}{_CANONICAL(name)}:"
            yield from _canonical(value[name], depth + 1)
            between = ","
        yield "{}" if between == "{" else "}"
        return
    between = "["
    for here in value:
        yield between
        yield from _canonical(here, depth + 1)
        between = ","
    yield "[]" if between == "[" else "]"


def _is_large(value: dict[str, Any] | list[Any] | tuple[Any, ...]) -> bool:
    """
    Tell whether a container may be too large for one text: it has many elements, or records.
    """
    elements = iter(value.values() if isinstance(value, dict) else value)
    kind: Any = type(next(elements, None))
    return len(value) > _MANY or _defaults(kind) is not None


@cache
def _defaults(kind: type) -> tuple[tuple[str, Any], ...] | None:
    """
    Return the fields of a record with their defaults; None for what is no record.
    """
    return tuple((each.name, _default(each)) for each in fields(kind)) if is_dataclass(kind) else None


@cache
def _material_fields(kind: type) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind) if not each.metadata.get("volatile"))


def _default(each: Field[Any]) -> Any:
    if each.default is not MISSING:
        return each.default
    if each.default_factory is not MISSING:
        return each.default_factory()
    return MISSING


class _Misfit(Exception):
    """
    A value that is not what its place asks for.

    Attributes:
        place: parts of its path, the innermost first.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.place: list[str] = []


@cache
def _decoder(kind: Any) -> _Decoder:
    """
    Make the reader of a kind: once, for a file holds a hundred thousand records of it.
    """
    origin = typing.get_origin(kind)
    if kind is Any:
        return lambda data: data
    if origin in (typing.Union, types.UnionType):
        return _optional(typing.get_args(kind))
    if is_dataclass(kind):
        return _record(cast(type, kind))
    if origin is tuple:
        return _row(_decoder(typing.get_args(kind)[0]))
    if origin is dict:
        return _mapping(_decoder(typing.get_args(kind)[1]))
    if kind is datetime:
        return _time
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _choice(kind)
    return lambda data: _expect(kind, data)


def _record(kind: type) -> _Decoder:
    hints = typing.get_type_hints(kind)
    readers: dict[str, _Decoder] = {}
    needed = tuple(name for name, default in _defaults(kind) or () if default is MISSING)

    def read(data: Any) -> Any:
        if not readers:
            # Now and not before, for a record may hold others of its own kind.
            for each in fields(kind):
                readers[each.name] = _decoder(hints[each.name])
        given = _expect(dict, data)
        made: dict[str, Any] = {}
        for name, here in given.items():
            if name not in readers:
                raise _Misfit(f"unknown field {min(given.keys() - readers.keys())!r}")
            try:
                made[name] = readers[name](here)
            except _Misfit as error:
                error.place.append(f".{name}")
                raise
        for name in needed:
            if name not in made:
                raise _Misfit(f"missing field {name!r}")
        return kind(**made)

    return read


def _row(reader: _Decoder) -> _Decoder:
    def read(data: Any) -> Any:
        rows, made = _expect(list, data), []
        try:
            for each in rows:
                made.append(reader(each))
        except _Misfit as error:
            error.place.append(f"[{len(made)}]")
            raise
        return tuple(made)

    return read


def _mapping(reader: _Decoder) -> _Decoder:
    def read(data: Any) -> Any:
        made = {}
        for name, here in _expect(dict, data).items():
            try:
                made[name] = reader(here)
            except _Misfit as error:
                error.place.append(f".{name}")
                raise
        return made

    return read


def _optional(choices: tuple[Any, ...]) -> _Decoder:
    kinds = [each for each in choices if each is not type(None)]
    if len(kinds) > 1:
        raise TypeError(f"{kinds}: only optional unions are supported")
    reader = _decoder(kinds[0])
    return lambda data: None if data is None else reader(data)


def _choice(kind: type[Enum]) -> _Decoder:
    known = {each.value: each for each in kind}

    def read(data: Any) -> Any:
        if not isinstance(data, str) or data not in known:
            raise _Misfit(f"{data!r} is none of {list(known)}")
        return known[data]

    return read


def _time(data: Any) -> datetime:
    try:
        read = datetime.fromisoformat(_expect(str, data))
    except ValueError as error:
        raise _Misfit(f"not an ISO 8601 time: {data!r}") from error
    if read.tzinfo is None:
        raise _Misfit(f"a time without its zone: {data!r}")
    return read


def _expect(kind: type, data: Any) -> Any:
    if not isinstance(data, kind) or (isinstance(data, bool) and kind is not bool):
        raise _Misfit(f"{kind.__name__} expected, not {type(data).__name__}")
    return data
