"""
The JSON form of records: plain dataclasses to plain JSON and back. Imports the standard library only.

Mappings and tuples become objects and arrays, times become ISO 8601 with their zone, enums their value; a field that
holds its default is left out, so that files stay small and a new field with a default reads old files.
"""

from __future__ import annotations

import hashlib
import json
import types
import typing
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, TypeVar, cast

__all__ = ["decode", "digest", "encode", "material"]

T = TypeVar("T")


def encode(value: Any) -> Any:
    """
    Turn records, and containers of them, into what `json.dump` takes.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {
            each.name: encode(here) for each in fields(value) if (here := getattr(value, each.name)) != _default(each)
        }
    if isinstance(value, dict):
        return {str(name): encode(here) for name, here in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(here) for here in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    return value


def decode(kind: type[T], data: Any) -> T:
    """
    Build a *kind* from its JSON form.

    Raises:
        ValueError: a field is missing, unknown or of another type; the message names the field.
    """
    return cast(T, _decode(kind, data, kind.__name__))


def material(record: Any) -> dict[str, Any]:
    """
    Return a record's JSON form without the fields that change by themselves: what drift is judged by.

    Ids differ in case between the service's own answers, so they are compared as keys.
    """
    plain = {
        each.name: encode(_lasting(getattr(record, each.name)))
        for each in fields(record)
        if not each.metadata.get("volatile") and each.name != "name"
    }
    return cast(dict[str, Any], _fold_ids(plain))


def _lasting(value: Any) -> Any:
    """
    Put the default into every field, of records inside a record, that changes by itself.
    """
    if isinstance(value, tuple):
        return tuple(_lasting(each) for each in value)
    if not is_dataclass(value) or isinstance(value, type):
        return value
    return replace(value, **{each.name: _default(each) for each in fields(value) if each.metadata.get("volatile")})


def digest(value: Any) -> str:
    """
    Return the sha256 of the canonical JSON form (sorted keys, no white space).
    """
    canonical = json.dumps(encode(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # JSON from Azure can hold half a surrogate pair, which UTF-8 cannot.
    return hashlib.sha256(canonical.encode(errors="backslashreplace")).hexdigest()


def _fold_ids(value: Any) -> Any:
    if isinstance(value, str) and value.lower().startswith("/subscriptions/"):
        return value.lower().rstrip("/")
    if isinstance(value, dict):
        return {name: _fold_ids(here) for name, here in value.items()}
    if isinstance(value, list):
        return [_fold_ids(here) for here in value]
    return value


def _default(each: Field[Any]) -> Any:
    if each.default is not MISSING:
        return each.default
    if each.default_factory is not MISSING:
        return each.default_factory()
    return MISSING


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _decode(kind: Any, data: Any, place: str) -> Any:
    origin = typing.get_origin(kind)
    if kind is Any:
        return data
    if origin in (typing.Union, types.UnionType):
        return _decode_union(typing.get_args(kind), data, place)
    if is_dataclass(kind):
        return _decode_record(cast(type, kind), data, place)
    if origin is tuple:
        (each, *_) = typing.get_args(kind)
        return tuple(_decode(each, here, f"{place}[{n}]") for n, here in enumerate(_expect(list, data, place)))
    if origin is dict:
        _, each = typing.get_args(kind)
        return {name: _decode(each, here, f"{place}.{name}") for name, here in _expect(dict, data, place).items()}
    if kind is datetime:
        return _decode_time(_expect(str, data, place), place)
    if isinstance(kind, type) and issubclass(kind, Enum):
        try:
            return kind(data)
        except ValueError as error:
            raise ValueError(f"{place}: {data!r} is none of {[each.value for each in kind]}") from error
    return _expect(kind, data, place)


def _decode_time(data: str, place: str) -> datetime:
    try:
        read = datetime.fromisoformat(data)
    except ValueError as error:
        raise ValueError(f"{place}: not an ISO 8601 time: {data!r}") from error
    if read.tzinfo is None:
        raise ValueError(f"{place}: a time without its zone: {data!r}")
    return read


def _decode_record(kind: type, data: Any, place: str) -> Any:
    given = _expect(dict, data, place)
    hints = _hints(kind)
    known = {each.name: each for each in fields(kind)}
    if unknown := sorted(given.keys() - known.keys()):
        raise ValueError(f"{place}: unknown field {unknown[0]!r}")
    if missing := [n for n, each in known.items() if n not in given and _default(each) is MISSING]:
        raise ValueError(f"{place}: missing field {missing[0]!r}")
    return kind(**{name: _decode(hints[name], here, f"{place}.{name}") for name, here in given.items()})


def _decode_union(choices: tuple[Any, ...], data: Any, place: str) -> Any:
    if data is None and type(None) in choices:
        return None
    (kind, *rest) = [each for each in choices if each is not type(None)]
    if rest:
        raise TypeError(f"{place}: only optional unions are supported")
    return _decode(kind, data, place)


def _expect(kind: type, data: Any, place: str) -> Any:
    if not isinstance(data, kind) or (isinstance(data, bool) and kind is not bool):
        raise ValueError(f"{place}: {kind.__name__} expected, not {type(data).__name__}")
    return data
