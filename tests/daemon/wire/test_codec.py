"""The codec: framing in any chunking, refusals, and writer and reader undoing each other."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcatd.messages import Contents, NodeReply, Reply
from xcatd.serving.connection import pieces
from xcatd.wire import replies
from xcatd.wire.requests import Incoming, RequestReader
from xcatd.wire.stream import ResponseReader
from xcatd.wire.tree import DocumentLimits, MalformedError, TooLargeError, layout, parse

LIMITS = DocumentLimits(size=100_000, depth=8, elements=5_000)

# What the wire can carry: no control characters, and no text that is only blanks.
_TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="￾￿")
).filter(lambda text: text.strip())
_NAMES = st.from_regex(r"XCAT_[A-Z]{1,8}", fullmatch=True)
_REQUESTS = st.builds(
    Incoming,
    command=st.from_regex(r"[A-Za-z0-9_.+-]{1,64}", fullmatch=True),
    args=st.lists(st.none() | _TEXT, max_size=5).map(tuple),
    noderange=st.none() | _TEXT,
    stdin=st.none() | _TEXT,
    cwd=st.none() | _TEXT,
    clienttype=st.none() | _TEXT,
    environment=st.dictionaries(_NAMES, _TEXT, max_size=3),
)


def _document(request: Incoming) -> bytes:
    """As the existing clients write it."""
    tree = {
        "command": [request.command],
        "arg": [*request.args],
        "noderange": [request.noderange],
        "stdin": [request.stdin],
        "cwd": [request.cwd],
        "clienttype": [request.clienttype],
        "environment": [{name: [text] for name, text in request.environment.items()} or None],
    }
    return layout("xcatrequest", tree).encode()


def _chunks(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@given(st.lists(_REQUESTS, min_size=1, max_size=3), st.lists(st.integers(0, 10_000), max_size=12))
def test_any_chunking_gives_the_same_requests(requests: list[Incoming], cuts: list[int]) -> None:
    stream = b"".join(map(_document, requests))
    reader = RequestReader(LIMITS)
    found = [request for chunk in _chunks(stream, cuts) for request in reader.feed(chunk)]
    assert found == requests
    assert reader.is_between is (stream.endswith(b">") or reader.feed(b"") == [])


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_any_bytes_give_requests_or_a_refusal(data: bytes, cuts: list[int]) -> None:
    reader = RequestReader(LIMITS)
    try:
        for chunk in _chunks(b"<xcatrequest>" + data, cuts):
            reader.feed(chunk)
    except MalformedError:
        pass


def _feed(document: str | bytes, limits: DocumentLimits = LIMITS) -> list[Incoming]:
    return RequestReader(limits).feed(document.encode() if isinstance(document, str) else document)


def _inside(content: str) -> Incoming:
    (request,) = _feed(f"<xcatrequest>{content}</xcatrequest>")
    return request


def test_elements_become_fields() -> None:
    request = _inside(
        "<command>nodels</command><arg>-v</arg><arg></arg><arg>  </arg><arg> x\n</arg>"
        "<node>n1</node><node>n2</node><env>A=1</env><clienttype>cli</clienttype>"
        "<remote_client>a,b</remote_client><transid>7</transid><username>u</username>"
        "<becomeuser><username>u</username><password>p</password></becomeuser>"
        "<tokens><tokenid>t</tokenid></tokens><addrows>1</addrows>"
    )
    assert request.args == ("-v", None, None, " x\n")
    assert request.nodes == ("n1", "n2")
    assert request.env == ("A=1",)
    assert request.remote_client == ("a", "b")
    assert request.becomeuser is not None
    assert request.becomeuser.password == "p"
    assert (request.token, request.transid, request.username) == ("t", "7", "u")
    assert request.extra == {"addrows": ("1",)}
    assert "p'" not in repr(request)


def test_a_blank_noderange_is_none() -> None:
    assert _inside("<command>x</command><noderange></noderange>").noderange is None
    assert _inside("<command>x</command><noderange> \n</noderange>").noderange is None


def test_what_only_the_server_may_set_is_dropped() -> None:
    request = _inside("<command>x</command><_xcat_authname>root</_xcat_authname>")
    assert request.extra == {}


def test_abort_is_recognised() -> None:
    assert _inside("<abortcommand>1</abortcommand>").abort
    assert not _inside("<abortcommand>0</abortcommand>").abort
    assert not _inside("<command>x</command>").abort


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"x",
        b"<?xml version='1.0'?><xcatrequest></xcatrequest>",
        b"<!DOCTYPE a><xcatrequest></xcatrequest>",
        b"<xcatrequest a='1'></xcatrequest>",
        b"<xcatrequests></xcatrequests>",
        b" " * 5000,
    ],
)
def test_what_does_not_begin_as_a_request_is_refused_at_once(garbage: bytes) -> None:
    with pytest.raises(MalformedError):
        _feed(garbage)


@pytest.mark.parametrize(
    "content",
    [
        "<command>x</command",
        "<command>x</arg>",
        "<arg>\x01</arg>",
        "<arg>\x1b</arg>",
        "<arg>&amp</arg>",
        "<arg>&xxe;</arg>",
        "<arg name='x'>y</arg>",
        "<?php x?>",
        "<!DOCTYPE x [<!ENTITY a 'b'>]>",
        "text",
        "<command><a>b</a></command>",
        "<arg><a>b</a></arg>",
        "<xcatrequest>",
    ],
)
def test_malformed_content_is_refused(content: str) -> None:
    with pytest.raises(MalformedError):
        _inside(content)


def test_entity_bombs_are_refused_before_they_grow() -> None:
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    bomb = f'<!DOCTYPE x [<!ENTITY l0 "lol">{levels}]><xcatrequest><arg>&l9;</arg></xcatrequest>'
    with pytest.raises(MalformedError):
        _feed(bomb)
    with pytest.raises(MalformedError, match="document type"):
        parse(bomb.encode(), "xcatrequest", LIMITS)


def test_invalid_utf8_is_refused() -> None:
    with pytest.raises(MalformedError):
        _feed(b"<xcatrequest><arg>\xff</arg></xcatrequest>")


def test_depth_is_limited() -> None:
    assert _inside("<x><y><z>deep</z></y></x>").extra == {"x": ()}
    with pytest.raises(TooLargeError, match="inside each other"):
        _inside("<x>" * 50 + "</x>" * 50)


def test_the_number_of_elements_is_limited() -> None:
    with pytest.raises(TooLargeError, match="elements"):
        _inside("<arg>x</arg>" * (LIMITS.elements + 1))


def test_the_size_is_limited_before_the_end_has_come() -> None:
    reader = RequestReader(DocumentLimits(size=1000))
    for _ in range(9):
        assert reader.feed(b"<xcatrequest>" + b"x" * 87) == []
    with pytest.raises(TooLargeError, match="more than 1000 bytes"):
        reader.feed(b"x" * 200)
    with pytest.raises(TooLargeError):
        _feed(
            b"<xcatrequest><arg>" + b"x" * 2000 + b"</arg></xcatrequest>", DocumentLimits(size=1000)
        )


def test_newlines_in_a_noderange_stay_where_they_are() -> None:
    request = _inside("<command>x</command><noderange>n1\nn2</noderange>")
    assert request.noderange == "n1\nn2"


@pytest.mark.parametrize(
    "name", ["x\ny", "x y", " x", "x/y", "../x", "$(id)", "x;y", "é", "x\x85", "\u202e", "x" * 65]
)
def test_a_command_is_a_word(name: str) -> None:
    with pytest.raises(MalformedError, match="a command cannot be named") as caught:
        _inside(f"<command>{name}</command>")
    assert str(caught.value).isascii() and str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


def test_every_command_of_xcat_is_a_word() -> None:
    for name in ("lsdef", "xcat2nim", "rc.local", "a_b-c+d", "x" * 64):
        assert _inside(f"<command>{name}</command>").command == name
    assert _inside("<gettoken></gettoken>").command == ""


@pytest.mark.parametrize("name", ["é", "x" * 129, "x:y"])
def test_an_element_has_a_plain_name(name: str) -> None:
    with pytest.raises(MalformedError, match="an element cannot be named"):
        _inside(f"<{name}>1</{name}>")
    with pytest.raises(MalformedError, match="an element cannot be named"):
        _inside(f"<environment><{name}>1</{name}></environment>")


def test_the_layout_is_that_of_existing_clients() -> None:
    tree = {
        "noderange": ["compute"],
        "command": ["nodels"],
        "arg": ["mgt", 'a & <b> "c"'],
        "environment": [{"XCAT_FOO": ["v"]}],
        "stdin": [None],
    }
    assert layout("xcatrequest", tree) == (
        "<xcatrequest>\n"
        "  <arg>mgt</arg>\n"
        "  <arg>a &amp; &lt;b&gt; &quot;c&quot;</arg>\n"
        "  <command>nodels</command>\n"
        "  <environment>\n"
        "    <XCAT_FOO>v</XCAT_FOO>\n"
        "  </environment>\n"
        "  <noderange>compute</noderange>\n"
        "  <stdin></stdin>\n"
        "</xcatrequest>\n"
    )


# -- responses ---------------------------------------------------------------------------------

_PLAIN = st.text(st.characters(codec="ascii", exclude_characters="\r"), max_size=20)
_OPTIONAL = st.none() | _PLAIN
_DATA = _PLAIN | st.builds(Contents, _PLAIN, _OPTIONAL)
_NODES = st.builds(
    NodeReply, _PLAIN, st.none() | _DATA, _OPTIONAL, _OPTIONAL, st.none() | st.integers(0, 300)
)
_TEXTS = st.lists(_PLAIN, max_size=3).map(tuple)
_REPLIES = st.builds(
    Reply,
    errors=_TEXTS,
    warnings=_TEXTS,
    info=_TEXTS,
    sinfo=_TEXTS,
    nodes=st.lists(_NODES, max_size=3).map(tuple),
    data=st.lists(_DATA, max_size=3).map(tuple),
    errorcode=st.none() | st.integers(0, 300),
)


def _leaf(text: str) -> str | None:
    shown = replies.clean(text)
    return shown if shown.strip() else None


def _data_tree(item: str | Contents) -> object:
    if isinstance(item, str):
        return _leaf(item)
    desc = {} if item.desc is None else {"desc": [_leaf(item.desc)]}
    return {**desc, "contents": [_leaf(item.contents)]}


def _node_tree(node: NodeReply) -> dict[str, object]:
    tree: dict[str, object] = {"name": [_leaf(node.name)]}
    if node.data is not None:
        tree["data"] = [_data_tree(node.data)]
    for name, text in (("error", node.error), ("warning", node.warning)):
        if text is not None:
            tree[name] = [_leaf(text)]
    if node.errorcode is not None:
        tree["errorcode"] = [str(node.errorcode)]
    return tree


def _tree(reply: Reply) -> dict[str, object]:
    tree = {
        "error": [_leaf(text) for text in reply.errors],
        "warning": [_leaf(text) for text in reply.warnings],
        "info": [_leaf(text) for text in reply.info],
        "sinfo": [_leaf(text) for text in reply.sinfo],
        "node": [_node_tree(node) for node in reply.nodes],
        "data": [_data_tree(item) for item in reply.data],
        "errorcode": [] if reply.errorcode is None else [str(reply.errorcode)],
        "xcatdsource": ["mn"],
    }
    return {name: items for name, items in tree.items() if items}


@given(st.lists(_REPLIES, max_size=3), st.lists(st.integers(0, 5000), max_size=10))
def test_the_reader_gets_what_the_writer_was_given(sent: list[Reply], cuts: list[int]) -> None:
    stream = b"".join(replies.encode(reply, "mn") for reply in sent) + replies.encode_last()
    reader = ResponseReader()
    found = [tree for chunk in _chunks(stream, cuts) for tree in reader.feed(chunk)]
    assert found == [*map(_tree, sent), {"serverdone": [None]}]


@given(st.text(max_size=50))
def test_only_characters_the_client_can_take_are_sent(text: str) -> None:
    document = replies.encode(Reply(info=(text,)), "mn")
    assert all(byte in b"\t\n\r" or 0x20 <= byte < 0x7F for byte in document)
    assert document.endswith(b"</xcatresponse>\n")
    assert document.count(b"xcatresponse") == 2 + text.count("xcatresponse")
    assert b"<?xml" not in document


def test_no_reply_commands_a_terminal() -> None:
    text = "\x1b]0;x\x07\x1b[2J\x9b2J\x7f\x08\u202e"
    reply = Reply(
        errors=(text,),
        info=(text,),
        nodes=(NodeReply(text, data=text),),
        data=(Contents(text, text),),
    )
    assert not set(replies.encode(reply, text)) & {0x1B, 0x7F, 0x9B, 0x08, 0x07}


def test_a_reply_cannot_smuggle_elements() -> None:
    document = replies.encode(Reply(info=("</info><serverdone/>",)), "mn")
    assert b"serverdone/" not in document.replace(b"&lt;serverdone/&gt;", b"")
    with pytest.raises(ValueError, match="cannot be an element"):
        replies.encode(Reply(extra={"a><b": ("x",)}), "mn")


def test_every_document_but_the_last_names_its_source() -> None:
    assert b"<xcatdsource>mn</xcatdsource>" in replies.encode(Reply(info=("x",)), "mn")
    assert b"<xcatdsource>sn1</xcatdsource>" in replies.encode(Reply(source="sn1"), "mn")
    assert b"xcatdsource" not in replies.encode_last(Reply(errors=("x",)))


def test_transid_is_echoed_at_the_end() -> None:
    assert replies.encode_last(transid="a<b") == (
        b"<xcatresponse><transid>a&lt;b</transid><serverdone></serverdone></xcatresponse>\n"
    )


def test_self_closing_elements_and_missing_newlines_are_read() -> None:
    reader = ResponseReader()
    stream = (
        b"<xcatresponse><info>a</info></xcatresponse><xcatresponse><serverdone/></xcatresponse>"
    )
    assert reader.feed(stream) == [{"info": ["a"]}, {"serverdone": [None]}]


@pytest.mark.parametrize("text", ["<?xml version='1.0'?>", "\x01", "<other></other>", "<a"])
def test_what_kills_the_existing_client_is_an_error_here_too(text: str) -> None:
    with pytest.raises(MalformedError):
        ResponseReader().feed(f"{text}<xcatresponse></xcatresponse>".encode())


@given(st.integers(1, 200_000))
def test_the_last_closing_tag_travels_in_one_record(size: int) -> None:
    document = b"x" * size + b"</xcatresponse>\n"
    cut = pieces(document)
    assert b"".join(cut) == document
    assert cut[-1].endswith(b"</xcatresponse>\n")
    assert max(map(len, cut)) <= 16384
