"""What a network definition must have: net and mask, and no twin.

Facts: specs/object-commands.md, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping

from xcatd.objects.reader import Values

#: Networks by name with at least net and mask.
Networks = dict[str, Values]

ATTRIBUTES = ("net", "mask")


def fault_of_new(name: str, attributes: Mapping[str, str], known: Mapping[str, Values]) -> str:
    """What is wrong with a network that does not exist yet; empty if nothing is."""
    if not (attributes.get("net") and attributes.get("mask")):
        return f"Net or mask value should not be empty for xCAT network object '{name}'."
    for other, values in known.items():
        if all(values.get(attribute, "") == attributes[attribute] for attribute in ATTRIBUTES):
            return (
                f"A network definition called '{other}' already exists that contains the same net and "
                f"mask values. Cannot create a definition for '{name}'."
            )
    return ""


def fault_of_change(name: str, attributes: Mapping[str, str], known: Mapping[str, Values]) -> str:
    """What is wrong with a changed network; empty if nothing is.

    As in xCAT, any network without net or mask must be mended before another one can be changed.
    """
    for values in known.values():
        for attribute in ATTRIBUTES:
            if not values.get(attribute) and not attributes.get(attribute):
                return f"Attribute '{attribute}' is not specified for network entry '{name}', skipping."
    return ""
