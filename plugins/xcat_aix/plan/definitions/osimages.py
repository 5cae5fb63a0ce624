"""What follows from an osimage's profile and provisioning method: ``mkdef -u`` and ``chdef -u``.

Owns which attributes are derived and which files are looked for, in which order.  Pure: it sees folders through a
function it is given.  Facts: docs/facts/object-commands.md, mkdef from a profile, and the man page mkdef(1).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

#: A folder's path to the names in it, each with whether it can be executed; empty where there is no such folder.
ListFolder = Callable[[str], Mapping[str, bool]]

#: Attributes of a stored osimage that -u starts from.
BASE = ("imagetype", "provmethod", "profile", "osname", "osvers", "osarch")

#: Where installation files lie unless site.installdir says otherwise.
INSTALLDIR = "/install"

_NOT_FOR_WINDOWS = (
    "pkglist",
    "pkgdir",
    "otherpkglist",
    "otherpkgdir",
    "exlist",
    "postinstall",
    "rootimgdir",
    "template",
)

#: The folders of the synchronisation lists, by how a version begins or what it contains.
_PLATFORMS = (
    *("rh", "centos", "alma", "rocky", "fedora", "sles", "SL", "ubuntu", "debian", "AIX"),
    "win",
)


@dataclass(frozen=True, slots=True)
class ImageSources:
    """What is known outside the database: xCAT's root, this machine's system and architecture, folders."""

    root: str
    osvers: str
    machine: str
    list_folder: ListFolder


class Underivable(ValueError):  # noqa: N818 - reads as what it is
    """Something is missing or contradictory; the text is for users."""


def derive(
    attributes: dict[str, str], world: ImageSources, installdir: str, *, is_change: bool
) -> None:
    """Add what follows to ``attributes``; what was found before a fault stays, as in xCAT.

    ``is_change``: the template and the synchronisation list are looked for even if they are given.
    Raises Underivable.
    """
    _Derivation(attributes, world, installdir, is_change=is_change).run()


class _Derivation:
    """One osimage's."""

    def __init__(
        self, attributes: dict[str, str], world: ImageSources, installdir: str, *, is_change: bool
    ) -> None:
        self._attributes = attributes
        self._world = world
        self._installdir = installdir
        self._is_change = is_change

    def run(self) -> None:
        found = self._attributes
        if "profile" not in found or "provmethod" not in found:
            raise Underivable("The profile and provmethod are all need to be specified.")
        if re.search("install|netboot|statelite", found["provmethod"]) is None:
            raise Underivable(f"The provmethod: {found['provmethod']} is incorrect.")
        self._name_system()
        distribution = self._distribution()
        is_windows = distribution in {"windows", "hyperv"}
        self._agree("imagetype", "windows" if is_windows else "linux")
        self._agree("osname", "Windows" if is_windows else "Linux")
        found["osdistroname"] = f"{found['osvers']}-{found['osarch']}"
        self._synclist()
        if distribution == "windows":
            self._refuse_files()
        else:
            self._files(distribution)

    @property
    def _kind(self) -> str:
        return "install" if self._attributes["provmethod"] == "install" else "netboot"

    def _name_system(self) -> None:
        found = self._attributes
        found.setdefault("osvers", self._world.osvers)
        found.setdefault("osarch", self._world.machine)
        is_ubuntu = found["osvers"].lower().startswith("ubuntu")
        if is_ubuntu and found["osarch"].lower().startswith("ppc64le"):
            found["osarch"] = "ppc64el"

    def _distribution(self) -> str:
        """The folder of files for this system, by as much of the version as there is one for."""
        osvers = self._attributes["osvers"]
        if osvers.startswith(("win", "imagex")):
            return "windows"
        if osvers.startswith("hyperv"):
            return "hyperv"
        folder = f"{self._world.root}/share/xcat/{self._kind}"
        known = self._world.list_folder(folder)
        for end in range(len(osvers), 0, -1):
            if osvers[:end] in known:
                return osvers[:end]
        raise Underivable(f"Unable to find {folder} directory for {osvers}.")

    def _agree(self, attribute: str, text: str) -> None:
        given = self._attributes.setdefault(attribute, text)
        if not given.lower().startswith(text.lower()):
            raise Underivable(f"The input {attribute}:{given} not match {text}.")

    def _synclist(self) -> None:
        osvers = self._attributes["osvers"]
        if "synclists" in self._attributes and not self._is_change:
            return
        platform = next((name for name in _PLATFORMS if name in osvers), "")
        if platform == "win":
            platform = "windows"
        folder = f"{self._installdir}/custom/netboot/{platform}"
        self._set("synclists", self._find((folder,), "synclist"))

    def _refuse_files(self) -> None:
        wrong = [name for name in _NOT_FOR_WINDOWS if name in self._attributes]
        if wrong:
            raise Underivable(f"{self._attributes['osvers']} can not work with {' '.join(wrong)}.")

    def _files(self, distribution: str) -> None:
        found = self._attributes
        osvers, arch, profile = found["osvers"], found["osarch"], found["profile"]
        folders = (
            f"{self._installdir}/custom/{self._kind}/{distribution}",
            f"{self._world.root}/share/xcat/{self._kind}/{distribution}",
        )
        if self._kind == "install":
            found.update(exlist="", postinstall="", rootimgdir="")
            if "template" not in found or self._is_change:
                self._set("template", self._find(folders, "tmpl", _family(osvers)))
        else:
            found["template"] = ""
            self._look_for("exlist", folders, "exlist")
            if "postinstall" not in found:
                self._set("postinstall", self._program(folders))
            found.setdefault("rootimgdir", f"{self._installdir}/netboot/{osvers}/{arch}/{profile}")
        self._look_for("pkglist", folders, "pkglist")
        self._look_for("otherpkglist", folders, "otherpkgs.pkglist")
        found.setdefault("otherpkgdir", f"{self._installdir}/post/otherpkgs/{osvers}/{arch}")
        found.setdefault("pkgdir", f"{self._installdir}/{osvers}/{arch}")

    def _set(self, attribute: str, path: str) -> None:
        if path:
            self._attributes[attribute] = path

    def _look_for(self, attribute: str, folders: Iterable[str], ending: str) -> None:
        if attribute not in self._attributes:
            self._set(attribute, self._find(folders, ending))

    def _find(self, folders: Iterable[str], ending: str, family: str = "") -> str:
        osvers, arch = self._attributes["osvers"], self._attributes["osarch"]
        systems = [osvers, *([family] if family else []), *_systems(osvers)]
        middles = [m for system in systems for m in (f"{system}.{arch}", system)]
        return self._first(folders, [*middles, arch, ""], ending, must_run=False)

    def _program(self, folders: Iterable[str]) -> str:
        osvers, arch = self._attributes["osvers"], self._attributes["osarch"]
        base = osvers.rpartition(".")[0]
        first = [f"{osvers}.{arch}", f"{base}.{arch}", osvers, base]
        middles = [m for system in _shortened(osvers) for m in (f"{system}.{arch}", system)]
        return self._first(folders, [*first, *middles, arch, ""], "postinstall", must_run=True)

    def _first(
        self, folders: Iterable[str], middles: Iterable[str], ending: str, *, must_run: bool
    ) -> str:
        """The first file ``PROFILE.MIDDLE.ENDING`` there is, all of them in one folder before the next."""
        profile = self._attributes["profile"]
        names = [".".join(filter(None, (profile, middle, ending))) for middle in middles]
        for folder in folders:
            known = self._world.list_folder(folder)
            for name in names:
                if name in known and (known[name] or not must_run):
                    return f"{folder}/{name}"
        return ""


