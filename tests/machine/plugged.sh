#!/bin/sh
# Called by `uevent` with what the kernel says in the environment: a NIC has come or gone.
[ "$SUBSYSTEM" = net ] || exit 0
case $ACTION in
    add) configure "$INTERFACE" ;;
    remove) rmdir "/run/nics/$INTERFACE" ;;
esac
