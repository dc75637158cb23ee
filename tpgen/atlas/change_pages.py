"""The pages of changes between two kernels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tpgen.atlas.changes import Compared
from tpgen.atlas.pages import File, Pages
from tpgen.diff.changes import consequences
from tpgen.diff.render import by_heading, change_json


def change_pages(pages: Pages, compared: Sequence[Compared]) -> Iterator[File]:
    """The pages of pairs of kernels, and the list of them."""
    for pair in compared:
        yield from _page(pages, pair)
    description = "Changes for BPF programs from one kernel to another: arguments, records, events that went and came."
    rows = [
        {"before": pair.before.name, "after": pair.after.name, "path": pair.path, **pair.counts} for pair in compared
    ]
    yield from pages.page("changes/index.html", "changes_index", "changes", description, {"pairs": rows}, pairs=rows)


def _page(pages: Pages, pair: Compared) -> Iterator[File]:
    old, new = pages.links[pair.before.number], pages.links[pair.after.number]
    of_event = {id(each): path for each, path in zip(pair.diff.events, pair.event_paths, strict=True)}
    parts = [
        (heading[:1].upper() + heading[1:], [(each.event, of_event[id(each)], lines) for each, lines in changed])
        for heading, changed in by_heading(pair.diff)
    ]
    counts = pair.counts
    description = (
        f"{old.name} to {new.name}: of {counts['common']} common events {counts['changed']} changed;"
        f" {counts['gone']} are gone, {counts['new']} are new."
    )
    targets = pair.before.target, pair.after.target
    document = {
        "before": old.name,
        "after": new.name,
        "counts": counts,
        "events": [
            {
                "system": each.event.system, "name": each.event.name, "module": each.event.module,
                "path": path, "consequences": list(map(str, consequences(each.breaks))),
                "changes": [change_json(change, *targets) for change in each.changes],
            }
            for each, path in zip(pair.diff.events, pair.event_paths, strict=True)
        ],
    }  # fmt: skip
    yield from pages.page(
        pair.path, "changes", "changes", description, document, before=old, after=new, parts=parts, counts=counts
    )
