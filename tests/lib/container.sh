# shellcheck shell=bash
# A real LXC container from Debian's busybox template, beside the device: $container, its files in
# $container_dir. Every LXC tool runs in the device's namespace: they find the container by an
# abstract socket, which is per namespace, and its hooks run there. Needs ui.sh and device.sh.

container=gnt-$$
container_dir='' # a directory of its own; it is not removed here

lxc_tool() {
    local tool=$1
    shift
    in_device "lxc-$tool" -P "$container_dir" -n "$container" "$@" </dev/null
}

make_container() {
    lxc_tool create -q -t busybox -f "${BASH_SOURCE[0]%/*}/container.conf"
}

start_container() {
    lxc_tool start -o "$container_dir/log" -l INFO || { cat "$container_dir/log"; return 1; }
    within 5 inside true
}

# The pid of its init, as the device sees it.
container_pid() { lxc_tool info -p -H; }

# Without our environment: a proxy in it is none of the container's.
inside() { lxc_tool attach --clear-env -- "$@"; }

remove_container() {
    [ -d "$container_dir/$container" ] || return 0
    lxc_tool stop -k 2>/dev/null || true
    lxc_tool destroy >/dev/null || true
    # What LXC itself leaves: a lock file under the container's whole path, always; the monitor's
    # cgroup, when a process of its own was still in there.
    rm -rf "/run/lxc/lock$container_dir"
    local cgroup
    for cgroup in /sys/fs/cgroup/{,*/}lxc.{monitor,payload}."$container"; do
        [ ! -d "$cgroup" ] || within 1 rmdir "$cgroup" || true
    done
}
