"""A kernel's configuration: a .config or an autoconf.h."""

from __future__ import annotations

import re

_ASSIGNMENT = re.compile(r"^(CONFIG_\w+)=(.*)$", re.MULTILINE)
_DEFINITION = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)(?:[ \t]+(.*))?$", re.MULTILINE)
_COMMENT = re.compile(r"/\*.*?(?:\*/|$)|//.*")


def parse_config(text: str) -> dict[str, str]:
    """Return each option that is set, with `y`, `m` or its value; strings without their quotes.

    `text` is a .config (`CONFIG_FOO=m`), an autoconf.h (`#define CONFIG_FOO_MODULE 1`), or any header of defines, as
    drivers outside of the kernel make them (`#define HAVE_FOO 1`).
    """
    config = {name: value.strip().strip('"') for name, value in _ASSIGNMENT.findall(text)}
    for name, value in _DEFINITION.findall(text):
        text = value if value.startswith('"') else _COMMENT.sub("", value)
        plain = text.strip().strip('"')
        if name.startswith("CONFIG_") and name.endswith("_MODULE") and plain == "1":
            config.setdefault(name.removesuffix("_MODULE"), "m")
        else:
            config[name] = "y" if plain == "1" else plain
    return {name: value for name, value in config.items() if value != "n"}
