#!/bin/sh
# Sets up the NIC that is named, once, as the kernel's command line says; init.sh has the words.
set -f
link=$1
[ -e "/sys/class/net/$link" ] && mkdir "/run/nics/$link" 2>/dev/null || exit 0
mac=$(cat "/sys/class/net/$link/address")
own='' others=''
read -r words </proc/cmdline
for word in $words; do
    case $word in
        nic=\*,*) others=${word#*,} ;;
        nic=$link,* | nic=$mac,*) own=${word#*,} ;;
    esac
done
IFS=,
for setting in ${own:-$others}; do
    case $setting in mtu=*) ip link set "$link" mtu "${setting#mtu=}" ;; esac
done
ip link set "$link" up
for setting in ${own:-$others}; do
    case $setting in
        dhcp) udhcpc -f -i "$link" -s /bin/leased -t 5 -T 1 -A 1 >/dev/null 2>&1 & ;;
        via=*:*) ip -6 route replace default via "${setting#via=}" dev "$link" ;;
        via=*) ip route replace default via "${setting#via=}" dev "$link" ;;
        */*) ip address add "$setting" dev "$link" ;;
    esac
done
echo "guest: $link is set up" >/dev/console
