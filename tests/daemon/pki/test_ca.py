"""xcat-aix-ca as its users see it, and what openssl makes of its certificates."""

from __future__ import annotations

import ssl
import stat
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from xcat_aix_proto.identity import Identity, Role
from xcatd.pki.authority import Authority, AuthorityError
from xcatd.pki.main import main


@pytest.fixture
def ca(tmp_path, capsys):
    directory = tmp_path / "aix"
    assert main(["init", "--dir", str(directory)]) == 0
    capsys.readouterr()
    return directory


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_init_makes_a_ca_whose_key_is_private(ca):
    assert {entry.name for entry in ca.iterdir()} == {"ca.pem", "ca-key.pem"}
    assert mode(ca / "ca-key.pem") == 0o600
    assert mode(ca / "ca.pem") == 0o644


def test_init_never_replaces_a_ca(ca, capsys):
    before = (ca / "ca-key.pem").read_bytes()
    assert main(["init", "--dir", str(ca)]) == 1
    assert "holds one; remove it first" in capsys.readouterr().err
    assert (ca / "ca-key.pem").read_bytes() == before


def test_issue_puts_the_credential_where_it_is_looked_for(ca, capsys, tmp_path):
    assert main(["issue", "mn", "mn1", "--dir", str(ca)]) == 0
    assert main(["issue", "sn", "sn1", "--dir", str(ca)]) == 0
    assert main(["issue", "cn", "n1", "--dir", str(ca), "--out", str(tmp_path / "x.pem")]) == 0
    for path in (ca / "mn-cred.pem", ca / "sn-sn1.pem", tmp_path / "x.pem"):
        assert mode(path) == 0o600
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path)
    capsys.readouterr()
    assert main(["list", "--dir", str(ca)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [
        "xcat-aix:mn:mn1",
        "xcat-aix:sn:sn1",
        "xcat-aix:cn:n1",
    ]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["issue", "sn", "bad name"], "is not a valid host name"),
        (["issue", "sn", "../sn1"], "is not a valid host name"),
    ],
)
def test_bad_names(ca, capsys, words, text):
    assert main([*words, "--dir", str(ca)]) == 1
    assert text in capsys.readouterr().err


def test_without_a_ca(tmp_path, capsys):
    assert main(["issue", "sn", "sn1", "--dir", str(tmp_path)]) == 1
    assert "run xcat-aix-ca init first" in capsys.readouterr().err
    assert main(["list", "--dir", str(tmp_path)]) == 0


@pytest.mark.parametrize("words", [["enroll"], ["revoke", "xcat-aix:sn:sn1"], ["revoke", "12ab"]])
def test_what_is_to_come_says_so(words, capsys):
    assert main(words) == 1
    assert f"{words[0]} is not in this version" in capsys.readouterr().err


def test_unwritable_directory(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["init", "--dir", str(tmp_path / "file" / "below")]) == 1
    assert "cannot" in capsys.readouterr().err


def test_broken_ca_and_list(ca, capsys):
    (ca / "issued").write_text("rubbish\n")
    assert main(["list", "--dir", str(ca)]) == 1
    (ca / "ca-key.pem").write_text("rubbish")
    assert main(["issue", "sn", "sn1", "--dir", str(ca)]) == 1
    assert "cannot read the CA" in capsys.readouterr().err


NOW = datetime(2026, 11, 23, tzinfo=UTC)


def test_certificates_verify_strictly_and_end_when_they_should():
    authority = Authority.create("x", NOW, 10)
    issued = authority.issue(Identity(Role.SN, "sn1"), NOW, 3)
    certificate = x509.load_pem_x509_certificate(issued.certificate)
    certificate.verify_directly_issued_by(authority.certificate)
    assert certificate.not_valid_after_utc == issued.expires == NOW + timedelta(days=3)
    assert certificate.not_valid_before_utc < NOW
    certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert not constraints.ca


@given(
    st.sampled_from(Role),
    st.from_regex(r"[a-z0-9_]([a-z0-9_.-]{0,80}[a-z0-9])?", fullmatch=True),
)
def test_identity_is_the_one_uri(role, name):
    issued = _AUTHORITY.issue(Identity(role, name), NOW, 1)
    names = x509.load_pem_x509_certificate(issued.certificate).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.UniformResourceIdentifier) == [
        f"xcat-aix:{role.value}:{name}"
    ]


_AUTHORITY = Authority.create("x", NOW, 10)


def test_authority_round_trip():
    again = Authority.from_pem(_AUTHORITY.certificate_pem, _AUTHORITY.key_pem)
    assert again.certificate == _AUTHORITY.certificate
    with pytest.raises(AuthorityError):
        Authority.from_pem(_AUTHORITY.certificate_pem, b"")
