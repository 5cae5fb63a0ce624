"""Frozen dataclasses to plain JSON data and back, strictly.

Strict means: an unknown or missing field and a value of the wrong type are ``BAD_MESSAGE``, so that
two ends of different versions disagree loudly instead of dropping what they do not know.
"""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from functools import cache
from typing import Any, Callable, Mapping, Optional, Tuple, Type, TypeVar, Union

from . import bounds
from .errors import AgentError, ErrorCode

T = TypeVar("T")

#: Reads plain data; the second argument says where it is, for the message.
_Reader = Callable[[Any, str], Any]

#: ``Optional[str]``, and where Python knows it ``str | None``.
_UNIONS = (Union, getattr(types, "UnionType", Union))

_PLAIN = frozenset({str, int, float, bool, type(None)})

#: The largest whole number that is taken for a ``float``; others cannot be one.
_LARGEST = 10**300


def to_wire(value: Any) -> Any:
    """Plain data (dict, list, str, int, float, bool, None) for a value made of dataclasses."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    names = _field_names(typing.cast("Any", kind))
    if names is not None:
        return {name: to_wire(getattr(value, name)) for name in names}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (list, tuple)):
        return [to_wire(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): to_wire(item) for key, item in value.items()}
    return value


@cache
def _field_names(kind: Any) -> Optional[Tuple[str, ...]]:
    """The fields of a dataclass, None for any other type."""
    if not dataclasses.is_dataclass(kind):
        return None
    return tuple(field.name for field in dataclasses.fields(kind))


@dataclasses.dataclass(frozen=True)
class _Field:
    """How one field is read."""

    name: str
    read: _Reader
    where: str
    is_required: bool


@cache
def _fields(cls: Any) -> Mapping[str, _Field]:
    hints = typing.get_type_hints(cls)
    found = {}
    for field in dataclasses.fields(cls):
        has_default = field.default is not dataclasses.MISSING
        has_default = has_default or field.default_factory is not dataclasses.MISSING
        where = f"{cls.__name__}.{field.name}"
        found[field.name] = _Field(field.name, _reader(hints[field.name]), where, not has_default)
    return found


def from_wire(cls: Type[T], data: Any) -> T:
    """An instance of the dataclass ``cls`` from plain data; raises ``BAD_MESSAGE``."""
    if not isinstance(data, (dict, Mapping)):
        raise AgentError(ErrorCode.BAD_MESSAGE, f"{cls.__name__} must be an object")
    fields = _fields(typing.cast("Any", cls))
    unknown = sorted(set(data) - set(fields), key=str)
    if unknown:
        shown = bounds.cut(", ".join(bounds.cut(repr(name), 80) for name in unknown[:20]), 400)
        raise AgentError(ErrorCode.BAD_MESSAGE, f"{cls.__name__} has no field {shown}")
    values = {}
    for name, field in fields.items():
        if name in data:
            values[name] = field.read(data[name], field.where)
        elif field.is_required:
            raise AgentError(ErrorCode.BAD_MESSAGE, f"{cls.__name__} lacks the field {name!r}")
    return cls(**values)


@cache
def _reader(hint: Any) -> _Reader:
    """The reader of a type; raises :class:`TypeError` for a type the codec does not know."""
    origin = typing.get_origin(hint)
    args = typing.get_args(hint)
    if hint is Any:
        return lambda data, _where: data
    if origin in _UNIONS and len(args) == 2 and type(None) in args:
        return _optional(args)
    if origin is tuple:
        return _many(args[0]) if len(args) == 2 and args[1] is Ellipsis else _fixed(args)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(args)
    if isinstance(hint, type) and origin is None:
        return _scalar(hint)
    raise TypeError(f"the codec does not know the type {hint}")


def _optional(args: Tuple[Any, ...]) -> _Reader:
    inner = _reader(next(arg for arg in args if arg is not type(None)))
    return lambda data, where: None if data is None else inner(data, where)


def _is_list(data: Any, where: str) -> Any:
    if not isinstance(data, (list, tuple)):
        raise AgentError(ErrorCode.BAD_MESSAGE, f"{where} must be a list")
    return data


def _many(item: Any) -> _Reader:
    inner = _reader(item)
    return lambda data, where: tuple([inner(entry, where) for entry in _is_list(data, where)])


def _fixed(args: Tuple[Any, ...]) -> _Reader:
    inner = tuple(_reader(arg) for arg in args)

    def read(data: Any, where: str) -> Any:
        if len(_is_list(data, where)) != len(inner):
            raise AgentError(ErrorCode.BAD_MESSAGE, f"{where} must have {len(inner)} items")
        return tuple([one(entry, where) for one, entry in zip(inner, data)])

    return read


def _mapping(args: Tuple[Any, ...]) -> _Reader:
    key, value = (_reader(arg) for arg in args)

    def read(data: Any, where: str) -> Any:
        if not isinstance(data, (dict, Mapping)):
            raise AgentError(ErrorCode.BAD_MESSAGE, f"{where} must be an object")
        return {key(k, where): value(v, where) for k, v in data.items()}

    return read


def _scalar(hint: type) -> _Reader:
    if dataclasses.is_dataclass(hint):
        return lambda data, _where: from_wire(hint, data)
    if issubclass(hint, enum.Enum):
        return _member(hint)

    def read(data: Any, where: str) -> Any:
        # bool is an int to isinstance, and is not one here.
        if type(data) is hint:
            return data
        if hint is float and type(data) is int and abs(data) <= _LARGEST:
            return float(data)
        raise AgentError(ErrorCode.BAD_MESSAGE, f"{where} must be {hint.__name__}")

    return read


def _member(hint: Type[enum.Enum]) -> _Reader:
    def read(data: Any, where: str) -> Any:
        try:
            return hint(data)
        except ValueError:
            shown = bounds.cut(repr(data), 80) if type(data) in _PLAIN else type(data).__name__
            raise AgentError(ErrorCode.BAD_MESSAGE, f"{where} cannot be {shown}") from None

    return read
