from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from xcat_aix_lab import claims


@pytest.fixture
def labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_two_labs_get_different_ranges_and_keep_them(labs: Path) -> None:
    first, second = claims.claim(labs / "a", 3009), claims.claim(labs / "b", 3009)
    assert first != second
    assert claims.claim(labs / "a", 3009) == first
    assert claims.claim(labs / "b", 3009) == second


def test_a_deleted_lab_gives_its_range_back(labs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = claims.claim(labs / "a", 3009)
    shutil.rmtree(labs / "a")
    monkeypatch.setattr(claims, "_candidates", lambda lab: iter([first]))
    assert claims.claim(labs / "b", 3009) == first


def test_no_range_left(labs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = claims.claim(labs / "a", 3009)
    monkeypatch.setattr(claims, "_candidates", lambda lab: iter([first]))
    with pytest.raises(claims.NoFreeRange, match="end some labs"):
        claims.claim(labs / "b", 3009)


def test_a_range_that_somebody_uses_is_passed_over(
    labs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "_is_free", lambda octet, port: octet == 77)
    assert claims.claim(labs / "a", 3009) == 77


def test_a_lost_claim_is_renewed_unless_somebody_else_has_the_range(
    labs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    octet = claims.claim(labs / "a", 3009)
    registry = next(labs.glob("xcat-aix-lab-*"))
    (registry / str(octet)).unlink()
    assert claims.renew(labs / "a") == octet
    assert claims.renew(labs / "b") is None
    (registry / str(octet)).unlink()
    monkeypatch.setattr(claims, "_candidates", lambda lab: iter([octet]))
    assert claims.claim(labs / "b", 3009) == octet
    assert claims.renew(labs / "a") is None
