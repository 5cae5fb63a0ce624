"""The agents of a lab: their settings, certificates and how they are started."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path

from xcat_aix_lab.directory import LabDirectory
from xcat_aix_lab.launcher import Program
from xcat_aix_proto.identity import Identity, Role
from xcatd.pki import store

_READY = "ready at"
_DAYS = 3650


def script_directory() -> str:
    """Where this installation has its programs."""
    return str(Path(sys.executable).parent)


def script(name: str) -> str:
    """A program of this installation."""
    return str(Path(script_directory()) / name)


def command_path(lab: LabDirectory, node: str) -> str:
    """The PATH on a node: its simulated commands, then what its scripts need of the real system."""
    return f"{lab.node(node) / 'bin'}:/usr/bin:/bin"


def is_simulated(lab: LabDirectory, node: str, program: str) -> bool:
    """Whether a program found on a node's PATH is one of its simulated commands."""
    return Path(program).parent == lab.node(node) / "bin"


def program_name(node: str) -> str:
    """What the launcher calls a node's agent."""
    return f"agent-{node}"


def program(lab: LabDirectory, node: str) -> Program:
    """One node's agent as a process."""
    argv = [script("xcat-aix-agent"), "serve", "--config", str(config_file(lab, node))]
    log = lab.node(node) / "agent.log"
    return Program(program_name(node), argv, _environment(), log, _READY)


def hosting_program(lab: LabDirectory, name: str, *, memory: bool = False) -> Program:
    """One process that hosts the agents of all nodes."""
    argv = [sys.executable, "-m", "xcat_aix_lab.hosting", str(lab.path)]
    argv += ["--memory"] if memory else []
    return Program(name, argv, _environment(), lab.logs / "agents.log", _READY)


def hosted_file(lab: LabDirectory) -> Path:
    """Where a hosting process keeps the names of the nodes whose agents run."""
    return lab.run / "hosted"


def former_file(lab: LabDirectory, node: str) -> Path:
    """A recording (:mod:`.former`) put here makes the node's agent, if it is hosted, one of an earlier version."""
    return lab.node(node) / "former-agent.json"


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "1"}


def config_file(lab: LabDirectory, node: str) -> Path:
    """A node's ``aix-agent.ini``."""
    return lab.node(node) / "aix-agent.ini"


def make_files(lab: LabDirectory, now: datetime) -> None:
    """Certificates for the MN and all agents, settings and policy for each agent."""
    _issue_certificates(lab, now)
    _write_settings(lab)


def _issue_certificates(lab: LabDirectory, now: datetime) -> None:
    place = lab.confdir / "aix"
    if (place / store.CA_KEY).exists():
        authority = store.load(place)
    else:
        authority = store.create(place, "xcat-aix lab CA", now, _DAYS)
    holders = {Identity(Role.MN, "mn"): store.default_place(place, Identity(Role.MN, "mn"))}
    for node in lab.cluster.with_agent:
        holders[Identity(Role(node.kind), node.name)] = lab.node(node.name) / "agent.pem"
    for identity, path in holders.items():
        credential = authority.issue(identity, now, _DAYS)
        store.record(place, credential)
        store.write(path, credential.pem, mode=0o600)


def _write_settings(lab: LabDirectory) -> None:
    policy = lab.path / "agent-policy.ini"
    policy.write_text("[xcat-aix:mn:mn]\nallow = operate\n", encoding="ascii")
    for node in lab.cluster.with_agent:
        place = lab.node(node.name)
        settings = {
            "node": node.name,
            "role": node.kind,
            "listen": ",".join(interface.address for interface in node.interfaces),
            "port": str(lab.settings.agentport),
            "certificate": str(place / "agent.pem"),
            "ca": str(lab.confdir / "aix" / "ca.pem"),
            "policy": str(policy),
            "jobs": str(place / "jobs"),
            "root": str(place / "root"),
            "path": command_path(lab, node.name),
        }
        text = "[agent]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items())
        config_file(lab, node.name).write_text(text, encoding="utf-8")
