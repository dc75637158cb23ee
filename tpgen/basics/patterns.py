"""Regular expressions that are compiled when they are first used, and what takes none.

To import `re` and to compile those that a run for one event never uses took a tenth of it.
"""

from __future__ import annotations

from tpgen.basics.typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import re

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"
#: The characters of names in C.
NAME_CHARACTERS = f"{_LETTERS}0123456789"


def pattern(text: str) -> re.Pattern[str]:
    """The regular expression, with its flags in it, as `(?a)` for ASCII."""
    return cast("re.Pattern[str]", _Pattern(text))


class _Pattern:
    """A regular expression that is compiled when one of its methods is first used."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __getattr__(self, name: str) -> object:
        import re

        method: object = getattr(re.compile(self._text), name)
        setattr(self, name, method)
        return method


def is_made_of(characters: str, text: str) -> bool:
    """Whether the text has only these characters, and at least one."""
    return bool(text) and not text.strip(characters)


def is_c_name(text: str) -> bool:
    """Whether the text is made like a name in C, of letters, digits and `_`; it may be a word of C."""
    return text.isascii() and text.isidentifier()
