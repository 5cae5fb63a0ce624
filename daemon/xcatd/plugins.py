"""The plugin host: which plugins exist, which one takes a request, and what a crash of one costs.

Owns: loading by entry point, the choice by command (and by table, per node), and one of the daemon's
five outer boundaries - a plugin's exception becomes an error reply.  Must not: know a plugin by name.
Facts: docs/facts/wire.md, Fixed replies; docs/facts/daemon.md, Plugins and dispatch.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from importlib import metadata
from operator import or_
from typing import Any, Protocol, TypeVar, runtime_checkable

from xcatd.noderange import NoderangeError
from xcatd.text import perlre

from . import messages
from .context import Context
from .db.errors import DatabaseError
from .messages import NodeReply, Reply, Request
from .rights import EVERYTHING, NOTHING, Targets

GROUP = "xcatd.plugins"
_log = logging.getLogger(__name__)

T = TypeVar("T")

#: What is told of a failure to whom it must tell nothing of our insides.
_UNTOLD = "the daemon's log has why"


class Plugin(Protocol):
    """A class of commands.

    ``commands`` names them, or maps each to one or more specifications: a word (this plugin takes every
    node), ``site:key``, ``table:column,column`` (the value names the plugin) or ``table:column=regex``.
    """

    @property
    def commands(self) -> Mapping[str, str | tuple[str, ...]] | tuple[str, ...]:
        """The commands and how nodes come to this plugin."""

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        """Do the command; every reply is sent as it is yielded."""


@runtime_checkable
class Declaring(Protocol):
    """A plugin that tells the policy what it will touch; one that does not may touch everything.

    A policy row with a noderange lets a command through only if all its targets lie in it.
    """

    def targets(self, request: Request, context: Context) -> Targets:
        """What the command will touch; ``request.nodes`` are the nodes of its noderange.  Writes nothing."""


@runtime_checkable
class Powerful(Protocol):
    """A plugin with commands that are as good as being root."""

    def needs_everything(self, request: Request) -> bool:
        """Whether this request needs a policy row restricted in nothing; from its arguments alone."""


@runtime_checkable
class Deputy(Protocol):
    """A plugin with requests that do another command's work, such as going on with a stored plan.

    For these the policy always asks for :meth:`Declaring.targets`, and judges by ``Targets.commands``, too.
    """

    def acts_for_another(self, request: Request) -> bool:
        """Whether this request does; from its arguments alone."""


class NodeRoute(Protocol):
    """The part of the database a table specification needs."""

    @property
    def site(self) -> Mapping[str, str]:
        """The site table."""

    def lookup(
        self, table: str, columns: Sequence[str], nodes: Sequence[str]
    ) -> Mapping[str, Mapping[str, str]]:
        """Effective values: node to column to text."""


@dataclass(frozen=True, slots=True)
class Handler:
    """One plugin's claim on one command."""

    name: str
    plugin: Plugin
    specs: tuple[str, ...]

    @property
    def is_global(self) -> bool:
        """Takes every node that no table gives to another plugin."""
        return any(":" not in spec for spec in self.specs)


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Which plugins run, each with its nodes; the nodes no table of ``specs`` gave to any."""

    runs: tuple[tuple[Handler, tuple[str, ...]], ...]
    unclaimed: tuple[str, ...] = ()
    specs: tuple[str, ...] = ()


def _specs(plugin: Plugin, command: str, name: str) -> tuple[str, ...]:
    if not isinstance(plugin.commands, Mapping):
        return (name,)
    spec = plugin.commands[command]
    return (spec,) if isinstance(spec, str) else tuple(spec)


class PluginHost:
    """The plugins of this daemon, by command."""

    def __init__(self, plugins: Mapping[str, Plugin]) -> None:
        self._handlers: dict[str, tuple[Handler, ...]] = {}
        for name in sorted(plugins):
            plugin = plugins[name]
            for command in plugin.commands:
                handler = Handler(name, plugin, _specs(plugin, command, name))
                self._handlers[command] = (*self._handlers.get(command, ()), handler)

    @classmethod
    def load(cls, entry_points: Iterable[metadata.EntryPoint] | None = None) -> PluginHost:
        """Load what is installed; a plugin that cannot be loaded is skipped with a log line."""
        if entry_points is None:
            entry_points = metadata.entry_points(group=GROUP)

        def checked(name: str, plugin: Plugin) -> Plugin:
            cls({name: plugin})  # it must say what it does
            return plugin

        return cls(load("plugin", entry_points, checked))

    @property
    def commands(self) -> frozenset[str]:
        """Every command some plugin takes."""
        return frozenset(self._handlers)

    def choose(self, command: str, nodes: Sequence[str], route: NodeRoute) -> Dispatch:
        """Who takes the command for which nodes."""
        return choose(self._handlers.get(command, ()), nodes, route)

    def tables(self, command: str) -> frozenset[str]:
        """The tables whose values decide who takes the command."""
        specs = (spec for handler in self._handlers.get(command, ()) for spec in handler.specs)
        return frozenset(_table(spec) for spec in specs if _is_table(spec))

    def targets(self, request: Request, context: Context) -> Targets:
        """What the command will touch; of a command of no plugin here, the nodes it came with."""
        handlers = self._handlers.get(request.command)
        if handlers is None:
            return Targets.of(request.nodes)
        return reduce(or_, (_targets(handler, request, context) for handler in handlers), NOTHING)

    def needs_everything(self, request: Request) -> bool:
        """Whether some plugin takes this request for as good as being root."""
        return any(_needs_everything(h, request) for h in self._handlers.get(request.command, ()))

    def acts_for_another(self, request: Request) -> bool:
        """Whether this request does the work of another command, so that its targets say of which."""
        return any(_acts_for_another(h, request) for h in self._handlers.get(request.command, ()))

    def run(
        self, choice: Dispatch, request: Request, context: Context, *, tells_why: bool = True
    ) -> Iterator[Reply]:
        """Every chosen plugin's replies; one that crashes does not stop the next.

        ``tells_why``: its reply holds the exception's words, which may tell of paths and our insides.
        """
        if choice.unclaimed:
            yield _unidentified(choice)
        for handler, nodes in choice.runs:
            own = replace(request, nodes=nodes)
            yield from _guarded(handler, own, context, tells_why=tells_why)


def load(
    what: str, entry_points: Iterable[metadata.EntryPoint], checked: Callable[[str, Any], T]
) -> dict[str, T]:
    """What is installed at these, by name; one that cannot be loaded, or is refused, is skipped with a log line."""
    found: dict[str, T] = {}
    for point in sorted(entry_points, key=lambda point: point.name):
        try:
            found[point.name] = checked(point.name, point.load()())
        except Exception:  # noqa: BLE001 - outer boundary: foreign code, whatever it does
            _log.exception("%s %s cannot be loaded and is skipped", what, point.name)
    return found


def _guarded(
    handler: Handler, request: Request, context: Context, *, tells_why: bool
) -> Iterator[Reply]:
    try:
        yield from handler.plugin.handle(request, context)
    except (DatabaseError, NoderangeError, perlre.TooCostly) as failed:  # in words for users
        _log.error("%s: %s", request.command, failed)
        yield messages.error(str(failed) if tells_why else _UNTOLD)
    except Exception as error:  # noqa: BLE001 - outer boundary: a plugin's crash is a reply
        _log.exception("plugin %s crashed in %s", handler.name, request.command)
        where = f" [nodes: {','.join(request.nodes)}]" if request.nodes else ""
        what = (str(error) or type(error).__name__) if tells_why else _UNTOLD
        yield messages.error(f"{handler.name}: {what}{where}")


def _targets(handler: Handler, request: Request, context: Context) -> Targets:
    plugin = handler.plugin
    if not isinstance(plugin, Declaring):
        return EVERYTHING
    try:
        found: object = plugin.targets(request, context)
    except Exception:  # noqa: BLE001 - outer boundary: what a plugin cannot say may be anything
        _log.exception("plugin %s cannot tell what %s touches", handler.name, request.command)
        return EVERYTHING
    return found if isinstance(found, Targets) else EVERYTHING


def _needs_everything(handler: Handler, request: Request) -> bool:
    plugin = handler.plugin
    return isinstance(plugin, Powerful) and _said(plugin.needs_everything, handler, request)


def _acts_for_another(handler: Handler, request: Request) -> bool:
    plugin = handler.plugin
    return isinstance(plugin, Deputy) and _said(plugin.acts_for_another, handler, request)


def _said(ask: Callable[[Request], bool], handler: Handler, request: Request) -> bool:
    try:
        return bool(ask(request))
    except Exception:  # noqa: BLE001 - outer boundary: what a plugin cannot say counts as the worst
        _log.exception(
            "plugin %s cannot tell what kind of %s this is", handler.name, request.command
        )
        return True


def _unidentified(choice: Dispatch) -> Reply:
    where = ";".join(spec.replace(":", ".") for spec in choice.specs)
    text = f"Unable to identify plugin for this command, check relevant tables: {where}"
    return Reply(nodes=tuple(NodeReply(node, error=text, errorcode=1) for node in choice.unclaimed))


def choose(handlers: Sequence[Handler], nodes: Sequence[str], route: NodeRoute) -> Dispatch:
    """Pure choice among the handlers of one command (docs/facts/daemon.md, Plugins and dispatch)."""
    by_name = {handler.name: handler for handler in handlers}
    site = [_site_choice(handler, by_name, route) for handler in handlers]
    if chosen := [handler for handler in site if handler is not None]:
        return Dispatch(tuple((handler, tuple(nodes)) for handler in dict.fromkeys(chosen)))
    claims = _claims(handlers, nodes, route) if nodes else {}
    taken = {node for names in claims.values() for node in names}
    runs = [
        (handler, tuple(node for node in nodes if node in claims[handler.name]))
        for handler in handlers
        if handler.name in claims
    ]
    rest = tuple(node for node in nodes if node not in taken)
    general = [handler for handler in handlers if handler.is_global]
    if rest or not nodes:
        runs += [(handler, rest) for handler in general]
    asked = [spec for handler in handlers for spec in handler.specs if _is_table(spec)]
    return Dispatch(tuple(runs), rest if asked else (), tuple(dict.fromkeys(asked)))


def _is_table(spec: str) -> bool:
    return ":" in spec and not spec.startswith("site:")


def _table(spec: str) -> str:
    return spec.partition(":")[0]


def _site_choice(
    handler: Handler, by_name: Mapping[str, Handler], route: NodeRoute
) -> Handler | None:
    for spec in handler.specs:
        prefix, _, key = spec.partition(":")
        if prefix == "site" and (name := route.site.get(key)):
            return by_name.get(name)
    return None


def _claims(
    handlers: Sequence[Handler], nodes: Sequence[str], route: NodeRoute
) -> dict[str, set[str]]:
    claims: dict[str, set[str]] = {}
    for handler in handlers:
        for spec in handler.specs:
            if _is_table(spec) and (found := _claimed(handler.name, spec, nodes, route)):
                claims.setdefault(handler.name, set()).update(found)
    return claims


def _claimed(name: str, spec: str, nodes: Sequence[str], route: NodeRoute) -> set[str]:
    table, _, what = spec.partition(":")
    columns, has_pattern, pattern = what.partition("=")
    values = route.lookup(table, columns.split(","), nodes)
    if has_pattern:
        return {node for node, row in values.items() if re.search(pattern, row.get(columns, ""))}
    return {node for node, row in values.items() if name in row.values()}
