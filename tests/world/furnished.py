"""A host with a NIC that has of everything that Linux gives one: addresses, routes, rules and neighbours of every sort.

Beyond `eth0` is the namespace `out`, as is beyond `eth1`, which is there to share routes with it.
"""

from __future__ import annotations

__all__ = ["BESIDE", "FILE", "FURNITURE", "NICS", "SIMPLE"]

NICS = """
ip netns add out
for i in 0 1; do
  ip link add eth$i type veth peer name sw$i netns out
  ip link set eth$i up
  ip -n out link set sw$i up
done
for i in 0 1; do until ip -n out link show dev sw$i | grep -q "state UP"; do sleep 0.02; done; done
sysctl -qw net.ipv6.conf.eth0.accept_dad=0 net.ipv6.conf.eth1.accept_dad=0
until ip -6 address show dev eth0 | grep -q fe80; do sleep 0.02; done
until ip -6 address show dev eth1 | grep -q fe80; do sleep 0.02; done
"""
FURNITURE = """
ip link set dev eth0 addrgenmode random
ip address add 192.0.2.10/24 broadcast 192.0.2.255 dev eth0
ip address add 192.0.2.11/24 dev eth0 label eth0:1
ip address add 192.0.2.12/24 dev eth0 valid_lft 3600 preferred_lft 1800
ip address add 192.0.2.13/24 dev eth0 preferred_lft 0
ip address add 198.51.100.1/32 dev eth0 scope link noprefixroute
ip address add 10.1.0.1 peer 10.1.0.2/32 dev eth0 metric 77
ip address add 2001:db8:1::10/64 dev eth0 nodad
ip address add 2001:db8:1::11/64 dev eth0 noprefixroute
ip address add 2001:db8:1::12/64 dev eth0 home valid_lft 7200 preferred_lft 7000
ip address add 2001:db8:1::13/64 dev eth0 preferred_lft 0 nodad
ip address add 2001:db8:2::1/64 dev eth0 metric 99
ip address add 203.0.113.1/24 dev eth1
ip address add 2001:db8:9::1/64 dev eth1 nodad
ip route add default via 192.0.2.1 dev eth0 metric 100 mtu lock 1400 advmss 1300 initcwnd 20
ip route add default via 203.0.113.254 dev eth1 metric 200
ip route add 10.2.0.0/16 src 192.0.2.11 dev eth0 scope link realms 3
ip route add 10.3.0.0/16 nexthop via 192.0.2.1 dev eth0 weight 3 nexthop via 203.0.113.254 dev eth1
ip route add 10.4.0.0/16 tos 0x10 via 192.0.2.7 dev eth0 rtt 100ms congctl reno
ip route add 10.5.0.0/16 via inet6 fe80::1 dev eth0
ip route add 10.6.0.0/16 via 10.250.0.1 dev eth0 onlink proto bird
ip route add 10.7.0.0/16 via 192.0.2.1 dev eth0 table 100
ip route add default via 192.0.2.1 dev eth0 table 1000
ip route add local 10.8.0.0/24 dev eth0
ip route add blackhole 10.9.0.0/16
ip route add unreachable 10.10.0.0/16 metric 5 table 100
ip -6 route add default via 2001:db8:1::1 dev eth0 metric 1024 mtu 1300 pref high
ip -6 route add 2001:db8:30::/48 via fe80::7 dev eth0 metric 30 expires 900
ip -6 route add 2001:db8:31::/48 nexthop via 2001:db8:1::1 dev eth0 nexthop via 2001:db8:9::2 dev eth1 weight 2
ip -6 route add 2001:db8:32::/48 dev eth0 metric 50
ip -6 route append 2001:db8:32::/48 dev eth1 metric 50
ip -6 route add default via 2001:db8:1::2 dev eth0 table 100
ip -6 route add 2001:db8:33::/48 from 2001:db8:1::/64 via 2001:db8:1::1 dev eth0
ip rule add iif eth0 lookup 100 priority 1000
ip rule add not from 10.0.0.0/8 to 192.0.2.0/24 oif eth0 fwmark 0x10/0xff lookup 1000 priority 1001
ip rule add iif eth0 ipproto tcp sport 1000-2000 dport 80 uidrange 0-100 tos 0x10 priority 1002 prohibit
ip rule add from all lookup main suppress_prefixlength 0 priority 1003
ip rule add iif eth0 goto 32766 priority 1004
ip -6 rule add iif eth0 lookup 100 priority 1000
ip -6 rule add from 2001:db8:1::/64 oif eth0 blackhole priority 1005
ip neigh add 192.0.2.99 lladdr 02:00:00:00:00:99 nud permanent dev eth0
ip neigh add 2001:db8:1::99 lladdr 02:00:00:00:00:99 nud permanent router dev eth0 protocol static
ip neigh add proxy 192.0.2.97 dev eth0
ip neigh add proxy 2001:db8:1::97 dev eth0 protocol static
until [ "$(ip -6 route show table local | grep -c '^local 2001:db8:')" -ge 5 ]; do sleep 0.02; done
"""
"""The routes to the host's own IPv6 addresses come a moment after these, by a thread of the kernel's."""
BESIDE = """
ip -n out link set lo up
ip -n out address add 192.0.2.1/24 dev sw0
ip -n out address add 2001:db8:1::1/64 dev sw0 nodad
ip -n out address add fe80::1/64 dev sw0 nodad
"""
SIMPLE = """
ip address add 192.0.2.10/24 dev eth0
ip address add 2001:db8:1::10/64 dev eth0
ip route add default via 192.0.2.1
ip -6 route add default via fe80::1 dev eth0
"""
FILE = """
name: three
networks: {lan: {type: bridge, uplink: eth0}}
guests: {a: {nics: [{network: lan, address: 192.0.2.77/24}]}, b: {nics: [{network: lan, address: []}]}}
"""
