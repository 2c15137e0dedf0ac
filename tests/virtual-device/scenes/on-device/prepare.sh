# shellcheck shell=bash
# Takes the product and the suite for devices along.
product
tests_of guestnet_on_device --test guestnetd_test
