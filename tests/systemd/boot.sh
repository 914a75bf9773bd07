#!/bin/sh
# The first process of a machine: takes its own of what machines share, and becomes systemd. $1 is the directory where all
# that it writes to /etc, /var/lib and /root is kept, over what this machine has there.
set -e
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
for own in etc var/lib root; do
  mkdir -p "$1/$own" "$1/work/$own"
  mount -t overlay overlay -o "lowerdir=/$own,upperdir=$1/$own,workdir=$1/work/$own" "/$own"
done
mkdir -p "$1/units" /var/lib/systemd/linger
mount --bind "$1/units" /etc/systemd/system # none of the services of this machine
touch /var/lib/systemd/linger/root # its services are there without a login

# What would touch devices, the kernel, consoles or files of this machine.
for unit in systemd-udevd.service systemd-udevd-kernel.socket systemd-udevd-control.socket systemd-udev-trigger.service \
  systemd-modules-load.service systemd-sysctl.service systemd-binfmt.service systemd-random-seed.service \
  systemd-remount-fs.service systemd-tmpfiles-setup.service systemd-tmpfiles-setup-dev.service \
  systemd-tmpfiles-clean.timer systemd-sysusers.service systemd-firstboot.service systemd-machine-id-commit.service \
  systemd-update-utmp.service systemd-journal-flush.service keyboard-setup.service console-setup.service \
  console-getty.service getty.target local-fs.target swap.target cryptsetup.target tmp.mount dev-hugepages.mount \
  dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount \
  sys-fs-fuse-connections.mount proc-sys-fs-binfmt_misc.automount; do
  ln -sf /dev/null "/etc/systemd/system/$unit"
done

umount -R /sys/fs/cgroup
mount -t tmpfs tmpfs /sys/fs/cgroup
mkdir /sys/fs/cgroup/unified /sys/fs/cgroup/systemd
mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
ip link set lo up

export container=stratavore
exec /lib/systemd/systemd --system --unit=multi-user.target --log-target=console --show-status=no
