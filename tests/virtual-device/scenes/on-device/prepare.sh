# shellcheck shell=bash
# Takes the product, the service manager and the suite for devices along.
need_hub
product
tests_of guestnet_device_tests --test on_device
