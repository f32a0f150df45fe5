"""The files that the tests of this folder build: three ways side by side, and the same changed in every respect."""

from __future__ import annotations

__all__ = ["CHANGED", "THREE", "UPLINKS", "WAYS"]

THREE = """
name: three
networks:
  lan: {type: bridge, uplink: eth0}
  private: {type: bridge, subnet: [10.77.0.0/24, "fd00:77::/64"]}
  direct: {type: macvtap, uplink: eth1, mode: bridge, host-access: true}
guests:
  web: {nics: [private], dns: [192.0.2.1]}
  db: {nics: [private, {network: direct, address: [198.51.100.20/24, "2001:db8:2::20/64"]}]}
  old: {nics: [{network: lan, address: []}]}
  many: {count: 2, nics: [{network: direct, address: []}, private]}
  vpn: {kind: process, owner: 1000, nics: [private]}
  vm: {kind: process, nics: [{network: direct, mac: "52:54:00:00:00:09"}]}
  held: {nics: [{network: private, device: tap}, {network: direct, device: macvtap, address: []}]}
"""

CHANGED = """
name: three
networks:
  lan: {type: bridge, uplink: eth2, stp: true}
  private: {type: bridge, subnet: [10.77.0.0/24, "fd00:77::/64"], mtu: 1400, port: {isolated: true}}
  direct: {type: macvtap, uplink: eth1, mode: private}
  whole: {type: macvtap, uplink: eth0, mode: passthru}
guests:
  db: {nics: [{network: private, address: 10.77.0.20}, {network: direct, address: 198.51.100.21/24}], dns: [192.0.2.1]}
  new:
    nics: [{network: lan, address: []}, {network: private, mac: "52:54:00:00:00:01"}]
    dns: [192.0.2.53]
  old: {nics: [{network: whole, device: macvtap, address: []}]}
  also: {nics: [{network: lan, device: tap, address: []}]}
  held: {nics: [{network: direct, device: macvtap, address: []}, {network: private, device: tap}]}
  many: {count: 2, nics: [private, {network: direct, address: []}]}
  vpn: {kind: process, group: 60, queues: 2, nics: [{network: private, name: vpn0}]}
  vm: {kind: process, queues: 2, nics: [direct, private]}
"""

UPLINKS = """
for number in 0 1 2; do
    ip link add eth$number mtu 1450 type veth peer name far$number
    ip link set eth$number address 02:00:00:00:00:0$number
    ip link set far$number up address 02:00:00:00:01:0$number
done
ip link set eth0 up
ip address add 198.51.100.10/24 dev eth1
ip link set eth1 up
ip address add 2001:db8:2::10/64 dev eth1 nodad
ip route add 203.0.113.0/24 via 198.51.100.1
ip -6 route add 2001:db8:ffff::/48 via 2001:db8:2::1
for try in $(seq 1000); do ip -6 route show table local | grep -q 2001:db8:2::10 && break; done
"""
"""Three NICs of a host by hand, of which the third is down; far0 and so on are the other ends of their cables.

The kernel adds an IPv6 address's local route in its own time, so that is waited for.
"""

WAYS = """
name: three
networks:
  "on": {type: bridge, stp: true, port: {isolated: true, learning: false}}
  lan: {type: bridge, uplink: eth0, mtu: 1400}
  loud: {type: macvtap, uplink: eth1, mode: source, macs: ["52:54:00:00:00:02", "52:54:00:00:00:01"]}
  whole: {type: macvtap, uplink: eth2, mode: passthru}
guests:
  up: {nics: [{network: "on", mtu: 1300, port: {hairpin: true, flood: false, group-fwd-mask: 16384}}]}
  br:
    nics:
      - {network: lan, name: dev, address: 192.0.2.77/24}
      - {network: loud, mac: "52:54:00:00:00:03", address: []}
  dev: {nics: [{network: whole, mac: "52:54:00:00:00:04", address: 198.18.0.77/24, gateway: 198.18.0.1}]}
  vpn: {kind: process, owner: 1001, nics: ["on", {network: lan, name: tap0, mtu: 1400}]}
  vm: {kind: process, nics: ["on", loud]}
  with-a-rather-long-name: {nics: ["on", {network: loud, address: []}], dns: [192.0.2.53]}
  held: {nics: [{network: "on", device: tap}, {network: loud, device: macvtap, address: 198.51.100.9/24}]}
"""
