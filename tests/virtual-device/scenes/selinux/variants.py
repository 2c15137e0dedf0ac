#!/usr/bin/env python3
"""The statements of guestnetd.te, and copies of it that lack one: variants.py FILE.te [NUMBER]

Without a number: one line for each statement that grants something. With one: the file without it. An
allowxperm is not taken out, which would allow every ioctl, but allows none that there is.
"""

import re
import sys


def statements(text):
    """Where each is, as (start, end): up to its semicolon, or a macro's call."""
    blank = re.sub(r"#.*", lambda comment: " " * len(comment.group()), text)
    pattern = r"^(?:(?:allow|allowxperm|dontaudit|typeattribute)\b[^;]*;|(?!define|ifdef)[a-z_]+\([^)]*\))"
    return [found.span() for found in re.finditer(pattern, blank, re.M)]


def main():
    text = open(sys.argv[1], encoding="utf-8").read()
    found = statements(text)
    if len(sys.argv) == 2:
        for start, end in found:
            print(" ".join(text[start:end].split()))
        return
    start, end = found[int(sys.argv[2])]
    statement = text[start:end]
    rest = re.sub(r"ioctl .*;", "ioctl 0x0000;", statement) if statement.startswith("allowxperm") else ""
    print(text[:start] + rest + text[end:], end="")


main()
