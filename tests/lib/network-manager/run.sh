#!/bin/sh
# NetworkManager as a guest has it: `run.sh ROOT [LINE]...`, with ROOT as unpack.sh prints it and lines of its
# configuration, as the first process of mount and process namespaces of its own. It has a bus of its own, and the
# files that it writes are nobody else's.
set -e
root=$1
shift
LD_LIBRARY_PATH=$(echo "$root"/usr/lib/*-linux-gnu)
export LD_LIBRARY_PATH PATH="$root/usr/bin:$PATH"
mount -t tmpfs none /run
mount -t proc none /proc
# Read-only where no udev is to be waited for, as in a container.
mount -t sysfs -o ro none /sys
mkdir -p /run/dbus /run/nm/conf.d /run/nm/connections /run/nm/lib/NetworkManager
mount --bind /run/nm/lib /var/lib
# resolv.conf is replaced as a whole, which a file that is mounted could not be.
cp -a /etc /run/nm/etc
rm -f /run/nm/etc/resolv.conf
mount --bind /run/nm/etc /etc
cat >/run/dbus/conf <<'END'
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <policy context="default">
    <allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/><allow user="*"/>
  </policy>
</busconfig>
END
dbus-daemon --config-file=/run/dbus/conf --fork --nopidfile
cat >/run/nm/conf <<'END'
[main]
plugins=keyfile
auth-polkit=false
dns=default
rc-manager=file
[keyfile]
path=/run/nm/connections
END
[ $# = 0 ] || printf '%s\n' "$@" >>/run/nm/conf
exec "$root/usr/sbin/NetworkManager" --debug --config /run/nm/conf --config-dir /run/nm/conf.d \
    --system-config-dir /run/nm/conf.d --intern-config /run/nm/intern --state-file /run/nm/state
