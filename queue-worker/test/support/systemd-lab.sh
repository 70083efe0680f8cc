#!/bin/sh
# A systemd of its own, in namespaces of its own: nothing of the machine's is seen or changed but its network. As root:
#   unshare --mount --pid --fork --cgroup --mount-proc sh systemd-lab.sh <folder> <node_modules> <environment file> <unit>… <drop-ins>
# <folder> becomes /opt/queue-worker, the file /etc/queue-worker/env; systemctl is reached with nsenter.
set -e
folder=$1 modules=$2 environment=$3
shift 3

mount --make-rprivate /
mount -t tmpfs tmpfs /run
etc=/run/etc
mkdir -p "$etc"
cp -a /etc/. "$etc"
rm -rf "$etc/systemd" "$etc/queue-worker"
mkdir -p "$etc/systemd/system" "$etc/queue-worker"
cp "$environment" "$etc/queue-worker/env"
chmod 600 "$etc/queue-worker/env"
for file in "$@"; do
  # The folder of drop-ins, which comes last, is for all of them.
  case $file in
  *.d) for unit in queue-worker queue-scheduler; do cp -r "$file" "$etc/systemd/system/$unit.service.d"; done ;;
  *) cp "$file" "$etc/systemd/system" ;;
  esac
done
# In place of the machine's own units, which stay out of this.
for target in sysinit basic shutdown umount network-online multi-user lab; do
  printf '[Unit]\nDefaultDependencies=no\n' >"$etc/systemd/system/$target.target"
done
mount --bind "$etc" /etc
mount -t tmpfs tmpfs /opt
mkdir /opt/queue-worker
mount --bind "$folder" /opt/queue-worker
mount --bind "$modules" /opt/queue-worker/node_modules
mount -t tmpfs tmpfs /var/lib
mount -t tmpfs tmpfs /tmp
chmod 1777 /tmp
umount -l /sys/fs/cgroup || true
mount -t cgroup2 none /sys/fs/cgroup

cd /
exec env -i PATH="$PATH" container=lab SYSTEMD_UNIT_PATH=/etc/systemd/system \
  /lib/systemd/systemd --system --unit=lab.target --log-target=console --show-status=0
