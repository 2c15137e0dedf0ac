# shellcheck shell=bash
# Takes the product and the suite for devices along.
product
tests_of tests/on-device guestnetd_test
