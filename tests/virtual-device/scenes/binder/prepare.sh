# shellcheck shell=bash
# Takes the product, the service manager and the tests of kernel Binder along.
need_hub
product
tests_of guestnet_device_tests --test binder
