# shellcheck shell=bash
# Takes the product and the tests of kernel Binder along, and a client that is not ours: libgbinder's
# programs, which only Debian sid has.
# shellcheck source=../../../lib/sid.sh
. tests/lib/sid.sh
product
tests_of tests/virtual-device binder
sid_fetch "$cache/gbinder" libgbinder-tools ||
    die "libgbinder-tools cannot be had from Debian sid: $(tail -1 "$cache/gbinder/log" 2>/dev/null)"
mkdir -p "$stage/gbinder"
cp "$cache"/gbinder/root/usr/bin/binder-{call,list,ping} "$stage/gbinder/"
find "$cache/gbinder/root" -name '*.so*' -not -type d -exec cp -L {} "$stage/gbinder/" \;
