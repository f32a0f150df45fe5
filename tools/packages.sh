#!/usr/bin/env bash
# Sees to the system's packages that `demo`, `test` or a bench needs: installs what is missing as root on Debian or
# Ubuntu, saying the line that it runs; elsewhere prints the line and stops.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

# A command that shows that its package is there, and the package.
wanted=(nft:nftables dnsmasq:dnsmasq-base)
case ${1:-} in
    demo) ;;
    test) wanted+=(ip:iproute2 bridge:iproute2 ping:iputils-ping tcpdump:tcpdump udhcpc:udhcpc brctl:bridge-utils
        busybox:busybox as:binutils sysctl:procps tunctl:uml-utilities ifconfig:net-tools systemd-analyze:systemd
        qemu-system-x86_64:qemu-system-x86 qemu-img:qemu-utils genisoimage:genisoimage depmod:kmod
        # The daemon's program alone: no unit that starts it, and no network of its own (libvirt-daemon-system has those).
        libvirtd:libvirt-daemon virsh:libvirt-clients xmllint:libxml2-utils iptables:iptables gcc:gcc
        pkg-config:pkg-config podman:podman crun:crun lxc-start:lxc) ;;
    bench) wanted+=(ip:iproute2 iperf3:iperf3) ;;
    *) echo "usage: tools/packages.sh demo|test|bench" >&2; exit 64 ;;
esac

packages=()
for pair in "${wanted[@]}"; do
    command -v "${pair%%:*}" >/dev/null || packages+=("${pair#*:}")
done
# libvirt-python is built against the library.
if [[ ${1:-} == test ]] && ! pkg-config --exists libvirt 2>/dev/null; then
    packages+=(libvirt-dev)
    [[ $("$(tools/python.sh)" -c 'import sysconfig; print(sysconfig.get_path("include"))') != /usr/include/* ]] || packages+=(python3-dev)
fi
# The virtual environment: Debian keeps pip's part of it in a package of its own.
python=$(tools/python.sh)
"$python" -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)
((${#packages[@]})) || exit 0

mapfile -t packages < <(printf '%s\n' "${packages[@]}" | sort -u)
install=(apt-get install -y --no-install-recommends "${packages[@]}")
if ! command -v apt-get >/dev/null; then
    echo "guestwire: please install (Debian's names): ${packages[*]}" >&2
    exit 69
fi
if ((EUID != 0)); then
    printf 'guestwire: please install what is missing, then try again:\n    sudo apt-get update && sudo %s\n' "${install[*]}" >&2
    exit 77
fi
export DEBIAN_FRONTEND=noninteractive
echo "+ apt-get update"
apt-get update -qq || echo "guestwire: apt-get update met trouble; going on with what it knows" >&2
echo "+ ${install[*]}"
exec "${install[@]}"
