# shellcheck shell=bash
# No scene but a shell, with the product and the service manager at hand.
need_hub
product
