#!/bin/sh
# Called by udhcpc with what the server gave in the environment.
# shellcheck disable=SC2154
case $1 in
    deconfig) ip -4 address flush dev "$interface" ;;
    bound | renew)
        ip address replace "$ip/$mask" dev "$interface"
        for gateway in $router; do
            ip route replace default via "$gateway" dev "$interface"
            break
        done
        : >/etc/resolv.conf
        for server in $dns; do
            echo "nameserver $server" >>/etc/resolv.conf
        done
        ;;
esac
