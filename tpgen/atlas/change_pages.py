"""The pages of changes between two kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tpgen.atlas.changes import Changes
from tpgen.atlas.pages import File, KernelLink, Pages
from tpgen.diff.changes import KernelsDiff, consequences
from tpgen.diff.render import by_heading, change_json


def change_pages(
    pages: Pages,
    changes: Changes,
    compared: Sequence[tuple[KernelLink, KernelLink, str]],
    progress: Callable[[str, int, int], None],
) -> Iterator[File]:
    """The pages of pairs of kernels, each with its path, and the list of them."""
    rows = []
    for number, (old, new, path) in enumerate(compared):
        progress("changes", number, len(compared))
        found, counts, paths = changes.between(pages.kernel(old.name), pages.kernel(new.name))
        rows.append({"before": old.name, "after": new.name, "path": path, **counts})
        yield from _page(pages, found, counts, paths, (old, new, path))
    description = "Changes for BPF programs from one kernel to another: arguments, records, events that went and came."
    yield from pages.page("changes/index.html", "changes_index", "changes", description, {"pairs": rows}, pairs=rows)


def _page(
    pages: Pages,
    found: KernelsDiff,
    counts: dict[str, int],
    paths: Sequence[str],
    compared: tuple[KernelLink, KernelLink, str],
) -> Iterator[File]:
    old, new, path = compared
    of_event = {id(each): event_path for each, event_path in zip(found.events, paths, strict=True)}
    parts = [
        (heading[:1].upper() + heading[1:], [(each.event, of_event[id(each)], lines) for each, lines in changed])
        for heading, changed in by_heading(found)
    ]
    description = (
        f"{old.name} to {new.name}: of {counts['common']} common events {counts['changed']} changed;"
        f" {counts['gone']} are gone, {counts['new']} are new."
    )
    targets = found.before.target, found.after.target
    document = {
        "before": old.name,
        "after": new.name,
        "counts": counts,
        "events": [
            {
                "system": each.event.system, "name": each.event.name, "module": each.event.module,
                "path": event_path, "consequences": list(map(str, consequences(each.breaks))),
                "changes": [change_json(change, *targets) for change in each.changes],
            }
            for each, event_path in zip(found.events, paths, strict=True)
        ],
    }  # fmt: skip
    yield from pages.page(
        path, "changes", "changes", description, document, before=old, after=new, parts=parts, counts=counts
    )
