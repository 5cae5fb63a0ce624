"""The usages of mkdef, chdef and rmdef.

Own words; the options are those of docs/facts/object-commands.md, Arguments.
"""

from __future__ import annotations

from collections.abc import Mapping

from xcatd.objects import mapping

_COMMON = (
    "  -t TYPE          type of the objects (node)",
    "  -o NAME,..       the objects; for -t node a noderange",
    "  -V, --verbose    name every object that is changed",
)

_INPUT = "  -z, --stanza     definitions come on standard input, as lsdef -z writes them"

_ENDING = (
    "\nTypes of objects:\n",
    f" {' '.join(mapping.TYPES)}\n",
)

USAGES: Mapping[str, tuple[str, ...]] = {
    "mkdef": (
        "\nUsage: mkdef [noderange] [-t TYPE] [-o NAME,...] [options] attribute=value...\n",
        "  mkdef -h [-t TYPE [-i ATTRIBUTE,...]]   this text, or the attributes of a type",
        "  mkdef -v                                the version\n",
        *_COMMON,
        "  -f, --force      replace an object that exists",
        _INPUT,
        "  -d, --dynamic    group: members are the nodes that match -w at any time",
        "  -w COND          group: members are the nodes that match now; repeatable",
        "  --template NAME  take attributes that are not given from this template or object",
        "  -u               osimage: work out what follows from profile and provmethod",
        *_ENDING,
    ),
    "chdef": (
        "\nUsage: chdef [noderange] [-t TYPE] [-o NAME,...] [options] attribute=value...\n",
        "  chdef [-t TYPE] -o NAME -n NEWNAME      rename an object",
        "  chdef -h [-t TYPE [-i ATTRIBUTE,...]]   this text, or the attributes of a type",
        "  chdef -v                                the version\n",
        *_COMMON,
        "  -p, --plus       add to the lists that are there",
        "  -m, --minus      take from the lists that are there",
        _INPUT,
        "  -d, --dynamic    group: a new one is dynamic",
        "  -w COND          group: its conditions, or the nodes that match now; repeatable",
        "  -u               osimage: work out what follows from profile and provmethod",
        *_ENDING,
    ),
    "rmdef": (
        "\nUsage: rmdef [noderange] [-t TYPE] [-o NAME,...] [options]\n",
        "  rmdef -h [-t TYPE [-i ATTRIBUTE,...]]   this text, or the attributes of a type",
        "  rmdef -v                                the version\n",
        *_COMMON,
        "  -a, --all        every object of every type; needs -f",
        "  -f, --force      yes, everything",
        "  -C, --cleanup    first remove the nodes' boot and console configuration",
        *_ENDING,
    ),
}
