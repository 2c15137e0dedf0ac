# shellcheck shell=bash
# What the scenes share, in the device. Sourced, never run.

# within SECONDS COMMAND...: asks again and again until the answer is yes; fails at the limit.
within() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || { echo "not within the time: $*"; return 1; }
        sleep 0.02
    done
}

# Kernel Binder, for everybody: /dev/binder, and where rsbinder's programs look for it.
open_binder() {
    modprobe binder_linux
    within 5 test -c /dev/binder
    chmod 666 /dev/binder
    mkdir -p /dev/binderfs
    ln -sf ../binder /dev/binderfs/binder
}

# The service manager of kernel Binder.
start_hub() {
    ! pgrep -x rsb_hub >/dev/null || return 0
    /device/rsb_hub --insecure-allow-all >/tmp/hub.log 2>&1 &
    hub=$!
    within 10 /device/rsb_service list
}

export GUESTNETD=/system_ext/bin/guestnetd GUESTNETCTL=/system_ext/bin/guestnetctl
export NETUTILS_WRAPPER=/device/netutils-wrapper

# run_tests PROGRAM...: one after another, one test at a time; only those named $only.
run_tests() {
    local program start status failed=() table=()
    for program; do
        start=$SECONDS status=0
        printf '\n== %s\n' "${program##*/}"
        timeout -k 5 "${limit:-600}" "$program" ${only-} --test-threads=1 2>&1 || status=$?
        [ $status = 0 ] || failed+=("${program##*/}")
        [ $status != 124 ] || echo "it did not end within ${limit:-600} s"
        table+=("$(printf '%-24s %4d s' "${program##*/}" $((SECONDS - start)))")
    done
    printf '%s\n' "" "${table[@]}"
    [ ${#failed[@]} = 0 ] || echo "failed: ${failed[*]}"
    [ ${#failed[@]} = 0 ]
}

# What differs on Android, and guestnetd has to live with: a process sees only its own user's (init
# mounts /proc so), and the TUN device is not everybody's (ueventd.rc). Nothing is loaded on demand
# there: what a phone's kernel has built in is loaded here first.
as_on_android() {
    modprobe -a tun veth iptable_nat iptable_filter iptable_mangle iptable_raw ip6table_filter ip6table_mangle \
        ip6table_raw xt_MASQUERADE xt_nat xt_conntrack xt_connlimit xt_state xt_bpf nf_conntrack_netlink
    mount -o remount,hidepid=2,gid=3009 /proc
    chown 1000:1016 /dev/net/tun
    chmod 660 /dev/net/tun
}
