"""Faults on request: what a user may ask for, and the rule it becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from xcat_aix_lab.sim.faults import FAIL, HANG, QUIRKS, SLOW, Fault, Faults

if TYPE_CHECKING:
    from xcat_aix_lab.sim.store import Store

USAGE = """\
what FAULT may be, with its arguments:
  clear                            nothing is broken any more
  hang [COMMAND]                   commands do not end (until clear)
  slow SECONDS [COMMAND]           commands take longer
  fail COMMAND NUMBER [TEXT]       commands fail with NIM message 0042-NUMBER
  fail-once COMMAND NUMBER [TEXT]  the next one does
  busy [COMMAND]                   as fail, with NIM's 'busy'
  disk-full                        no file can be written
  quirk NAME on|off                how AIX levels differ
  freeze, thaw                     the agent accepts connections and says nothing
  show                             what is broken there
COMMAND is niminit, nim, nimclient, lsnim, … or with an operation: nim:define; default any.
Faults of a NIM master meet the niminit and nimclient of the clients that come to it."""

_BUSY = 13


class BadFault(ValueError):  # noqa: N818  (the name of the condition)
    """The words do not describe a fault; the message says why."""


def apply(store: Store, node: str, words: Sequence[str]) -> str:
    """Break or mend ``node``; returns what to print.  Raises :class:`BadFault`."""
    if not words:
        raise BadFault(USAGE)
    action, *args = words
    with store.fault_lock(node):
        faults = store.faults(node)
        if action == "show":
            return describe(faults)
        _change(faults, action, args)
        store.save_faults(node, faults)
    return ""


def _change(faults: Faults, action: str, args: Sequence[str]) -> None:
    match action, args:
        case "clear", []:
            faults.rules, faults.disk_full, faults.quirks = [], False, {}
        case "disk-full", []:
            faults.disk_full = True
        case "quirk", [name, ("on" | "off") as state] if name in QUIRKS:
            faults.quirks[name] = state == "on"
        case _:
            faults.rules.append(_rule(action, args))


def _rule(action: str, args: Sequence[str]) -> Fault:
    makers: Mapping[str, Callable[[Sequence[str]], Fault]] = {
        "hang": _hang,
        "slow": _slow,
        "fail": _fail,
        "fail-once": _fail_once,
        "busy": _busy,
    }
    try:
        return makers[action](args)
    except (KeyError, ValueError, IndexError):
        raise BadFault(f"cannot understand {' '.join([action, *args])!r}\n{USAGE}") from None


def _target(args: Sequence[str]) -> tuple[str, str | None]:
    command, _, operation = (args[0] if args else "*").partition(":")
    return command, operation or None


def _hang(args: Sequence[str]) -> Fault:
    command, operation = _target(args)
    return Fault(command, HANG, operation=operation)


def _slow(args: Sequence[str]) -> Fault:
    command, operation = _target(args[1:])
    return Fault(command, SLOW, operation=operation, seconds=float(args[0]))


def _fail(args: Sequence[str]) -> Fault:
    command, operation = _target(args[:1])
    number = int(args[1].removeprefix("0042-"))
    return Fault(command, FAIL, operation=operation, number=number, text=" ".join(args[2:]))


def _fail_once(args: Sequence[str]) -> Fault:
    rule = _fail(args)
    rule.times = 1
    return rule


def _busy(args: Sequence[str]) -> Fault:
    command, operation = _target(args)
    text = "unable to acquire the NIM global lock: NIM is busy"
    return Fault(command, FAIL, operation=operation, number=_BUSY, text=text)


def describe(faults: Faults) -> str:
    """What is broken, a line each."""
    lines = ["down"] if faults.down else []
    lines += ["disk-full"] if faults.disk_full else []
    for rule in faults.rules:
        target = rule.command + (f":{rule.operation}" if rule.operation else "")
        details = {FAIL: f" 0042-{rule.number:03d} {rule.text}", SLOW: f" {rule.seconds} s"}
        times = f" ({rule.times} times)" if rule.times is not None else ""
        lines.append(f"{rule.action} {target}{details.get(rule.action, '')}{times}")
    lines += [f"quirk {name} {'on' if state else 'off'}" for name, state in faults.quirks.items()]
    return "".join(f"{line}\n" for line in lines)
