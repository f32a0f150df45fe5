#!/bin/sh
# The first process of a whole host as a guest: this machine's own / below a file system in memory. It hands over to
# `command` in the folder named on the kernel's command line, which finds the ports for what it says in /dev.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r module; do
    insmod "/modules/$module.ko"
done </modules/order
read -r words </proc/cmdline
for word in $words; do
    case $word in
        folder=*) folder=${word#folder=} ;;
        modules=*) modules=${word#modules=} ;;
    esac
done

mkdir -p /lower /upper /new
mount -t virtiofs -o ro root /lower
mount -t tmpfs -o size=75% upper /upper
mkdir -p /upper/upper /upper/work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/upper,workdir=/upper/work root /new
cd /new || exit 1
mkdir -p lib/modules proc sys dev run tmp
ln -sfn "$modules" "lib/modules/${modules##*/}"
for place in proc sys dev; do
    mount --move "/$place" "$place"
done
mount -t tmpfs run run
case $folder in
    /tmp/*) ;; # the checkout is in there
    *) mount -t tmpfs -o mode=1777 tmp tmp ;;
esac
mkdir -p dev/pts dev/shm
ln -s /proc/self/fd dev/fd # as udev has it
mount -t devpts -o gid=5,mode=620,ptmxmode=666 pts dev/pts
mount -t tmpfs shm dev/shm
mount -t cgroup2 cgroup sys/fs/cgroup
echo other >proc/sys/kernel/hostname
ip link set lo up

for port in /new/sys/class/virtio-ports/*; do
    read -r name <"$port/name"
    ln -s "${port##*/}" "dev/$name"
done
exec switch_root /new "$folder/command"
