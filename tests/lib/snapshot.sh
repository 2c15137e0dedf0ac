#!/usr/bin/env bash
# Writes down everything that a guest's network could leave behind in the network namespace that
# this is run in. Two snapshots are equal if, and only if, nothing was left: no counters, no
# timers, and no empty tables, which the iptables commands make and cannot remove.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

section() { printf '\n== %s\n' "$1"; }
have() { command -v "$1" >/dev/null || { echo "($1 is not installed)"; return 1; }; }

# A kernel that has no nf_tables, as phones' have not, gives this answer to any question.
kernel_has_nft() { [[ $(nft list tables 2>&1) != *'cache initialization failed: Invalid argument'* ]]; }

# An iptables table without rules, own chains or policies but ACCEPT is as good as none.
used_iptables_tables() {
    awk '/^#/ { next }
        /^\*/ { table = $0; used = 0; next }
        /^COMMIT/ { if (used) print table; next }
        /^:/ { table = table "\n" $1 " " $2; used += $2 != "ACCEPT"; next }
        { table = table "\n" $0; used++ }'
}

# The same for the tables that the nf_tables variant of iptables makes.
used_nft_tables() {
    awk '/^#/ { next }
        /^table / {
            table = $0
            used = !(($2 == "ip" || $2 == "ip6") && $3 ~ /^(filter|nat|mangle|raw|security)$/)
            next
        }
        /^}/ { if (used) print table "\n}"; next }
        { table = table "\n" $0; used += !/^(\t*(chain [A-Z]+ {|}|type .*; policy accept;))?$/ }'
}

# What packets have added to a set comes and goes with time (`dynamic`, from the kernel's NFT_SET_EVAL).
settled_nft_sets() {
    awk '/^\tset / { dynamic = 0 }
        /^\t\tflags .*dynamic/ { dynamic = 1 }
        /^\t}/ { dynamic = skipped = 0 }
        dynamic && /^\t\telements = / { skipped = 1 }
        !skipped'
}

# Asked for one link, the kernel first works off a change of its carrier: the list is settled then.
ip -br link | while read -r link _; do ip link show dev "${link%@*}" >/dev/null || true; done
section links; ip -d link | sed -E 's/ (hello|tcn|topology_change|gc|hold|message_age|forward_delay)_timer +[0-9.]+//g'
section addresses; ip -d addr | grep -E '^[0-9]+:|^ +inet' || true
for family in 4 6; do
    section "IPv$family routes"; ip "-$family" -d route show table all
    section "IPv$family rules"; ip "-$family" rule
    section "IPv$family fixed neighbours"; ip "-$family" neigh show nud permanent
done
section nftables
have nft && kernel_has_nft && nft -s list ruleset | settled_nft_sets | used_nft_tables
for program in iptables-legacy-save ip6tables-legacy-save; do
    section "$program"
    # Which of its names a chain of guestnetd's has at the moment is not compared.
    have "$program" && "$program" | used_iptables_tables | sed -E 's/(oem_guestnet_[a-z]+)_[bc]\b/\1/g'
done
section sysctls
cd /proc/sys
# Some cannot be read; one holds a secret that is not set.
{ grep -rs '' net/ipv4/ip_forward net/ipv4/conf net/ipv6/conf || true; } | sort
