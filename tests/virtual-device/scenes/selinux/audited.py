#!/usr/bin/env python3
"""A policy, as m4 leaves it, that has logged what the rules of one of its files grant: audited.py NAME <POLICY

Behind each allow of that file stands the same as an auditallow.
"""

import re
import sys


def main():
    # m4 says where each file begins.
    files = re.split(r'^(?=#line \d+ ")', sys.stdin.read(), flags=re.M)
    for text in files:
        if text.partition("\n")[0].endswith(f'/{sys.argv[1]}"'):
            text = re.sub(r"^\s*(allow\b[^;]*;)", r"\g<0>\naudit\1", text, flags=re.M)
        print(text, end="")


main()
