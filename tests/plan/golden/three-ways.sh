ip netns add three-ways-db
ip -n three-ways-db link set dev lo alias guestwire:three-ways:three-ways-db up
ip netns add three-ways-gateway
ip -n three-ways-gateway link set dev lo alias guestwire:three-ways:three-ways-gateway up
ip netns add three-ways-host
ip -n three-ways-host link set dev lo alias guestwire:three-ways:three-ways-host up
ip netns add three-ways-internet
ip -n three-ways-internet link set dev lo alias guestwire:three-ways:three-ways-internet up
ip netns add three-ways-lan
ip -n three-ways-lan link set dev lo alias guestwire:three-ways:three-ways-lan up
ip netns add three-ways-many-1
ip -n three-ways-many-1 link set dev lo alias guestwire:three-ways:three-ways-many-1 up
ip netns add three-ways-many-2
ip -n three-ways-many-2 link set dev lo alias guestwire:three-ways:three-ways-many-2 up
ip netns add three-ways-many-3
ip -n three-ways-many-3 link set dev lo alias guestwire:three-ways:three-ways-many-3 up
ip netns add three-ways-old
ip -n three-ways-old link set dev lo alias guestwire:three-ways:three-ways-old up
ip netns add three-ways-proxy
ip -n three-ways-proxy link set dev lo alias guestwire:three-ways:three-ways-proxy up
ip netns add three-ways-vm
ip -n three-ways-vm link set dev lo alias guestwire:three-ways:three-ways-vm up
ip netns add three-ways-web
ip -n three-ways-web link set dev lo alias guestwire:three-ways:three-ways-web up
ip netns add three-ways.switch
ip -n three-ways.switch link set dev lo alias guestwire:three-ways:three-ways.switch up
ip netns exec three-ways-gateway sysctl -qw net/ipv4/ip_forward=1
ip netns exec three-ways-gateway sysctl -qw net/ipv6/conf/default/accept_dad=0
ip netns exec three-ways-host sysctl -qw net/ipv6/conf/default/accept_dad=0
ip netns exec three-ways-host sysctl -qw net/ipv4/ip_forward=0
ip netns exec three-ways-internet sysctl -qw net/ipv6/conf/default/accept_dad=0
ip netns exec three-ways-lan sysctl -qw net/ipv6/conf/default/accept_dad=0
ip netns exec three-ways-lan sysctl -qw net/ipv4/conf/all/rp_filter=0
ip netns exec three-ways-lan sysctl -qw net/ipv4/conf/default/rp_filter=0
ip -n three-ways-host link add name three-ways-lan address 82:b7:17:12:c6:88 type bridge stp_state 0
ip -n three-ways-host link set dev three-ways-lan alias guestwire:three-ways:three-ways-lan up
ip -n three-ways-host link add name 'three-way~f46a2' address 0e:d4:ce:a9:cd:54 type bridge stp_state 0
ip -n three-ways-host link set dev 'three-way~f46a2' alias guestwire:three-ways:three-ways-private up
ip -n three-ways.switch link add name lan0 address 46:fa:95:69:9a:d2 type bridge stp_state 0
ip -n three-ways.switch link set dev lan0 alias guestwire:three-ways:lan0 up
ip -n three-ways.switch link add name lan1 address ca:f5:98:2a:81:aa type bridge stp_state 0
ip -n three-ways.switch link set dev lan1 alias guestwire:three-ways:lan1 up
ip -n three-ways-gateway link add name internet address ce:98:88:54:e7:fe numtxqueues 1 numrxqueues 1 type veth peer name eth0 numtxqueues 1 numrxqueues 1 netns three-ways-internet
ip -n three-ways-gateway link set dev internet alias guestwire:three-ways:internet up
ip -n three-ways-host link add name three-ways-db.0 address d6:45:f3:8b:11:83 mtu 1500 numtxqueues 1 numrxqueues 1 type veth peer name eth0 numtxqueues 1 numrxqueues 1 netns three-ways-db
ip -n three-ways-host link set dev three-ways-db.0 master 'three-way~f46a2' alias guestwire:three-ways:three-ways-db.0 addrgenmode none
ip -n three-ways-host link set dev three-ways-db.0 up
ip -n three-ways-host link add name 'three-way~ea129' address 6e:78:e0:fb:98:e6 mtu 1500 numtxqueues 1 numrxqueues 1 type veth peer name eth0 numtxqueues 1 numrxqueues 1 netns three-ways-proxy
ip -n three-ways-host link set dev 'three-way~ea129' master three-ways-lan alias guestwire:three-ways:three-ways-proxy.0 addrgenmode none
ip -n three-ways-host link set dev 'three-way~ea129' up
ip -n three-ways-host link add name 'three-way~97bea' address 62:11:66:d9:4f:bd mtu 1500 numtxqueues 1 numrxqueues 1 type veth peer name eth1 numtxqueues 1 numrxqueues 1 netns three-ways-proxy
ip -n three-ways-host link set dev 'three-way~97bea' master 'three-way~f46a2' alias guestwire:three-ways:three-ways-proxy.1 addrgenmode none
ip -n three-ways-host link set dev 'three-way~97bea' up
ip -n three-ways.switch link add name lan.0 address 82:fc:da:7e:b4:ef numtxqueues 1 numrxqueues 1 type veth peer name eth0 numtxqueues 1 numrxqueues 1 netns three-ways-lan
ip -n three-ways.switch link set dev lan.0 master lan0 alias guestwire:three-ways:lan.0 up
ip -n three-ways.switch link add name gateway.0 address 2e:5a:bd:db:b5:57 numtxqueues 1 numrxqueues 1 type veth peer name eth0 numtxqueues 1 numrxqueues 1 netns three-ways-gateway
ip -n three-ways.switch link set dev gateway.0 master lan0 alias guestwire:three-ways:gateway.0 up
ip -n three-ways.switch link add name lan.1 address 5e:79:75:08:96:5c numtxqueues 1 numrxqueues 1 type veth peer name eth1 numtxqueues 1 numrxqueues 1 netns three-ways-lan
ip -n three-ways.switch link set dev lan.1 master lan1 alias guestwire:three-ways:lan.1 up
ip -n three-ways.switch link add name gateway.1 address ae:10:b0:cd:46:26 numtxqueues 1 numrxqueues 1 type veth peer name eth1 numtxqueues 1 numrxqueues 1 netns three-ways-gateway
ip -n three-ways.switch link set dev gateway.1 master lan1 alias guestwire:three-ways:gateway.1 up
ip -n three-ways.switch link add name eth0 address 5a:ba:28:65:a7:f3 numtxqueues 1 numrxqueues 1 type veth peer name eth0 numtxqueues 1 numrxqueues 1 netns three-ways-host
ip -n three-ways.switch link set dev eth0 master lan0 alias guestwire:three-ways:eth0 up
ip -n three-ways.switch link add name eth1 address 7a:b5:74:ba:98:02 numtxqueues 1 numrxqueues 1 type veth peer name eth1 numtxqueues 1 numrxqueues 1 netns three-ways-host
ip -n three-ways.switch link set dev eth1 master lan1 alias guestwire:three-ways:eth1 up
ip -n three-ways-host tuntap add dev 'three-way~d3629' mode tap user 0
ip -n three-ways-host tuntap add dev 'three-way~4febf' mode tap user 0
ip -n three-ways-old tuntap add dev eth0 mode tap user 0
ip -n three-ways-vm tuntap add dev eth0 mode tap user 0
ip -n three-ways-web tuntap add dev eth0 mode tap user 0
ip -n three-ways-host link add link eth1 name 'three-way~85471' address 16:3e:82:18:d4:d7 type macvlan mode bridge
ip -n three-ways-host link add link eth1 name three-ways-vm.0 address 92:60:30:4a:33:39 type macvtap mode bridge
ip -n three-ways-host link add link eth1 name eth0 address a2:8a:12:dc:de:88 index 1122593698 netns three-ways-many-1 type macvlan mode bridge
ip -n three-ways-host link add link eth1 name eth0 address 5e:51:a4:d2:a2:84 index 1122593698 netns three-ways-many-2 type macvlan mode bridge
ip -n three-ways-host link add link eth1 name eth0 address 6e:e3:62:b6:d1:57 index 1122593698 netns three-ways-many-3 type macvlan mode bridge
printf %s 'create table inet guestwire {
comment "guestwire:three-ways:267c1ca3bf12"
}
table inet guestwire {
chain postrouting { type nat hook postrouting priority srcnat; oifname internet ip saddr != 203.0.113.0/24 masquerade; }
}
' | ip netns exec three-ways-gateway nft -f -
ip netns exec three-ways-host sysctl -qw net/ipv6/conf/all/forwarding=0
ip netns exec three-ways-gateway sysctl -qw net/ipv6/conf/all/forwarding=1
ip -n three-ways-db link set dev eth0 address 52:54:00:12:34:56 mtu 1500
ip -n three-ways-db link set dev eth0 alias guestwire:three-ways:eth0 up
ip -n three-ways-db address add 10.77.0.20/24 dev eth0
ip -n three-ways-db address add fd00:77::20/64 dev eth0 nodad
ip -n three-ways-db route add 0.0.0.0/0 via 10.77.0.1 dev eth0 proto 103
ip -n three-ways-db -6 route add ::/0 via fd00:77::1 dev eth0 metric 1024 proto 103
ip -n three-ways-gateway link set dev eth0 address e2:f7:58:c8:81:b7
ip -n three-ways-gateway link set dev eth0 alias guestwire:three-ways:eth0 up
ip -n three-ways-gateway link set dev eth1 address 8e:04:80:91:83:18
ip -n three-ways-gateway link set dev eth1 alias guestwire:three-ways:eth1 up
ip -n three-ways-gateway address add 192.0.2.1/24 dev eth0
ip -n three-ways-gateway address add 2001:db8:1::1/64 dev eth0 nodad
ip -n three-ways-gateway address add 198.51.100.1/24 dev eth1
ip -n three-ways-gateway address add 2001:db8:2::1/64 dev eth1 nodad
ip -n three-ways-gateway address add 203.0.113.2/24 dev internet
ip -n three-ways-gateway address add 2001:db8:ffff::2/64 dev internet nodad
ip -n three-ways-host link set dev eth0 address 82:b7:17:12:c6:88
ip -n three-ways-host link set dev eth0 master three-ways-lan alias guestwire:three-ways:eth0 up
ip -n three-ways-host link set dev eth1 address 5e:60:5a:00:f4:40
ip -n three-ways-host link set dev eth1 alias guestwire:three-ways:eth1 up
ip -n three-ways-host link set dev 'three-way~d3629' address 0a:c3:77:41:90:d2
ip -n three-ways-host link set dev 'three-way~d3629' master three-ways-lan alias guestwire:three-ways:three-ways-old.0 addrgenmode none
ip -n three-ways-host link set dev 'three-way~d3629' up
ip -n three-ways-host link set dev 'three-way~4febf' address de:b9:43:e3:d8:7c
ip -n three-ways-host link set dev 'three-way~4febf' master 'three-way~f46a2' alias guestwire:three-ways:three-ways-web.0 addrgenmode none
ip -n three-ways-host link set dev 'three-way~4febf' up
ip -n three-ways-host link set dev 'three-way~85471' alias guestwire:three-ways:three-ways-direct.h up
ip -n three-ways-host link set dev three-ways-vm.0 allmulticast on
ip -n three-ways-host link set dev three-ways-vm.0 alias guestwire:three-ways:three-ways-vm.0 addrgenmode none
ip -n three-ways-host link set dev three-ways-vm.0 up
ip -n three-ways-host address add 198.51.100.10/24 dev eth1
ip -n three-ways-host address add 2001:db8:2::10/64 dev eth1 nodad
ip -n three-ways-host address add 192.0.2.10/24 dev three-ways-lan
ip -n three-ways-host address add 2001:db8:1::10/64 dev three-ways-lan nodad
ip -n three-ways-host address add 10.77.0.1/24 dev 'three-way~f46a2'
ip -n three-ways-host address add fd00:77::1/64 dev 'three-way~f46a2' nodad
ip -n three-ways-host address add 198.51.100.10/32 dev 'three-way~85471'
ip -n three-ways-host address add 2001:db8:2::10/128 dev 'three-way~85471' nodad
ip -n three-ways-host route add 0.0.0.0/0 via 192.0.2.1 dev three-ways-lan proto 103
ip -n three-ways-host -6 route add ::/0 via 2001:db8:1::1 dev three-ways-lan metric 1024 proto 103
ip -n three-ways-host route add 198.51.100.200/32 dev 'three-way~85471' proto 103
ip -n three-ways-host -6 route add 2001:db8:2::200/128 dev 'three-way~85471' metric 1024 proto 103
ip -n three-ways-host route add 198.51.100.201/32 dev 'three-way~85471' proto 103
ip -n three-ways-host -6 route add 2001:db8:2::201/128 dev 'three-way~85471' metric 1024 proto 103
ip -n three-ways-host route add 198.51.100.202/32 dev 'three-way~85471' proto 103
ip -n three-ways-host -6 route add 2001:db8:2::202/128 dev 'three-way~85471' metric 1024 proto 103
ip -n three-ways-host route add 198.51.100.203/32 dev 'three-way~85471' proto 103
ip -n three-ways-host -6 route add 2001:db8:2::203/128 dev 'three-way~85471' metric 1024 proto 103
ip -n three-ways-internet link set dev eth0 address ae:e2:e4:4f:3b:6a
ip -n three-ways-internet link set dev eth0 alias guestwire:three-ways:eth0 up
ip -n three-ways-internet address add 203.0.113.1/24 dev eth0
ip -n three-ways-internet address add 2001:db8:ffff::1/64 dev eth0 nodad
ip -n three-ways-internet -6 route add 2001:db8::/32 via 2001:db8:ffff::2 dev eth0 metric 1024 proto 103
ip -n three-ways-lan link set dev eth0 address 2e:82:ce:26:03:fc
ip -n three-ways-lan link set dev eth0 alias guestwire:three-ways:eth0 up
ip -n three-ways-lan link set dev eth1 address 26:c3:f3:70:2b:8a
ip -n three-ways-lan link set dev eth1 alias guestwire:three-ways:eth1 up
ip -n three-ways-lan address add 192.0.2.100/24 dev eth0
ip -n three-ways-lan address add 2001:db8:1::100/64 dev eth0 nodad
ip -n three-ways-lan address add 198.51.100.100/24 dev eth1
ip -n three-ways-lan address add 2001:db8:2::100/64 dev eth1 nodad
ip -n three-ways-lan route add 0.0.0.0/0 via 192.0.2.1 dev eth0 proto 103
ip -n three-ways-lan -6 route add ::/0 via 2001:db8:1::1 dev eth0 metric 1024 proto 103
ip -n three-ways-many-1 link set dev eth0 alias guestwire:three-ways:eth0 up
ip -n three-ways-many-1 address add 198.51.100.201/24 dev eth0
ip -n three-ways-many-1 address add 2001:db8:2::201/64 dev eth0 nodad
ip -n three-ways-many-1 route add 0.0.0.0/0 via 198.51.100.1 dev eth0 proto 103
ip -n three-ways-many-1 -6 route add ::/0 via 2001:db8:2::1 dev eth0 metric 1024 proto 103
ip -n three-ways-many-2 link set dev eth0 alias guestwire:three-ways:eth0 up
ip -n three-ways-many-2 address add 198.51.100.202/24 dev eth0
ip -n three-ways-many-2 address add 2001:db8:2::202/64 dev eth0 nodad
ip -n three-ways-many-2 route add 0.0.0.0/0 via 198.51.100.1 dev eth0 proto 103
ip -n three-ways-many-2 -6 route add ::/0 via 2001:db8:2::1 dev eth0 metric 1024 proto 103
ip -n three-ways-many-3 link set dev eth0 alias guestwire:three-ways:eth0 up
ip -n three-ways-many-3 address add 198.51.100.203/24 dev eth0
ip -n three-ways-many-3 address add 2001:db8:2::203/64 dev eth0 nodad
ip -n three-ways-many-3 route add 0.0.0.0/0 via 198.51.100.1 dev eth0 proto 103
ip -n three-ways-many-3 -6 route add ::/0 via 2001:db8:2::1 dev eth0 metric 1024 proto 103
ip -n three-ways-old link set dev eth0 address f6:4f:98:54:50:90
ip -n three-ways-old link set dev eth0 alias guestwire:three-ways:eth0 up
ip -n three-ways-old address add 192.0.2.200/24 dev eth0
ip -n three-ways-old address add 2001:db8:1::200/64 dev eth0 nodad
ip -n three-ways-old route add 0.0.0.0/0 via 192.0.2.1 dev eth0 proto 103
ip -n three-ways-old -6 route add ::/0 via 2001:db8:1::1 dev eth0 metric 1024 proto 103
guestwire cable add three-ways three-ways-old/eth0 'three-ways-host/three-way~d3629'
ip -n three-ways-proxy link set dev eth0 address f2:57:46:b5:e3:63 mtu 1500
ip -n three-ways-proxy link set dev eth0 alias guestwire:three-ways:eth0 up
ip -n three-ways-proxy link set dev eth1 address 26:fe:92:46:f5:08 mtu 1500
ip -n three-ways-proxy link set dev eth1 alias guestwire:three-ways:eth1 up
ip -n three-ways-proxy address add 192.0.2.201/24 dev eth0
ip -n three-ways-proxy address add 2001:db8:1::201/64 dev eth0 nodad
ip -n three-ways-proxy address add 10.77.0.3/24 dev eth1
ip -n three-ways-proxy address add fd00:77::3/64 dev eth1 nodad
ip -n three-ways-proxy route add 0.0.0.0/0 via 192.0.2.1 dev eth0 proto 103
ip -n three-ways-proxy -6 route add ::/0 via 2001:db8:1::1 dev eth0 metric 1024 proto 103
ip -n three-ways-vm link set dev eth0 address 92:60:30:4a:33:39
ip -n three-ways-vm link set dev eth0 alias guestwire:three-ways:eth0 up
ip -n three-ways-vm address add 198.51.100.200/24 dev eth0
ip -n three-ways-vm address add 2001:db8:2::200/64 dev eth0 nodad
ip -n three-ways-vm route add 0.0.0.0/0 via 198.51.100.1 dev eth0 proto 103
ip -n three-ways-vm -6 route add ::/0 via 2001:db8:2::1 dev eth0 metric 1024 proto 103
guestwire cable add three-ways three-ways-vm/eth0 three-ways-host/three-ways-vm.0
ip -n three-ways-web link set dev eth0 address a6:19:1c:12:ac:a8
ip -n three-ways-web link set dev eth0 alias guestwire:three-ways:eth0 up
ip -n three-ways-web address add 10.77.0.2/24 dev eth0
ip -n three-ways-web address add fd00:77::2/64 dev eth0 nodad
ip -n three-ways-web route add 0.0.0.0/0 via 10.77.0.1 dev eth0 proto 103
ip -n three-ways-web -6 route add ::/0 via fd00:77::1 dev eth0 metric 1024 proto 103
guestwire cable add three-ways three-ways-web/eth0 'three-ways-host/three-way~4febf'
mkdir -p /run/guestwire/three-ways
ip netns exec three-ways-gateway dnsmasq --conf-file=/dev/null --pid-file=/run/guestwire/three-ways/dhcp-eth0.pid --user=root --group= --no-ping --dhcp-authoritative --bind-interfaces --interface=eth0 --except-interface=lo --port=0 --leasefile-ro --dhcp-range=192.0.2.150,192.0.2.199,255.255.255.0,1h --dhcp-option=option:router,192.0.2.1
mkdir -p /run/guestwire/three-ways
ip netns exec three-ways-gateway dnsmasq --conf-file=/dev/null --pid-file=/run/guestwire/three-ways/dhcp-eth1.pid --user=root --group= --no-ping --dhcp-authoritative --bind-interfaces --interface=eth1 --except-interface=lo --port=0 --leasefile-ro --dhcp-range=198.51.100.150,198.51.100.199,255.255.255.0,1h --dhcp-option=option:router,198.51.100.1
