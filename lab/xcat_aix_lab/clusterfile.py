"""A cluster that is not the sample, in a file of its lab: hosts, images and networks.

The rows of its database are not kept there; they are in the database.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from xcat_aix_lab.cluster import Cluster, Image, NamedAddress, NimNetwork, Node


def dumps(cluster: Cluster) -> str:
    """The file's text."""
    return json.dumps(
        {
            "nodes": [asdict(node) for node in cluster.nodes.values()],
            "images": [asdict(image) for image in cluster.images],
            "networks": [asdict(network) for network in cluster.networks],
            "mask": cluster.mask,
        }
    )


def loads(text: str) -> Cluster:
    """The cluster, without its tables."""
    data = json.loads(text)
    nodes = [_node(item) for item in data["nodes"]]
    return Cluster(
        {node.name: node for node in nodes},
        tuple(_image(item) for item in data["images"]),
        tuple(NimNetwork(**item) for item in data["networks"]),
        {},
        mask=data["mask"],
        ready_for_all=False,
    )


def _node(item: dict[str, Any]) -> Node:
    interfaces = tuple(NamedAddress(**interface) for interface in item.pop("interfaces"))
    aliases, service_nodes = tuple(item.pop("aliases")), tuple(item.pop("service_nodes"))
    return Node(interfaces=interfaces, aliases=aliases, service_nodes=service_nodes, **item)


def _image(item: dict[str, Any]) -> Image:
    resources = tuple((kind, name, tuple(extra)) for kind, name, extra in item["resources"])
    return Image(item["name"], item["nimtype"], resources)
