# shellcheck shell=bash
# Takes the product and the tests of Wi-Fi along.
product
tests_of tests/virtual-device wifi
