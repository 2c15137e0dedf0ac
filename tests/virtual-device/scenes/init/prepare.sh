# shellcheck shell=bash
# Sourced by ../../run: guestnetd and its .rc, the stand-in for init, and the suite.
product
user_cargo build --quiet --locked -p guestnet_device_tests
program /system/bin "$target/debug/android-init"
program /device "$target/debug/init-suite"
cp init/guestnetd.rc "$stage/device/"
