"""Summaries of what trace headers hold that is no tracepoint, or that may be one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from tpgen.diagnostics import Diagnostic

OTHER_EVENT, UNKNOWN_MACRO = "header-other-event", "header-unknown-macro"
_MOST_WORDS = 4


def joined_notes(skipped: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """Yield a note on all definitions of events that are no tracepoints, and one on all words that may make events."""
    skipped = tuple(skipped)
    for code in (OTHER_EVENT, UNKNOWN_MACRO):
        found = [each for each in skipped if each.code == code]
        if len(found) < 2:
            yield from found
            continue
        words = Counter(each.message.partition(" ")[0] for each in found)
        if code == OTHER_EVENT:
            message = f"{_enumerated(f'{n} {word}' for word, n in words.items())} are no tracepoints and left out"
            first = found[0]._replace(position=None, chain=())
        else:
            are, they = ("is", "it") if len(words) == 1 else ("are", "they")
            message = f"{_enumerated(words)} {are} not defined here; {they} may make events, in {len(found)} places"
            first = found[0]
        yield first._replace(message=message, hint="`tpgen check` tells each")


def _enumerated(texts: Iterable[str]) -> str:
    texts = list(texts)
    more = len(texts) - _MOST_WORDS
    return ", ".join(texts[:_MOST_WORDS]) + (f" and {more} more" if more > 0 else "")


def other_event(skipped: Iterable[Diagnostic], name: str) -> Diagnostic | None:
    """Return what was said of the definition `name` that is no tracepoint; None where there is no such."""
    return next((d for d in skipped if d.code == OTHER_EVENT and d.message.split(" ", 2)[1] == name), None)


def placed(found: Diagnostic) -> str:
    """Say what was found and where, without its code."""
    return f"{found.position}: {found.message}" if found.position else found.message
