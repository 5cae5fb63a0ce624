"""The house keeps its own rules: one version, complete distributions, true documents."""

from __future__ import annotations

import argparse
import configparser
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import xcat_aix
import xcat_aix_agent
import xcat_aix_lab
import xcat_aix_proto
import xcatd
from xcat_aix.commands import lsxcatd
from xcat_aix.commands.definitions import definition_arguments, lsdef_arguments
from xcat_aix.commands.options import Option
from xcat_aix.commands.planned.plans import Plans
from xcat_aix.commands.servicenodes.snbalance import Snbalance
from xcat_aix.commands.servicenodes.snmove import Snmove
from xcat_aix.commands.tables import gettab, nodech, nodels, tabch, tabdump, tabprune
from xcat_aix_agent import config as agent_config
from xcat_aix_agent import main as agent_main
from xcat_aix_lab import main as lab_main
from xcatd.pki import main as ca_main

TOP = Path(__file__).parents[2]
ROOTS = {
    "xcatd": TOP / "daemon",
    "xcat_aix": TOP / "plugins",
    "xcat_aix_lab": TOP / "lab",
    "xcat_aix_agent": TOP / "agent",
    "xcat_aix_proto": TOP / "proto",
}
SETUPS = [TOP / "setup.cfg", TOP / "agent" / "setup.cfg", TOP / "proto" / "setup.cfg"]


def setup(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(path)
    return parser


def packages_on_disk() -> set[str]:
    return {
        ".".join(init.parent.relative_to(root).parts)
        for name, root in ROOTS.items()
        for init in (root / name).rglob("__init__.py")
    }


def test_all_parts_have_one_version():
    parts = (xcat_aix, xcat_aix_agent, xcat_aix_lab, xcat_aix_proto, xcatd)
    assert len({part.__version__ for part in parts}) == 1


def test_distributions_need_each_other_in_that_version():
    wanted = [
        line
        for path in SETUPS
        for line in setup(path).get("options", "install_requires", fallback="").splitlines()
        if line.startswith("xcat-aix")
    ]
    assert len(wanted) == 3
    assert {line.split("==")[1].strip() for line in wanted} == {xcatd.__version__}


def test_every_package_is_in_exactly_one_distribution():
    listed = [
        name
        for path in SETUPS
        for name in setup(path)["options"]["packages"].split()
        if not name.startswith("#")
    ]
    assert sorted(listed) == sorted(packages_on_disk())


def test_every_console_script_and_plugin_can_be_loaded():
    groups = ("console_scripts", "xcatd.plugins", "xcatd.watchers")
    ours = [
        point
        for group in groups
        for point in entry_points(group=group)
        if point.value.split(":")[0].split(".")[0] in ROOTS
    ]
    assert {point.name for point in ours} >= {
        *("xcatd", "xcatclient", "xcat-aix-ca", "xcat-aix-lab", "xcat-aix-agent"),
        *("dumpxCATdb", "restorexCATdb", "tabrestore"),
        *(
            "snmove",
            "snbalance",
            "lsdef",
            "nodels",
            "tabdump",
            "lsxcatd",
            "mkdef",
            "chdef",
            "rmdef",
        ),
    }
    for point in ours:
        assert callable(point.load())


def test_every_command_has_a_manual_page():
    pages = {path.name.split(".")[0] for path in (TOP / "man").glob("*.rst")}
    commands = {point.name for point in entry_points(group="xcatd.plugins")}
    assert commands - pages == set()


@pytest.mark.parametrize("name", ROOTS)
def test_the_architecture_names_every_package(name):
    assert f"`{name}`" in (TOP / "ARCHITECTURE.md").read_text()


def test_the_architecture_names_every_dependency():
    text = (TOP / "ARCHITECTURE.md").read_text().lower()
    needed = set()
    for path in SETUPS:
        parser = setup(path)
        needed.update(parser.get("options", "install_requires", fallback="").splitlines())
        needed.update(parser.get("options.extras_require", "test", fallback="").splitlines())
    names = {re.split(r"[ <>=]", line)[0].lower() for line in needed if line.strip()}
    assert names
    assert {name for name in names if name not in text and not name.startswith("xcat-aix")} == set()


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    found: set[str] = set()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, sub in action.choices.items():
                found |= {name} | options_of(sub)
        else:
            found |= {text for text in action.option_strings if text.startswith("--")}
    return found - {"--help"}


def words_of(options: Iterable[Option]) -> set[str]:
    names = {name for option in options for name in option.names}
    return {f"-{name}" if len(name) == 1 else f"--{name}" for name in names}


#: Commands with one table of options.
DEFINING = ("mkdef", "chdef", "rmdef")

#: Commands with a table of options of their own.
OPTIONS = {
    "lsdef": lsdef_arguments.OPTIONS,
    "lsxcatd": lsxcatd.OPTIONS,
    "nodels": nodels.OPTIONS,
    "tabdump": tabdump.OPTIONS,
    "tabch": tabch.OPTIONS,
    "chtab": tabch.OPTIONS,
    "gettab": gettab.OPTIONS,
    "nodech": nodech.OPTIONS,
    "nodeadd": nodech.HELP,
    "noderm": nodech.HELP,
    "nodegrpch": nodech.OPTIONS,
    "tabprune": tabprune.OPTIONS,
}


PLANNED = (Snmove.page, Snbalance.page, Plans.page)


def test_pages_of_planned_commands_have_the_options_of_their_tables():
    done = subprocess.run([sys.executable, TOP / "tools" / "pages.py", "--check"], check=False)
    assert done.returncode == 0, "run: python tools/pages.py"


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("xcat-aix-agent.8.rst", options_of(agent_main._parser()) | set(agent_config.KEYS)),
        ("xcat-aix-ca.8.rst", options_of(ca_main._parser())),
        ("xcat-aix-lab.1.rst", options_of(lab_main._parser())),
        *((f"{page.name}.1.rst", words_of(page.options)) for page in PLANNED),
        *((f"{name}.1.rst", words_of(definition_arguments.OPTIONS)) for name in DEFINING),
        *((f"{name}.1.rst", words_of(options)) for name, options in OPTIONS.items()),
    ],
)
def test_manual_pages_name_every_option(page, words):
    text = (TOP / "man" / page).read_text()
    assert {word for word in words if word not in text} == set()


def test_documents_name_no_file_that_is_not_there():
    for document in ("README.md", "ARCHITECTURE.md", "SECURITY.md"):
        text = (TOP / document).read_text()
        for path in re.findall(r"\]\(([\w./-]+)\)", text):
            assert (TOP / path).exists(), f"{document} links to {path}"


#: Class names that stand twice and mean the same: what stands for a class of the other side, and what both sides of the
#: border between daemon and agent have.
SAME = {"Clock", "Database", "LineFormatter", "SystemClock", "Transaction"}


def test_no_class_name_means_two_things():
    found = Counter(
        name
        for root in ("proto", "agent", "daemon", "plugins", "lab")
        for path in (TOP / root).rglob("*.py")
        for name in re.findall(r"^class ([A-Z]\w*)", path.read_text("utf-8"), re.MULTILINE)
    )
    assert {name for name, times in found.items() if times > 1} == SAME
