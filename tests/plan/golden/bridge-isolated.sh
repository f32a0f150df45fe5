ip netns add apart-db
ip -n apart-db link set dev lo alias guestwire:apart:apart-db up
ip netns add apart-gateway
ip -n apart-gateway link set dev lo alias guestwire:apart:apart-gateway up
ip netns add apart-host
ip -n apart-host link set dev lo alias guestwire:apart:apart-host up
ip netns add apart-internet
ip -n apart-internet link set dev lo alias guestwire:apart:apart-internet up
ip netns add apart-lan
ip -n apart-lan link set dev lo alias guestwire:apart:apart-lan up
ip netns add apart-left
ip -n apart-left link set dev lo alias guestwire:apart:apart-left up
ip netns add apart-right
ip -n apart-right link set dev lo alias guestwire:apart:apart-right up
ip netns add apart-small
ip -n apart-small link set dev lo alias guestwire:apart:apart-small up
ip netns add apart-web
ip -n apart-web link set dev lo alias guestwire:apart:apart-web up
ip netns add apart.switch
ip -n apart.switch link set dev lo alias guestwire:apart:apart.switch up
ip netns exec apart-gateway sysctl -qw net/ipv4/ip_forward=1
ip netns exec apart-gateway sysctl -qw net/ipv6/conf/default/accept_dad=0
ip netns exec apart-host sysctl -qw net/ipv6/conf/default/accept_dad=0
ip netns exec apart-host sysctl -qw net/ipv4/ip_forward=0
ip netns exec apart-internet sysctl -qw net/ipv6/conf/default/accept_dad=0
ip netns exec apart-lan sysctl -qw net/ipv6/conf/default/accept_dad=0
ip netns exec apart-lan sysctl -qw net/ipv4/conf/all/rp_filter=0
ip netns exec apart-lan sysctl -qw net/ipv4/conf/default/rp_filter=0
ip -n apart-host link add name apart-private address 4e:38:fe:e4:f3:64 type bridge stp_state 0
ip -n apart-host link set dev apart-private alias guestwire:apart:apart-private up
ip -n apart-host link add name apart-narrow address e2:5d:96:6e:10:6f type bridge stp_state 0
ip -n apart-host link set dev apart-narrow alias guestwire:apart:apart-narrow up
ip -n apart-host link add name apart-bare address 3e:e1:fd:a7:09:52 type bridge stp_state 0
ip -n apart-host link set dev apart-bare alias guestwire:apart:apart-bare up
ip -n apart.switch link add name lan0 address 5e:dd:ef:8f:04:5a type bridge stp_state 0
ip -n apart.switch link set dev lan0 alias guestwire:apart:lan0 up
ip -n apart-gateway link add name internet address e2:3d:3e:1d:4e:2e numtxqueues 1 numrxqueues 1 type veth peer name eth0 numtxqueues 1 numrxqueues 1 netns apart-internet
ip -n apart-gateway link set dev internet alias guestwire:apart:internet up
ip -n apart-host link add name apart-web.0 address 52:8d:1c:35:14:16 mtu 1500 numtxqueues 1 numrxqueues 1 type veth peer name eth0 numtxqueues 1 numrxqueues 1 netns apart-web
ip -n apart-host link set dev apart-web.0 master apart-private alias guestwire:apart:apart-web.0 addrgenmode none
ip -n apart-host link set dev apart-web.0 up
ip -n apart-host link add name apart-db.0 address 8e:76:0a:6f:0c:8c mtu 1500 numtxqueues 1 numrxqueues 1 type veth peer name eth0 numtxqueues 1 numrxqueues 1 netns apart-db
ip -n apart-host link set dev apart-db.0 master apart-private alias guestwire:apart:apart-db.0 addrgenmode none
ip -n apart-host link set dev apart-db.0 up
ip -n apart-host link add name apart-small.0 address 3a:00:42:9b:c8:bb mtu 1500 numtxqueues 1 numrxqueues 1 type veth peer name eth0 numtxqueues 1 numrxqueues 1 netns apart-small
ip -n apart-host link set dev apart-small.0 master apart-narrow alias guestwire:apart:apart-small.0 addrgenmode none
ip -n apart-host link set dev apart-small.0 up
ip -n apart-host link add name apart-left.0 address 3e:01:50:90:b7:cc mtu 1500 numtxqueues 1 numrxqueues 1 type veth peer name eth0 numtxqueues 1 numrxqueues 1 netns apart-left
ip -n apart-host link set dev apart-left.0 master apart-bare alias guestwire:apart:apart-left.0 addrgenmode none
ip -n apart-host link set dev apart-left.0 up
ip -n apart-host link add name apart-right.0 address 8e:a9:b0:c7:11:4e mtu 1500 numtxqueues 1 numrxqueues 1 type veth peer name eth0 numtxqueues 1 numrxqueues 1 netns apart-right
ip -n apart-host link set dev apart-right.0 master apart-bare alias guestwire:apart:apart-right.0 addrgenmode none
ip -n apart-host link set dev apart-right.0 up
ip -n apart.switch link add name lan.0 address 1e:e7:92:59:fd:ad numtxqueues 1 numrxqueues 1 type veth peer name eth0 numtxqueues 1 numrxqueues 1 netns apart-lan
ip -n apart.switch link set dev lan.0 master lan0 alias guestwire:apart:lan.0 up
ip -n apart.switch link add name gateway.0 address 6a:8b:3b:48:46:e2 numtxqueues 1 numrxqueues 1 type veth peer name eth0 numtxqueues 1 numrxqueues 1 netns apart-gateway
ip -n apart.switch link set dev gateway.0 master lan0 alias guestwire:apart:gateway.0 up
ip -n apart.switch link add name eth0 address 3e:6c:c6:cb:f4:9f numtxqueues 1 numrxqueues 1 type veth peer name eth0 numtxqueues 1 numrxqueues 1 netns apart-host
ip -n apart.switch link set dev eth0 master lan0 alias guestwire:apart:eth0 up
printf %s 'create table inet guestwire {
comment "guestwire:apart:267c1ca3bf12"
}
table inet guestwire {
chain postrouting { type nat hook postrouting priority srcnat; oifname internet ip saddr != 203.0.113.0/24 masquerade; }
}
' | ip netns exec apart-gateway nft -f -
ip netns exec apart-host sysctl -qw net/ipv6/conf/all/forwarding=0
ip netns exec apart-gateway sysctl -qw net/ipv6/conf/all/forwarding=1
ip -n apart-db link set dev eth0 address 92:41:e7:0e:0e:fe mtu 1500
ip -n apart-db link set dev eth0 alias guestwire:apart:eth0 addrgenmode none
ip -n apart-db link set dev eth0 up
ip -n apart-db address add 10.77.0.20/24 dev eth0
ip -n apart-db route add 0.0.0.0/0 via 10.77.0.1 dev eth0 proto 103
ip -n apart-gateway link set dev eth0 address 2e:fd:a6:83:e0:05
ip -n apart-gateway link set dev eth0 alias guestwire:apart:eth0 up
ip -n apart-gateway address add 192.0.2.1/24 dev eth0
ip -n apart-gateway address add 2001:db8:1::1/64 dev eth0 nodad
ip -n apart-gateway address add 203.0.113.2/24 dev internet
ip -n apart-gateway address add 2001:db8:ffff::2/64 dev internet nodad
ip -n apart-host link set dev eth0 address 5a:8c:49:97:6f:e4
ip -n apart-host link set dev eth0 alias guestwire:apart:eth0 up
ip -n apart-host address add 192.0.2.10/24 dev eth0
ip -n apart-host address add 2001:db8:1::10/64 dev eth0 nodad
ip -n apart-host address add 10.77.0.1/24 dev apart-private
ip -n apart-host address add fd00:77::1/64 dev apart-private nodad
ip -n apart-host address add 10.78.0.14/28 dev apart-narrow
ip -n apart-host route add 0.0.0.0/0 via 192.0.2.1 dev eth0 proto 103
ip -n apart-host -6 route add ::/0 via 2001:db8:1::1 dev eth0 metric 1024 proto 103
ip -n apart-internet link set dev eth0 address 7e:a7:62:23:69:09
ip -n apart-internet link set dev eth0 alias guestwire:apart:eth0 up
ip -n apart-internet address add 203.0.113.1/24 dev eth0
ip -n apart-internet address add 2001:db8:ffff::1/64 dev eth0 nodad
ip -n apart-internet -6 route add 2001:db8::/32 via 2001:db8:ffff::2 dev eth0 metric 1024 proto 103
ip -n apart-lan link set dev eth0 address 92:a9:5f:38:96:d6
ip -n apart-lan link set dev eth0 alias guestwire:apart:eth0 up
ip -n apart-lan address add 192.0.2.100/24 dev eth0
ip -n apart-lan address add 2001:db8:1::100/64 dev eth0 nodad
ip -n apart-lan route add 0.0.0.0/0 via 192.0.2.1 dev eth0 proto 103
ip -n apart-lan -6 route add ::/0 via 2001:db8:1::1 dev eth0 metric 1024 proto 103
ip -n apart-left link set dev eth0 address ca:92:75:42:4f:42 mtu 1500
ip -n apart-left link set dev eth0 alias guestwire:apart:eth0 up
ip -n apart-left address add 172.16.0.1/30 dev eth0
ip -n apart-right link set dev eth0 address 2a:c0:b0:95:1a:8a mtu 1500
ip -n apart-right link set dev eth0 alias guestwire:apart:eth0 up
ip -n apart-right address add 172.16.0.2/30 dev eth0
ip -n apart-small link set dev eth0 address ee:f2:81:ed:15:d6 mtu 1500
ip -n apart-small link set dev eth0 alias guestwire:apart:eth0 addrgenmode none
ip -n apart-small link set dev eth0 up
ip -n apart-small address add 10.78.0.1/28 dev eth0
ip -n apart-small route add 0.0.0.0/0 via 10.78.0.14 dev eth0 proto 103
ip -n apart-web link set dev eth0 address ea:26:d9:65:e0:57 mtu 1500
ip -n apart-web link set dev eth0 alias guestwire:apart:eth0 up
ip -n apart-web address add 10.77.0.2/24 dev eth0
ip -n apart-web address add fd00:77::2/64 dev eth0 nodad
ip -n apart-web route add 0.0.0.0/0 via 10.77.0.1 dev eth0 proto 103
ip -n apart-web -6 route add ::/0 via fd00:77::1 dev eth0 metric 1024 proto 103
mkdir -p /run/guestwire/apart
ip netns exec apart-gateway dnsmasq --conf-file=/dev/null --pid-file=/run/guestwire/apart/dhcp-eth0.pid --user=root --group= --no-ping --dhcp-authoritative --bind-interfaces --interface=eth0 --except-interface=lo --port=0 --leasefile-ro --dhcp-range=192.0.2.150,192.0.2.199,255.255.255.0,1h --dhcp-option=option:router,192.0.2.1
