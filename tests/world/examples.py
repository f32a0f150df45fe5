"""Every example as a file to build, and the same with one guest more, one less, and one network's MTU another."""

from __future__ import annotations

from typing import Any

import yaml

from tests import examples

__all__ = ["EXAMPLES", "HOST", "of_a_host", "pair"]

EXAMPLES = [path.stem for path in examples.EXAMPLES]
MTU = 1400

HOST = """
ip netns add outside
for number in 0 1; do
    ip link add eth$number type veth peer name far$number netns outside
    ip -n outside link set far$number up
    ip link set eth$number up
done
ip address add 192.0.2.10/24 dev eth0
ip address add 198.51.100.10/24 dev eth1
ip -6 address add 2001:db8:1::10/64 dev eth0 nodad
ip -6 address add 2001:db8:2::10/64 dev eth1 nodad
ip -n outside address add 192.0.2.1/24 dev far0
ip -n outside -6 address add 2001:db8:1::1/64 dev far0 nodad
ip route add default via 192.0.2.1
ip -6 route add default via 2001:db8:1::1
for try in $(seq 1000); do ip -6 route show table local | grep -q 2001:db8:2::10 && break; done
"""
"""A host with the NICs, addresses and routes that a lab's host has, and a gateway that answers."""


def pair(name: str, lab: bool) -> tuple[str, str, str]:
    """The project of an example, its file, and its file changed; expectations, which aren't the matter here, left out.

    On a real host there is no DHCP server to be waited for: there a NIC on an uplink's network gets no address.
    """
    text = examples.FOLDER.joinpath(f"{name}.yaml").read_text()
    data, changed = yaml.safe_load(text), yaml.safe_load(text)
    networks, guests = changed["networks"], changed["guests"]
    first = next(name for name, keys in networks.items() if keys.get("mode") != "passthru")
    networks[first]["mtu"] = MTU
    if len(guests) > 1:
        del guests[list(guests)[-1]]
    guests["more"] = {"nics": [first]}
    for each in (data, changed):
        each.pop("expect", None)
        if not lab:
            of_a_host(each)
    return str(data["name"]), yaml.safe_dump(data, sort_keys=False), yaml.safe_dump(changed, sort_keys=False)


def of_a_host(data: dict[str, Any]) -> None:
    """Have no NIC of the file ask for an address by DHCP."""
    data.pop("lab", None)
    for guest in data["guests"].values():
        nics = [nic if isinstance(nic, dict) else {"network": nic} for nic in guest["nics"]]
        for nic in nics:
            network = data["networks"][nic["network"]]
            if "uplink" in network and "subnet" not in network and nic.get("address", "dhcp") == "dhcp":
                nic["address"] = []
        guest["nics"] = nics
