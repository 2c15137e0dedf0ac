# shellcheck shell=bash
# Takes the product and the black-box suite's programs along.
product
while read -r program _; do
    tests_of tests "$program"
done < <(sed 's/#.*//' tests/virtual-device/scenes/gki/tests.txt | grep .)