def _family(osvers: str) -> str:
    """What files for every minor version of Red Hat's systems are called by."""
    major = osvers.partition(".")[0]
    match = re.search(r"rh.*s(\d*)", major)
    return f"rhel{match.group(1)}" if match else major


def _systems(osvers: str) -> Iterator[str]:
    """The versions whose files serve this one too, nearest first: its minor versions counted down, then none."""
    base = osvers.partition("-")[0]
    words = base.split(".")
    while words and re.fullmatch("[0-9]+", words[-1]):
        last = words.pop()
        if re.fullmatch("0[0-9]+", last):
            yield ".".join((*words, last))
            return
        for number in range(int(last), -1, -1):
            text = f"{number:0{len(last)}d}"
            yield ".".join((*words, text))
            if re.match("0[0-9]", text):
                yield ".".join((*words, str(number)))
    yield ".".join(words)
    if re.fullmatch(r"leap15(\..*)?", base):
        yield "sle15"


def _shortened(osvers: str) -> Iterator[str]:
    """The version without its last parts, then with two and with one digit of the major one."""
    base = osvers.rpartition(".")[0]
    while base:
        yield base
        base = base.rpartition(".")[0]
    for pattern in (r"[a-zA-Z]+\d\d", r"[a-zA-Z]+\d"):
        match = re.search(pattern, osvers)
        if match:
            yield match.group()


def fault_of_options(attributes: Mapping[str, str]) -> str:
    """What is wrong with the mount options of a stateless root (``nfsrootopts``); empty if nothing is."""
    text = attributes.get("nfsrootopts", "")
    for option in text.split(",") if text else ():
        if not option or re.search(r"\s", option):
            return "nfsrootopts must be a comma-separated list without whitespace or empty options"
        name = option.partition("=")[0].lower()
        if name in {"rw", "defaults"}:
            return f"nfsrootopts cannot contain '{name}'; statelite NFS roots are always read-only"
    return ""
