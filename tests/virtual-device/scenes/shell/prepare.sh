# shellcheck shell=bash
# No scene but a shell, with the product at hand.
product
