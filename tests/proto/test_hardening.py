"""What harden() takes away from Pyro5, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from xcat_aix_proto import hardening

CODE = """
import Pyro5
from Pyro5 import config, protocol, serializers
from xcat_aix_proto.hardening import harden
harden(Pyro5)
first = serializers.serializers["json"]
harden(Pyro5)
assert serializers.serializers == {"json": first}
assert list(serializers.serializers_by_id.values()) == [first]
assert config.MAX_MESSAGE_SIZE == 32 * 1024 * 1024
evil = b'{"__class__": "builtins.SystemExit", "__exception__": true, "args": []}'
assert isinstance(first.loads(evil), dict)
try:
    protocol.zlib.decompress(b"x")
except protocol.zlib.error as error:
    print(error)
"""


def test_harden():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.stdout == "a compressed message (1 bytes) is not accepted\n", done.stderr


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"PYRO_SSL": "0", "PATH": "/bin", "PYROX": "1"}, {"PATH": "/bin", "PYROX": "1"}),
        ({}, {}),
    ],
)
def test_environment(before, after):
    hardening.ignore_environment(before)
    assert before == after
