"""Random files, nearly all of them valid, and random changes of them: the same for the same seed each time."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from ipaddress import ip_network
from random import Random
from typing import Any, TypeAlias

__all__ = ["File", "Files"]

File: TypeAlias = dict[str, Any]

# Among them words that `ip` takes for its own, and names that are too long for a link's.
PROJECTS = ["p", "up", "br", "dev", "three", "a-long-project-name-of-many"]
NETWORKS = ["lan", "up", "br", "dev", "type", "via", "n1", "n2", "default", "all", "private-network-with-a-long-name"]
GUESTS = ["up", "br", "dev", "web", "db", "g", "type", "del", "mtu", "x1", "name", "lo", "a-guest-with-a-long-name-too"]
LINKS = ["lan0", "up", "br", "dev", "veth", "x.1", "eth9", "a" * 15]
SIZES = [1400, 1280, 1200, 1500, 9000, 68, 576]
TYPES = ["bridge"] * 5 + ["macvtap"] * 2 + ["macvlan"] * 2 + ["routed"] * 2
MODES = ["bridge"] * 3 + ["vepa", "private", "passthru", "source"]
NEEDED = ("type", "network", "nics", "uplink", "macs")


class Files:
    """What one seed leads to."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def files(self) -> Iterator[File]:
        """Files without end."""
        while True:
            uplinks = [f"eth{n}" for n in range(4)]
            names = self.random.sample(NETWORKS, self.random.randint(1, 4))
            networks = {name: self.network(place, uplinks) for place, name in enumerate(names)}
            file: File = {"name": self.random.choice(PROJECTS), "networks": networks, "guests": {}}
            if self.likely(0.3):
                words = ("relay", "one-mac", "dhcp", "same-lan", "host-dhcp")
                file["lab"] = {word: self.likely(0.5) for word in words if self.likely(0.4)}
            for name in self.random.sample(GUESTS, self.random.randint(1, 5)):
                file["guests"][name] = self.guest(file)
            for name, network in networks.items():
                if network.get("nat") and (ports := self.forwards(file, name)):
                    network["forward"] = ports
            yield file

    def changes(self, file: File) -> Iterator[File]:
        """Files that a few changes of this one give, without end."""
        ways = [self.put_guest, self.drop_guest, self.swap_nics, self.put_network, self.swap_network]
        ways += [self.resize, self.recount, self.reorder, self.drop_key, self.drop_key]
        while True:
            changed = deepcopy(file)
            for _ in range(self.random.randint(1, 4)):
                self.random.choice(ways)(changed)
            yield changed

    # The parts of a file

    def network(self, place: int, uplinks: list[str]) -> dict[str, Any]:
        """A network; `place` tells its subnets from the others', and a bridge takes its uplink out of `uplinks`."""
        kind = self.random.choice(TYPES)
        if kind == "bridge":
            network = self.bridge(place, uplinks)
        elif kind == "routed":
            network = {"subnet": self.subnets(place) or [f"10.{60 + place}.9.0/24"]}
            if self.likely(0.5):
                network["nat"] = True
        else:
            network = self.macvtap(place, uplinks)
        if self.likely(0.2):
            network["mtu"] = self.random.choice(SIZES)
        return {"type": kind, **network}

    def bridge(self, place: int, uplinks: list[str]) -> dict[str, Any]:
        network: dict[str, Any] = {}
        way = self.random.choice(["apart", "subnet", "subnet", "uplink"])
        subnets = self.subnets(place) if way == "subnet" else []
        if way == "uplink" and uplinks:
            network["uplink"] = uplinks.pop(0)
        if subnets:
            network["subnet"] = subnets if len(subnets) > 1 or self.likely(0.3) else subnets[0]
            if self.likely(0.4):
                network["nat"] = True
            if self.likely(0.35) and "." in subnets[0]:
                network["dhcp"] = True
            if self.likely(0.2):
                network["gateway"] = str(ip_network(subnets[0])[-2])
        if self.likely(0.3):
            flags = {word: self.likely(0.6) for word in ("isolated", "hairpin", "learning", "flood")}
            port = {**flags, "group-fwd-mask": self.random.choice([8, 0x4000, "0x4000", 0])}
            network["port"] = {word: value for word, value in port.items() if self.likely(0.4)}
        return network

    def macvtap(self, place: int, uplinks: list[str]) -> dict[str, Any]:
        mode = self.random.choice(MODES)
        network: dict[str, Any] = {"uplink": uplinks[0] if uplinks and self.likely(0.6) else f"up{place}", "mode": mode}
        if mode == "passthru":
            network["uplink"] = f"pass{place}"
        if mode == "source":
            network["macs"] = [f"52:54:00:00:{n:02x}:{place:02x}" for n in range(2)]
        if mode == "bridge" and self.likely(0.4):
            network["host-access"] = True
        if self.likely(0.3) and (subnets := self.subnets(place)):
            network["subnet"] = subnets
        return network

    def subnets(self, place: int) -> list[str]:
        """At most one of IPv4 and one of IPv6, in this order."""
        found = []
        if self.likely(0.8):
            found.append(f"10.{60 + place}.{self.random.choice([0, 4])}.0/{self.random.choice([24, 24, 26, 22])}")
        if self.likely(0.6):
            found.append(f"fd00:{60 + place}::/{self.random.choice([64, 64, 112])}")
        return found

    def forwards(self, file: File, place: str) -> list[dict[str, Any]]:
        """Ports of the host's, no two of them alike, that lead to guests on a network."""
        guests = [
            name
            for name, guest in file["guests"].items()
            if "count" not in guest and any(nic["network"] == place for nic in guest["nics"])
        ]
        port = 8000 + 10 * [*file["networks"]].index(place)
        ports = [{"host": port + n, "to": name, "proto": "udp"} for n, name in enumerate(guests) if self.likely(0.3)]
        return [{**each, "port": 53} if self.likely(0.5) else each for each in ports]

    def guest(self, file: File) -> dict[str, Any]:
        places = [self.random.choice(list(file["networks"])) for _ in range(self.random.choice([0, 1, 1, 1, 2, 2, 3]))]
        guest: dict[str, Any] = {"nics": [nic for place in places if (nic := self.nic(file, place))]}
        own = any({"mac", "address"} & nic.keys() for nic in guest["nics"])
        if self.likely(0.2) and not own:
            guest["count"] = self.random.randint(1, 3)
        if self.likely(0.15):
            guest["dns"] = self.random.choice(["1.1.1.1", ["9.9.9.9", "2620:fe::fe"]])
        if len(guest["nics"]) > 1 and self.likely(0.3):
            self.random.choice(guest["nics"])["default-route"] = self.likely(0.7)
        return guest

    def nic(self, file: File, place: str) -> dict[str, Any] | None:
        """A NIC on a network; None where that has no room for one more."""
        network = file["networks"][place]
        whole = network.get("mode") == "passthru"
        if whole and any(nic["network"] == place for guest in file["guests"].values() for nic in guest["nics"]):
            return None
        nic: dict[str, Any] = {"network": place}
        device = {"bridge": "tap", "macvtap": "macvtap", "macvlan": "macvtap"}.get(network["type"])
        if device and self.likely(0.3):
            nic["device"] = device
        if self.likely(0.2):
            nic["mac"] = "52:54:00:" + ":".join(f"{self.random.randrange(256):02x}" for _ in range(3))
        if self.likely(0.1) and not whole:
            nic["mtu"] = self.random.choice([1300, 1400, 1280, 1000])
        if self.likely(0.3) and (addresses := self.addresses(network)):
            nic["address"] = addresses if len(addresses) > 1 or self.likely(0.3) else addresses[0]
        elif network.get("dhcp") and self.likely(0.3):
            nic["address"] = "dhcp"
        if self.likely(0.1):
            nic["name"] = self.random.choice(LINKS)
        if device == "tap" and self.likely(0.2):
            nic["port"] = {"isolated": self.likely(0.5)}
        return nic

    def addresses(self, network: dict[str, Any]) -> list[str]:
        given = network.get("subnet", [])
        subnets = [ip_network(each) for each in ([given] if isinstance(given, str) else given) if self.likely(0.7)]
        hosts = [(net, net[self.random.randint(5, 59)]) for net in subnets]
        return [f"{host}/{net.prefixlen}" if self.likely(0.3) else str(host) for net, host in hosts]

    # The ways to change one

    def put_guest(self, file: File) -> None:
        file["guests"][self.random.choice(["new1", "new2"])] = self.guest(file)

    def drop_guest(self, file: File) -> None:
        file["guests"].pop(self.random.choice([*file["guests"]]), None)

    def swap_nics(self, file: File) -> None:
        guest = self.any_guest(file)
        guest["nics"] = []
        guest.update(self.guest(file))

    def put_network(self, file: File) -> None:
        file["networks"]["extra"] = self.network(8, ["eth0", "eth6"])

    def swap_network(self, file: File) -> None:
        """Give a network all that another has; its NICs keep what fits."""
        name = self.random.choice(list(file["networks"]))
        was = file["networks"][name]
        file["networks"][name] = self.network(7, ["eth4", "eth5"])
        for guest in file["guests"].values():
            for nic in [nic for nic in guest["nics"] if nic["network"] == name]:
                nic.pop("address", None)
                if was["type"] != file["networks"][name]["type"]:
                    nic.pop("device", None)
                    nic.pop("port", None)

    def resize(self, file: File) -> None:
        self.random.choice([*file["networks"].values()])["mtu"] = self.random.choice([1400, 1450, 1280, 1200])

    def recount(self, file: File) -> None:
        guest = self.any_guest(file)
        guest["count"] = self.random.randint(1, 3)
        for nic in guest["nics"]:
            nic.pop("mac", None)
            nic.pop("address", None)

    def reorder(self, file: File) -> None:
        self.random.shuffle(self.any_guest(file)["nics"])

    def drop_key(self, file: File) -> None:
        nics = [nic for guest in file["guests"].values() for nic in guest["nics"]]
        part = self.random.choice([*file["networks"].values(), *file["guests"].values(), *nics])
        if keys := [key for key in part if key not in NEEDED]:
            del part[self.random.choice(keys)]

    def any_guest(self, file: File) -> dict[str, Any]:
        """One of its guests; a new one where it has none."""
        guest: dict[str, Any] = self.random.choice(
            [*file["guests"].values()] or [file["guests"].setdefault("new", {"nics": []})]
        )
        return guest

    def likely(self, probability: float) -> bool:
        return self.random.random() < probability
