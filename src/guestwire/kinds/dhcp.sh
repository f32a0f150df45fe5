#!/bin/sh
# What udhcpc runs at each event of a guest's lease, as busybox's udhcp README has it: the event is the first word, the
# lease is in the variables interface, ip, mask, lease, serverid, router, dns, domain, staticroutes.
#
# guestwire says the rest: LEASE_FILE, where the lease is noted for `up` and `status`, last of all; LEASE_METRIC, that of
# the default route, empty where another NIC has it; LEASE_RESOLV, the guest's resolv.conf, empty where the file says what
# is in it; LEASE_OWNER, the project; LEASE_KEEPER, the process that the namespace is there for, empty where it is ours.
# shellcheck disable=SC2154  # they come from outside
set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
umask 022
mark="# guestwire: $LEASE_OWNER"

# What was noted of the lease so far.
had_address='' had_renewed=0
remember() {
    [ -e "$LEASE_FILE" ] || return 0
    while IFS='=' read -r key value; do
        case $key in
            address) had_address=$value ;;
            renewed) had_renewed=$value ;;
        esac
    done <"$LEASE_FILE"
}

# Take away what the lease has set; of addresses that one only.
forget() {
    [ -n "$had_address" ] || return 0
    ip route flush dev "$interface" proto dhcp 2>/dev/null || true
    ip address delete "$had_address" dev "$interface" 2>/dev/null || true
    if [ -n "$LEASE_RESOLV" ] && ours; then
        rm -f "$LEASE_RESOLV"
        rmdir "${LEASE_RESOLV%/*}" 2>/dev/null || true
    fi
    rm -f "$LEASE_FILE"
    had_address='' had_renewed=0
}

# Whether the guest's resolv.conf is ours, or not there.
ours() {
    [ -e "$LEASE_RESOLV" ] || return 0
    read -r first <"$LEASE_RESOLV" && [ "$first" = "$mark" ]
}

# Write standard input to a file in one go.
put() {
    cat >"$1.new"
    mv "$1.new" "$1"
}

routes() {
    if [ -n "${staticroutes:-}" ]; then # with them the router counts for nothing (RFC 3442)
        # shellcheck disable=SC2086
        set -- $staticroutes
        while [ $# -ge 2 ]; do
            case $1 in
                0.0.0.0/0 | default) [ -z "$LEASE_METRIC" ] || default_route "$2" ;;
                *) route "$1" "$2" ;;
            esac
            shift 2
        done
    elif [ -n "${router:-}" ] && [ -n "$LEASE_METRIC" ]; then
        default_route "${router%% *}"
    fi
}

default_route() { route default "$1" metric "$LEASE_METRIC"; }

# A route to $1 through $2, straight on where that is 0.0.0.0, with what else is said.
route() {
    to=$1 through=$2
    shift 2
    if [ "$through" = 0.0.0.0 ]; then
        ip route replace "$to" dev "$interface" proto dhcp scope link "$@"
    else # a router may be outside the prefix, as where that is /32
        ip route replace "$to" via "$through" dev "$interface" proto dhcp "$@" 2>/dev/null ||
            ip route replace "$to" via "$through" dev "$interface" proto dhcp onlink "$@"
    fi
}

wrote=''
resolv() {
    [ -n "$LEASE_RESOLV" ] && [ -n "${dns:-}" ] && ours || return 0
    wrote=$LEASE_RESOLV
    mkdir -p "${LEASE_RESOLV%/*}"
    {
        echo "$mark"
        [ -z "${domain:-}" ] || echo "search $domain"
        for server in $dns; do echo "nameserver $server"; done
    } | put "$LEASE_RESOLV"
}

# A container's client ends with it, if late: it alone would keep the namespace, and its address would go on answering.
# shellcheck disable=SC3013  # dash and busybox have -ef
if [ "$1" != deconfig ] && [ -n "${LEASE_KEEPER:-}" ] && ! [ "/proc/$LEASE_KEEPER/ns/net" -ef /proc/self/ns/net ]; then
    kill "$PPID"
    exit
fi

remember
case $1 in
    deconfig) forget ;;
    bound | renew)
        address=$ip/${mask:-32}
        [ "$address" = "$had_address" ] || forget
        [ "$1" = bound ] || had_renewed=$((had_renewed + 1))
        seconds=${lease:-4294967295}
        [ "$seconds" -lt 4294967295 ] && lifetime=$seconds || lifetime=forever
        ip address replace "$address" broadcast + dev "$interface" valid_lft "$lifetime" preferred_lft "$lifetime"
        routes
        resolv
        put "$LEASE_FILE" <<END
link=$interface
resolv=$wrote
address=$address
server=${serverid:-}
router=${router:-}
dns=${dns:-}
since=$(date +%s)
seconds=$seconds
renewed=$had_renewed
END
        ;;
esac
