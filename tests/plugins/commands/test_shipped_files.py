"""Templates and installation files that come with xCAT: --template and -u, over a small installation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcat_aix.commands.definitions.osimage_world import system_of
from xcat_aix.plan.definitions import osimages
from xcatd.api import Context
from xcatd.db.database import Database

from . import replay

TEMPLATES = """# <xCAT data object stanza file>

plain-template:
    objtype=node
    groups=all
    mgt=ipmi
    hcp=
    bmc="MANDATORY:the address"
    mac="OPTIONAL:the address"
"""

SHIPPED = (
    "install/rh/compute.rhels7.tmpl",
    "install/rh/compute.rhels7.pkglist",
    "install/rh/compute.rhel8.tmpl",
    "install/rh/compute.rhels8.x86_64.pkglist",
    "install/sles/compute.sle15.tmpl",
    "netboot/rh/compute.rhels7.x86_64.exlist",
    "netboot/rh/compute.pkglist",
    "netboot/rh/compute.rhels7.x86_64.postinstall",
    "netboot/rh/compute.postinstall",
)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    tables: Mapping[str, list[dict[str, str]]] = {
        "site": [{"key": "installdir", "value": str(tmp_path / "install")}],
        "nodelist": [],
        "postscripts": [{"node": "xcatdefaults", "postscripts": "syslog"}],
        "osimage": [
            {"imagename": "old", "imagetype": "linux", "profile": "compute", "osvers": "rhels7.9"}
        ],
    }
    (tmp_path / "db").mkdir()
    return replay.open_database(tmp_path / "db", tables)


@pytest.fixture
def context(tmp_path: Path, database: Database) -> Context:
    root = tmp_path / "xcat"
    place = root / "share/xcat/templates/objects/node"
    place.mkdir(parents=True)
    (place / "plain.stanza").write_text(TEMPLATES)
    for name in SHIPPED:
        file = root / "share/xcat" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o755 if name.endswith("x86_64.postinstall") else 0o644)
    return replay.context_for(database, environ={"XCATROOT": str(root)})


def run(context: Context, *argv: str) -> tuple[list[str], list[str], int]:
    printed = replay.run(argv, context)
    return printed.stdout, printed.stderr, printed.exit


def test_templates_are_listed_and_shown(context: Context):
    assert run(context, "lsdef", "--template") == (["plain-template  (node)"], [], 0)
    assert run(context, "lsdef", "--template", "plain-template") == (
        [
            "Object name: plain-template",
            "    bmc=MANDATORY:the address",
            "    groups=all",
            "    mac=OPTIONAL:the address",
            "    mgt=ipmi",
            "    postscripts=syslog",
        ],
        [],
        0,
    )
    stanza, _, _ = run(context, "lsdef", "-z", "--template", "plain-template", "-i", "mgt")
    assert stanza == [
        "# <xCAT data object stanza file>",
        "\nplain-template:",
        "    objtype=node",
        "    mgt=ipmi",
    ]


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("--template", "x"), ([], ["Error: Could not find x in xCAT templates."], 1)),
        (("-t", "osimage", "--template"), (["Could not find any objects to display."], [], 0)),
        (("--template", "-w", "mgt==hmc"), (["No object definitions have been found"], [], 0)),
        (("--template", "-w", "mgt==ipmi"), (["plain-template  (node)"], [], 0)),
    ],
)
def test_templates_that_are_not_there(
    words: tuple[str, ...], answer: tuple[list[str], list[str], int], context: Context
):
    assert run(context, "lsdef", *words) == answer


def test_a_template_makes_nodes(context: Context):
    missing = ['Error: The attribute "bmc" must be specified!']
    assert run(context, "mkdef", "--template", "plain-template", "n1") == ([], missing, 1)
    run(context, "mkdef", "--template", "plain-template", "n1", "bmc=b1")
    assert run(context, "lsdef", "n1", "-i", "bmc,groups,mgt,mac")[0][1:] == [
        "    bmc=b1",
        "    groups=all",
        "    mac=",
        "    mgt=ipmi",
    ]


def derived(context: Context, name: str = "new") -> dict[str, str]:
    lines, _, _ = run(context, "lsdef", "-t", "osimage", name)
    found = dict(line.strip().split("=", 1) for line in lines[1:])
    root, install = context.environ["XCATROOT"], context.db.read(["site"]).site["installdir"]
    return {
        key: text.replace(f"{root}/share/xcat/", "").replace(install, "INSTALL")
        for key, text in found.items()
    }


GIVEN = ("profile=compute", "osvers=rhels7.9", "osarch=x86_64")


def test_an_install_image(context: Context):
    assert run(context, "mkdef", "-u", "new", "provmethod=install", *GIVEN)[2] == 0
    assert derived(context) == {
        "imagetype": "linux",
        "osarch": "x86_64",
        "osdistroname": "rhels7.9-x86_64",
        "osname": "Linux",
        "osvers": "rhels7.9",
        "otherpkgdir": "INSTALL/post/otherpkgs/rhels7.9/x86_64",
        "pkgdir": "INSTALL/rhels7.9/x86_64",
        "pkglist": "install/rh/compute.rhels7.pkglist",
        "profile": "compute",
        "provmethod": "install",
        "template": "install/rh/compute.rhels7.tmpl",
    }


def test_a_netboot_image_takes_programs_that_can_run(context: Context):
    assert run(context, "mkdef", "-u", "new", "provmethod=netboot", *GIVEN)[2] == 0
    found = derived(context)
    assert found["exlist"] == "netboot/rh/compute.rhels7.x86_64.exlist"
    assert found["pkglist"] == "netboot/rh/compute.pkglist"
    assert found["postinstall"] == "netboot/rh/compute.rhels7.x86_64.postinstall"
    assert found["rootimgdir"] == "INSTALL/netboot/rhels7.9/x86_64/compute"
    run(context, "mkdef", "-u", "ppc", "provmethod=netboot", *GIVEN, "osarch=ppc64le")
    assert "postinstall" not in derived(context, "ppc")


def test_the_administrators_own_files_come_first(context: Context, tmp_path: Path):
    for name in ("install/rh/compute.pkglist", "netboot/rh/compute.rhels7.synclist"):
        file = tmp_path / "install/custom" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    run(context, "mkdef", "-u", "new", "provmethod=install", *GIVEN)
    found = derived(context)
    assert found["pkglist"] == "INSTALL/custom/install/rh/compute.pkglist"
    assert found["synclists"] == "INSTALL/custom/netboot/rh/compute.rhels7.synclist"


def test_a_stored_image_is_worked_out_anew(context: Context):
    words = ("provmethod=install", "osarch=x86_64", "osvers=rhels8.4", "template=/mine")
    assert run(context, "chdef", "-u", "old", *words)[2] == 0
    found = derived(context, "old")
    assert found["template"] == "install/rh/compute.rhel8.tmpl"
    assert found["pkglist"] == "install/rh/compute.rhels8.x86_64.pkglist"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("profile=compute",), "The profile and provmethod are all need to be specified."),
        (("provmethod=x", *GIVEN), "The provmethod: x is incorrect."),
        (
            ("provmethod=install", *GIVEN, "imagetype=NIM"),
            "The input imagetype:NIM not match linux.",
        ),
        (("provmethod=install", *GIVEN, "osname=AIX"), "The input osname:AIX not match Linux."),
        (
            ("provmethod=install", "profile=c", "osvers=win10", "imagetype=windows", "template=x"),
            "win10 can not work with template.",
        ),
    ],
)
def test_what_cannot_be_worked_out_is_said(words: tuple[str, ...], text: str, context: Context):
    _, errors, status = run(context, "mkdef", "-u", "new", *words)
    assert errors[0] == f"Error: {text}"
    assert status == 1


def test_a_system_without_files_is_said(context: Context):
    _, errors, _ = run(
        context, "mkdef", "-u", "new", "provmethod=install", "profile=c", "osvers=bogus1"
    )
    assert errors[0].startswith("Error: Unable to find ")
    assert errors[0].endswith("/share/xcat/install directory for bogus1.")


@pytest.mark.parametrize("options", ["a b", "x,,y", "rw", "x,Defaults=1"])
def test_mount_options_that_cannot_be(options: str, context: Context):
    for command in ("mkdef", "chdef"):
        _, errors, status = run(
            context, command, "-t", "osimage", "old2", "imagetype=linux", f"nfsrootopts={options}"
        )
        assert "nfsrootopts" in errors[0]
        assert status == 1


@pytest.mark.parametrize(
    ("release", "system"),
    [
        ('NAME="Red Hat Enterprise Linux Server"\nVERSION="7.9 (Maipo)"\nID="rhel"\n', "rhels7.9"),
        ('ID=debian\nVERSION_ID="12"\n', "debian12"),
        ('NAME="Ubuntu"\nVERSION="22.04.1 LTS"\nID=ubuntu\n', "ubuntu22.04.1"),
        ("", "unknown"),
    ],
)
def test_this_machines_system(release: str, system: str):
    assert system_of(release) == system


@given(st.from_regex(r"[a-zA-Z]{1,8}[0-9]{0,2}(\.[0-9]{1,2}){0,3}(-[a-z]+)?", fullmatch=True))
def test_any_version_is_worked_out_or_refused(osvers: str):
    attributes = {"profile": "p", "provmethod": "netboot", "osvers": osvers, "osarch": "a"}
    world = osimages.ImageSources(
        "/root", "x1", "a", lambda _: {"p.a.exlist": True, osvers[:1]: True}
    )
    try:
        osimages.derive(attributes, world, "/i", is_change=False)
    except osimages.Underivable:
        return
    assert attributes["osdistroname"] == f"{osvers}-a"
