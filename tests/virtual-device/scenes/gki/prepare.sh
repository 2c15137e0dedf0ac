# shellcheck shell=bash
# Takes the product and the black-box suite's programs along.
[ "$seconds" -ge 1800 ] || seconds=1800
product
while read -r program _; do
    tests_of tests "$program"
done < <(sed 's/#.*//' tests/virtual-device/scenes/gki/tests.txt | grep .)
