# shellcheck shell=bash
# Takes the product and the suite for devices along.
product
tests_of guestnet_device_tests --test on_device
