ip netns add access-db
ip -n access-db link set dev lo alias guestwire:access:access-db up
ip netns add access-gateway
ip -n access-gateway link set dev lo alias guestwire:access:access-gateway up
ip netns add access-host
ip -n access-host link set dev lo alias guestwire:access:access-host up
ip netns add access-internet
ip -n access-internet link set dev lo alias guestwire:access:access-internet up
ip netns add access-lan
ip -n access-lan link set dev lo alias guestwire:access:access-lan up
ip netns add access-web
ip -n access-web link set dev lo alias guestwire:access:access-web up
ip netns add access.switch
ip -n access.switch link set dev lo alias guestwire:access:access.switch up
ip netns exec access-gateway sysctl -qw net/ipv4/ip_forward=1
ip netns exec access-gateway sysctl -qw net/ipv6/conf/default/accept_dad=0
ip netns exec access-host sysctl -qw net/ipv6/conf/default/accept_dad=0
ip netns exec access-host sysctl -qw net/ipv4/ip_forward=0
ip netns exec access-internet sysctl -qw net/ipv6/conf/default/accept_dad=0
ip netns exec access-lan sysctl -qw net/ipv6/conf/default/accept_dad=0
ip netns exec access-lan sysctl -qw net/ipv4/conf/all/rp_filter=0
ip netns exec access-lan sysctl -qw net/ipv4/conf/default/rp_filter=0
ip -n access.switch link add name lan0 address 9e:1d:66:22:bf:1f type bridge stp_state 0
ip -n access.switch link set dev lan0 alias guestwire:access:lan0 up
ip -n access-gateway link add name internet address be:ee:e8:32:40:6d numtxqueues 1 numrxqueues 1 type veth peer name eth0 numtxqueues 1 numrxqueues 1 netns access-internet
ip -n access-gateway link set dev internet alias guestwire:access:internet up
ip -n access.switch link add name lan.0 address 42:31:53:cb:06:ee numtxqueues 1 numrxqueues 1 type veth peer name eth0 numtxqueues 1 numrxqueues 1 netns access-lan
ip -n access.switch link set dev lan.0 master lan0 alias guestwire:access:lan.0 up
ip -n access.switch link add name gateway.0 address 52:9b:b5:2b:1a:90 numtxqueues 1 numrxqueues 1 type veth peer name eth0 numtxqueues 1 numrxqueues 1 netns access-gateway
ip -n access.switch link set dev gateway.0 master lan0 alias guestwire:access:gateway.0 up
ip -n access.switch link add name eth0 address c2:ce:ff:7e:ef:0d numtxqueues 1 numrxqueues 1 type veth peer name eth0 numtxqueues 1 numrxqueues 1 netns access-host
ip -n access.switch link set dev eth0 master lan0 alias guestwire:access:eth0 up
ip -n access-host link add link eth0 name eth0 address d6:63:c6:0a:51:26 index 1122593698 netns access-db type macvlan mode bridge
ip -n access-host link add link eth0 name access-direct.h address e2:a0:f1:ee:35:85 type macvlan mode bridge
ip -n access-host link add link eth0 name eth0 address 7a:c6:13:bd:dd:82 index 1122593698 netns access-web type macvlan mode bridge
printf %s 'create table inet guestwire {
comment "guestwire:access:267c1ca3bf12"
}
table inet guestwire {
chain postrouting { type nat hook postrouting priority srcnat; oifname internet ip saddr != 203.0.113.0/24 masquerade; }
}
' | ip netns exec access-gateway nft -f -
ip netns exec access-host sysctl -qw net/ipv6/conf/all/forwarding=0
ip netns exec access-gateway sysctl -qw net/ipv6/conf/all/forwarding=1
ip -n access-db link set dev eth0 alias guestwire:access:eth0 up
ip -n access-db address add 192.0.2.201/24 dev eth0
ip -n access-db address add 2001:db8:1::201/64 dev eth0 nodad
ip -n access-db route add 0.0.0.0/0 via 192.0.2.1 dev eth0 proto 103
ip -n access-db -6 route add ::/0 via 2001:db8:1::1 dev eth0 metric 1024 proto 103
ip -n access-gateway link set dev eth0 address 52:cb:cd:32:1e:d4
ip -n access-gateway link set dev eth0 alias guestwire:access:eth0 up
ip -n access-gateway address add 192.0.2.1/24 dev eth0
ip -n access-gateway address add 2001:db8:1::1/64 dev eth0 nodad
ip -n access-gateway address add 203.0.113.2/24 dev internet
ip -n access-gateway address add 2001:db8:ffff::2/64 dev internet nodad
ip -n access-host link set dev eth0 address 2e:e7:b3:f9:4e:47
ip -n access-host link set dev eth0 alias guestwire:access:eth0 up
ip -n access-host link set dev access-direct.h alias guestwire:access:access-direct.h up
ip -n access-host address add 192.0.2.10/24 dev eth0
ip -n access-host address add 2001:db8:1::10/64 dev eth0 nodad
ip -n access-host address add 192.0.2.10/32 dev access-direct.h
ip -n access-host address add 2001:db8:1::10/128 dev access-direct.h nodad
ip -n access-host route add 0.0.0.0/0 via 192.0.2.1 dev eth0 proto 103
ip -n access-host -6 route add ::/0 via 2001:db8:1::1 dev eth0 metric 1024 proto 103
ip -n access-host route add 192.0.2.200/32 dev access-direct.h proto 103
ip -n access-host -6 route add 2001:db8:1::200/128 dev access-direct.h metric 1024 proto 103
ip -n access-host route add 192.0.2.201/32 dev access-direct.h proto 103
ip -n access-host -6 route add 2001:db8:1::201/128 dev access-direct.h metric 1024 proto 103
ip -n access-internet link set dev eth0 address 1a:92:20:9d:ba:20
ip -n access-internet link set dev eth0 alias guestwire:access:eth0 up
ip -n access-internet address add 203.0.113.1/24 dev eth0
ip -n access-internet address add 2001:db8:ffff::1/64 dev eth0 nodad
ip -n access-internet -6 route add 2001:db8::/32 via 2001:db8:ffff::2 dev eth0 metric 1024 proto 103
ip -n access-lan link set dev eth0 address de:85:d4:6c:c7:9e
ip -n access-lan link set dev eth0 alias guestwire:access:eth0 up
ip -n access-lan address add 192.0.2.100/24 dev eth0
ip -n access-lan address add 2001:db8:1::100/64 dev eth0 nodad
ip -n access-lan route add 0.0.0.0/0 via 192.0.2.1 dev eth0 proto 103
ip -n access-lan -6 route add ::/0 via 2001:db8:1::1 dev eth0 metric 1024 proto 103
ip -n access-web link set dev eth0 alias guestwire:access:eth0 up
ip -n access-web address add 192.0.2.200/24 dev eth0
ip -n access-web address add 2001:db8:1::200/64 dev eth0 nodad
ip -n access-web route add 0.0.0.0/0 via 192.0.2.1 dev eth0 proto 103
ip -n access-web -6 route add ::/0 via 2001:db8:1::1 dev eth0 metric 1024 proto 103
mkdir -p /run/guestwire/access
ip netns exec access-gateway dnsmasq --conf-file=/dev/null --pid-file=/run/guestwire/access/dhcp-eth0.pid --user=root --group= --no-ping --dhcp-authoritative --bind-interfaces --interface=eth0 --except-interface=lo --port=0 --leasefile-ro --dhcp-range=192.0.2.150,192.0.2.199,255.255.255.0,1h --dhcp-option=option:router,192.0.2.1
