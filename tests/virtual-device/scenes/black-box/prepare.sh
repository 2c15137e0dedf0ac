# shellcheck shell=bash
# Takes the product, the service manager and the black-box suite along.
need_hub
product
tests_of guestnet_tests
