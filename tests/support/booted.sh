#!/bin/sh
# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# booted.sh SHARED: becomes systemd, as PID 1 of fresh namespaces (see booted.py, which calls it in them). The machine's
# files lie below an overlay in memory, so nothing that happens inside reaches them; only SHARED is the real directory.
set -eu
shared=$1
base=$shared/root
mkdir -p "$base"
mount -t tmpfs -o mode=755 booted "$base"
mkdir "$base/upper" "$base/work" "$base/new"
mount -t overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" overlay "$base/new"
new=$base/new

mount -t proc proc "$new/proc"
mount --bind "$new/proc/sys" "$new/proc/sys"
mount -o remount,bind,ro "$new/proc/sys"
mount -t sysfs -o ro sysfs "$new/sys"
mount -t cgroup2 cgroup2 "$new/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$new/run"
mount -t tmpfs -o mode=755 tmpfs "$new/dev"
mkdir "$new/dev/pts" "$new/dev/shm" "$new/dev/mqueue"
for node in null zero full random urandom tty; do
    : >"$new/dev/$node"
    mount --bind "/dev/$node" "$new/dev/$node"
done
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$new/dev/pts"
mount -t tmpfs tmpfs "$new/dev/shm"
ln -s pts/ptmx "$new/dev/ptmx"
ln -s /proc/self/fd "$new/dev/fd"
ln -s fd/0 "$new/dev/stdin"
ln -s fd/1 "$new/dev/stdout"
ln -s fd/2 "$new/dev/stderr"

# The same path inside and outside; without what is mounted below it.
mkdir -p "$new$shared"
mount --bind "$shared" "$new$shared"

# Only what belongs to a test runs: nothing that the machine has enabled, nothing that looks after hardware or the kernel.
rm -rf "$new"/etc/systemd/system/*.wants
for unit in apt-daily-upgrade.timer apt-daily.timer containerd.service cron.service docker.service docker.socket \
    dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer getty.target ssh.service \
    systemd-firstboot.service systemd-modules-load.service systemd-networkd.service systemd-networkd.socket \
    systemd-remount-fs.service systemd-resolved.service systemd-sysctl.service systemd-timesyncd.service \
    systemd-udevd.service; do
    ln -sf /dev/null "$new/etc/systemd/system/$unit"
done
: >"$new/etc/fstab"
mkdir -p "$new/etc/tmpfiles.d"
ln -sf /dev/null "$new/etc/tmpfiles.d/tmp.conf" # it would empty /tmp
hostname booted

cd "$new"
mkdir .old
pivot_root . .old
cd /
umount -l /.old
rmdir /.old
mount --make-rshared /
for systemd in /lib/systemd/systemd /usr/lib/systemd/systemd; do
    if [ -x "$systemd" ]; then
        exec env -i container=booted PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
            "$systemd" --system --unit=multi-user.target
    fi
done
