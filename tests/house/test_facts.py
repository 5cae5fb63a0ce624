"""What a comment sends its reader to is in the repository: docs/facts and its headings, nothing outside."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

TOP = Path(__file__).parents[2]
FACTS = TOP / "docs" / "facts"
SOURCES = ("agent", "bench", "daemon", "lab", "man", "plugins", "proto", "tests", "tools")

#: A document and what follows it: the headings, until a sign that is none of theirs.
_REFERENCE = re.compile(r"(docs/facts/[a-z0-9-]+\.md|[A-Z]+\.md), ")
#: A link of one page of facts to another, with a heading.
_LINK = re.compile(r"\]\(([a-z-]+\.md)\), ")
#: What the documents may be called that a comment names with a heading.
_DOCUMENTS = re.compile(r"docs/facts/|(ARCHITECTURE|HACKING|SECURITY)\.md\Z")
#: Begins of lines that are no part of the text: comments, and the margin of a docstring.
_MARGIN = re.compile(r"\n[ \t]*(#:?[ ]|\.\.[ ])?[ \t]*")
_AFTER_HEADING = re.compile(r"[.,:)\"'(]|\s*\Z|\s\(")
#: Notes that stay where they were written, and do not come along with the source.
_ELSEWHERE = re.compile(
    r"\bspec[s]/|\bDESIG[N]\b|\bSTYL[E]\b|\bshare[d]/|/wor[k]/|\bfact sheet[s]?\b"
)


class Reference(NamedTuple):
    """A place that names a heading."""

    place: str
    document: str
    text: str


def files(*suffixes: str) -> Iterator[Path]:
    """The texts of the repository that people write, without what tools make."""
    for path in sorted(TOP.iterdir()):
        if path.is_file() and path.suffix in suffixes:
            yield path
    for name in (*SOURCES, "docs"):
        for path in sorted((TOP / name).rglob("*")):
            if path.suffix in suffixes and path.is_file() and "egg-info" not in str(path):
                yield path


def references(path: Path) -> Iterator[Reference]:
    """What a file refers to, each with the text from the heading on."""
    text = _MARGIN.sub(" ", path.read_text("utf-8"))
    place = str(path.relative_to(TOP))
    for match in _REFERENCE.finditer(text):
        if _DOCUMENTS.match(match.group(1)):
            yield Reference(place, match.group(1), text[match.end() :][:400])
    if path.parent == FACTS:
        for match in _LINK.finditer(text):
            yield Reference(place, f"docs/facts/{match.group(1)}", text[match.end() :][:400])


@cache
def headings(document: str) -> tuple[str, ...]:
    """The headings of a document, the longest first."""
    text = re.sub(
        r"^```.*?^```", "", (TOP / document).read_text("utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    return tuple(
        sorted(re.findall(r"^#{1,4} (.+)$", text, flags=re.MULTILINE), key=len, reverse=True)
    )


def problem(reference: Reference) -> str | None:
    """What is wrong with it: several headings of one document are separated by semicolons."""
    if not (TOP / reference.document).exists():
        return f"{reference.place}: there is no {reference.document}"
    rest = reference.text
    while True:
        known = next((name for name in headings(reference.document) if rest.startswith(name)), None)
        if known is None:
            return f"{reference.place}: {reference.document} has no heading {rest[:40]!r}"
        rest = rest.removeprefix(known)
        if not rest.startswith("; "):
            break
        rest = rest.removeprefix("; ")
        if rest.startswith("docs/facts/"):
            return None
    if _AFTER_HEADING.match(rest):
        return None
    return f"{reference.place}: {reference.document}, {known}: is {rest[:20]!r} a part of it?"


def found() -> list[Reference]:
    return [
        one for path in files(".py", ".json", ".md", ".toml", ".rst") for one in references(path)
    ]


def test_every_reference_names_a_document_and_a_heading_that_are_there():
    references = found()
    assert len(references) > 150
    assert [text for one in references if (text := problem(one))] == []


@pytest.mark.parametrize(
    "text",
    [
        "No such heading.",
        "Reading; No such heading.",
        "Reading and writing.",
        "Readin",
        "Reading; docs",
    ],
)
def test_a_wrong_reference_is_seen(text):
    assert problem(Reference("here", "docs/facts/database.md", text)) is not None


def test_every_reference_has_the_form_that_is_checked():
    """None that the test above would overlook, such as a path without a heading."""
    loose = re.compile(
        r"docs/facts/(?![a-z0-9-]+\.md, [A-Za-z]).{0,30}|\bFacts: (?!docs/facts/|xCAT's own ).{0,30}"
    )
    wrong = [
        f"{path.relative_to(TOP)}: {match.group()}"
        for path in files(".py", ".json", ".toml", ".rst")
        if path != Path(__file__)
        for match in loose.finditer(_MARGIN.sub(" ", path.read_text("utf-8")))
    ]
    assert wrong == []


@pytest.mark.parametrize("path", sorted(FACTS.glob("*.md")), ids=lambda path: path.stem)
def test_a_heading_is_unique_in_its_file_and_can_be_referred_to(path):
    document = str(path.relative_to(TOP))
    assert [name for name, count in Counter(headings(document)).items() if count > 1] == []
    assert [name for name in headings(document) if re.search(r"[.;()\"]", name[2:])] == []


def test_the_index_of_facts_names_every_page():
    text = (FACTS / "README.md").read_text("utf-8")
    assert {path.name for path in FACTS.glob("*.md")} == {
        *re.findall(r"\]\((.+?\.md)\)", text),
        "README.md",
    }


def test_every_link_between_documents_leads_to_a_file():
    broken = [
        f"{path.relative_to(TOP)}: {link}"
        for path in files(".md")
        for link in re.findall(r"\]\(([\w./-]+)\)", path.read_text("utf-8"))
        if not (path.parent / link).exists()
    ]
    assert broken == []


def test_nothing_refers_to_what_is_not_in_the_repository():
    wrong = [
        f"{path.relative_to(TOP)}:{number}: {line.strip()}"
        for path in files(".py", ".md", ".rst", ".toml", ".cfg", ".ini", ".json")
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if _ELSEWHERE.search(line)
    ]
    assert wrong == []
