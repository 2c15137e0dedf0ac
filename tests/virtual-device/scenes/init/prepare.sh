# shellcheck shell=bash
# Sourced by ../../run: guestnetd and its .rc, the stand-in for init, and the suite.
product
program /system/bin "$target/debug/android-init"
program /device "$target/debug/init-suite"
cp init/guestnetd.rc "$stage/device/"
