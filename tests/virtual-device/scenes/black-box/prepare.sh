# shellcheck shell=bash
# Takes the product and the black-box suite along.
product
tests_of tests
