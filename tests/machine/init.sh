#!/bin/sh
# The first process of a guest: busybox, what a NIC needs, and a shell on the serial console. Not more.
#
# A NIC's settings stand on the kernel's command line, with commas between: nic=WHICH,SETTING,…
#   WHICH    its MAC, its name (eth0, eth1 … in order of being plugged in), or * for every other
#   SETTING  ADDRESS/PREFIX · via=ADDRESS (default route) · dhcp · mtu=BYTES
# One without settings is set up and gets nothing but its link-local address. NICs may come at any time.
export PATH=/bin HOME=/ PS1='guest# '
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /run/nics
mount -t devpts devpts /dev/pts
echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad  # before there are NICs, which take it on
while read -r module; do
    insmod "/modules/$module.ko"
done </modules/order
hostname guest
ip link set lo up

uevent plugged &  # before the first look, so that none is missed in between
for link in /sys/class/net/eth*; do
    configure "${link##*/}"
done
acpid -c /etc/acpi -l /dev/null -p /run/acpid.pid

for port in /sys/class/virtio-ports/*; do
    if [ -x /agent/qemu-ga ] && grep -qx org.qemu.guest_agent.0 "$port/name" 2>/dev/null; then
        /agent/loader --library-path /agent /agent/qemu-ga -m virtio-serial -p "/dev/${port##*/}" \
            -t /run -f /run/agent.pid -l /run/agent.log &
    fi
done

echo "guest: up"
while :; do
    setsid sh -c 'exec sh <>/dev/ttyS0 >&0 2>&1' || sleep 1
done
