"""Frozen dataclasses to plain JSON data and back, strictly.

Strict means: an unknown or missing field and a value of the wrong type are ``BAD_MESSAGE``, so that
two ends of different versions disagree loudly instead of dropping what they do not know.
"""

from __future__ import annotations

import dataclasses
import enum
import typing
from functools import cache
from typing import Any, Dict, Mapping, Type, TypeVar, Union

from .errors import AgentError, ErrorCode

T = TypeVar("T")


def to_wire(value: Any) -> Any:
    """Plain data (dict, list, str, int, float, bool, None) for a value made of dataclasses."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_wire(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (list, tuple)):
        return [to_wire(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): to_wire(item) for key, item in value.items()}
    return value


@cache
def _hints(cls: Any) -> Dict[str, Any]:
    return typing.get_type_hints(cls)


def from_wire(cls: Type[T], data: Any) -> T:
    """An instance of the dataclass ``cls`` from plain data; raises ``BAD_MESSAGE``."""
    if not isinstance(data, Mapping):
        raise AgentError(ErrorCode.BAD_MESSAGE, f"{cls.__name__} must be an object")
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(data) - set(fields))
    if unknown:
        raise AgentError(
            ErrorCode.BAD_MESSAGE, f"{cls.__name__} has no field {', '.join(map(repr, unknown))}"
        )
    hints = _hints(typing.cast("Any", cls))
    values = {}
    for name, field in fields.items():
        if name in data:
            values[name] = _value(hints[name], data[name], f"{cls.__name__}.{name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise AgentError(ErrorCode.BAD_MESSAGE, f"{cls.__name__} lacks the field {name!r}")
    return cls(**values)


def _value(hint: Any, data: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    args = typing.get_args(hint)
    if hint is Any:
        return data
    if origin is Union:
        return _optional(args, data, where)
    if origin is tuple:
        return _sequence(args, data, where)
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(args, data, where)
    if isinstance(hint, type):
        return _scalar(hint, data, where)
    raise TypeError(f"the codec does not know the type of {where}: {hint}")


def _optional(args: Any, data: Any, where: str) -> Any:
    if data is None and type(None) in args:
        return None
    (inner,) = [arg for arg in args if arg is not type(None)]
    return _value(inner, data, where)


def _sequence(args: Any, data: Any, where: str) -> Any:
    if not isinstance(data, (list, tuple)):
        raise AgentError(ErrorCode.BAD_MESSAGE, f"{where} must be a list")
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(_value(args[0], item, where) for item in data)
    if len(args) != len(data):
        raise AgentError(ErrorCode.BAD_MESSAGE, f"{where} must have {len(args)} items")
    return tuple(_value(arg, item, where) for arg, item in zip(args, data))


def _mapping(args: Any, data: Any, where: str) -> Any:
    if not isinstance(data, Mapping):
        raise AgentError(ErrorCode.BAD_MESSAGE, f"{where} must be an object")
    return {_value(args[0], k, where): _value(args[1], v, where) for k, v in data.items()}


def _scalar(hint: type, data: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return from_wire(hint, data)
    if issubclass(hint, enum.Enum):
        try:
            return hint(data)
        except ValueError:
            raise AgentError(ErrorCode.BAD_MESSAGE, f"{where} cannot be {data!r}") from None
    if hint is float and type(data) is int:
        return float(data)
    # bool is an int to isinstance, and is not one here.
    if type(data) is not hint:
        raise AgentError(ErrorCode.BAD_MESSAGE, f"{where} must be {hint.__name__}")
    return data
