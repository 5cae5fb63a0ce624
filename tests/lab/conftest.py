from __future__ import annotations

from pathlib import Path

import pytest

from xcat_aix_lab.cluster import SampleSettings
from xcat_aix_lab.directory import LabDirectory


@pytest.fixture
def lab(tmp_path: Path) -> LabDirectory:
    """A lab directory without processes, with the addresses of the golden transcripts."""
    directory = LabDirectory(tmp_path / "lab")
    directory.write_hosts(SampleSettings(octet=9, xcatdport=3001, confdir="/etc/xcat"))
    return directory
