"""The pages that list events: by system, module, kernel, type, name and letter, and the system calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from tpgen.atlas import paths
from tpgen.atlas.changes import Compared
from tpgen.atlas.index import EventRow, Index, Use
from tpgen.atlas.pages import File, KernelLink, Pages
from tpgen.atlas.paths import fragment, letter_of, path_of
from tpgen.atlas.search.facts import IndexedEvent, SearchIndex
from tpgen.atlas.search.scripts import script_files
from tpgen.model import Kind
from tpgen.programs.forms import Form


def list_pages(pages: Pages, index: Index, pairs: Sequence[Compared]) -> Iterator[File]:
    """All pages that list events. `pairs` are the kernels that have a page of changes."""
    yield from _home(pages, index)
    yield from _search(pages, index)
    yield from _systems(pages, index)
    yield from _modules(pages, index)
    yield from _kernels(pages, index, pairs)
    yield from _types(pages, index)
    yield from _names(pages, index)
    for form in Form:
        yield from _values(pages, index, form)
    yield from _syscalls(pages, index)


def _home(pages: Pages, index: Index) -> Iterator[File]:
    systems = index.systems()
    counts = {"events": len(index.events), "kernels": len(pages.kernels), "systems": len(systems)}
    description = (
        f"What {counts['events']} tracepoints and events of {counts['kernels']} Linux kernels hand out: raw arguments,"
        " classic records, and what changed from kernel to kernel."
    )
    document = {**counts, "kernel_names": [kernel.name for kernel in pages.kernels]}
    yield from pages.page(
        "index.html", "home", "", description, document,
        counts=counts, kernels=pages.links, event_letters=_counts(row.name for row in index.events),
    )  # fmt: skip


def _search(pages: Pages, index: Index) -> Iterator[File]:
    """The page of all that a search finds, which the script fills, and the names that it looks through."""
    description = "Search the names of events, arguments, fields and types of Linux."
    yield File("search.html", pages.html("search.html", "search", "", description, {}, has_json=False))
    for name, text in script_files(_names_to_search(pages, index)).items():
        yield File(f"search/{name}", text.encode())


def _names_to_search(pages: Pages, index: Index) -> SearchIndex:
    names = {form: {name: len(events) for name, events in index.names[form].items()} for form in Form}
    return SearchIndex(
        [
            IndexedEvent(
                row.system,
                row.name,
                row.path,
                row.module if "@" in row.path else None,
                {number for _, numbers in row.modules for number in numbers} >= set(row.kernels),
            )
            for row in index.events
        ],
        names[Form.RAW],
        names[Form.CLASSIC],
        {name: len({use.event for use in uses}) for name, uses in index.types.items()},
        {name: len(rows) for name, rows in index.modules().items()},
        [kernel.name for kernel in pages.kernels],
    )


def _counts(names: Iterable[str]) -> list[tuple[str, int]]:
    """The letters of some names, each with how many begin with it."""
    return sorted(Counter(map(letter_of, names)).items())


def _row(row: EventRow, pages: Pages) -> dict[str, Any]:
    """An event of a list, for programs."""
    return {
        "system": row.system, "name": row.name, "module": row.module, "path": row.path, "arguments": row.arguments,
        "kernels": [pages.kernels[number].name for number in row.kernels], "versions": row.versions,
    }  # fmt: skip


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


# --- systems and modules


def _systems(pages: Pages, index: Index) -> Iterator[File]:
    systems = index.systems()
    rows = [(name, path_of("system", name), len(events)) for name, events in systems.items()]
    description = f"The {len(systems)} systems of events, as tracefs has them."
    document = {"systems": [{"name": name, "path": path, "events": count} for name, path, count in rows]}
    for section, heading in (("systems", "Systems"), ("events", "Events by system")):
        yield from pages.page(
            f"{section}/index.html", "list", section, description, document, heading=heading, rows=rows
        )
    for name, events in systems.items():
        about = f"{_count(len(events), 'event')} of the system {name}, with raw arguments and kernels."
        yield from pages.page(
            path_of("system", name), "system", "systems", about,
            {"name": name, "events": [_row(row, pages) for row in events]},
            name=name, rows=events,
        )  # fmt: skip


def _modules(pages: Pages, index: Index) -> Iterator[File]:
    modules = index.modules()
    rows = [(name, path_of("module", name), len(events)) for name, events in modules.items()]
    description = f"The {len(modules)} modules that have events."
    document = {"modules": [{"name": name, "path": path, "events": count} for name, path, count in rows]}
    yield from pages.page(
        "modules/index.html", "list", "modules", description, document, heading="Modules with events", rows=rows
    )
    for name, events in modules.items():
        about = f"{_count(len(events), 'event')} of the module {name}, with raw arguments and kernels."
        its_own = [row._replace(kernels=numbers) for row, numbers in events]
        yield from pages.page(
            path_of("module", name), "module", "modules", about,
            {"name": name, "events": [_row(row, pages) for row in its_own]},
            name=name, rows=its_own,
        )  # fmt: skip


# --- kernels


def _kernels(pages: Pages, index: Index, pairs: Sequence[Compared]) -> Iterator[File]:
    description = f"The {_count(len(pages.kernels), 'kernel')} of this atlas."
    document = {"kernels": [_kernel(link) for link in pages.links]}
    yield from pages.page("kernels/index.html", "kernels", "kernels", description, document, kernels=pages.links)
    for number, link in enumerate(pages.links):
        systems: dict[str | None, list[EventRow]] = {}
        modules: dict[str, int] = {}
        for row in index.events:
            if number in row.kernels:
                systems.setdefault(row.system, []).append(row)
                for module, having in row.modules:
                    if module is not None and number in having:
                        modules[module] = modules.get(module, 0) + 1
        about = f"{link.name}: {_count(link.events, 'event')} of Linux {link.release or 'unknown'} ({link.arch})."
        changes = [
            (f"{pair.before.name} → {pair.after.name}", pair.path)
            for pair in pairs
            if number in (pair.before.number, pair.after.number)
        ]
        by_system = [
            (name, None if name is None else path_of("system", name), rows)
            for name, rows in sorted(systems.items(), key=lambda item: item[0] or "")
        ]
        yield from pages.page(
            link.path, "kernel", "kernels", about,
            {**_kernel(link), "event_paths": [row.path for row in index.events if number in row.kernels]},
            kernel=link, systems=by_system, changes=changes,
            modules=[(name, path_of("module", name), count) for name, count in sorted(modules.items())],
        )  # fmt: skip


def _kernel(link: KernelLink) -> dict[str, Any]:
    return {
        "name": link.name, "path": link.path, "release": link.release, "arch": link.arch,
        "big_endian": link.big_endian, "pointer_size": link.bits // 8, "events": link.events,
    }  # fmt: skip


# --- types


def _types(pages: Pages, index: Index) -> Iterator[File]:
    rows = [(name, path_of("type", name), len(uses)) for name, uses in sorted(index.types.items())]
    description = f"The {len(rows)} types that events hand out, or pointers to them."
    document = {"types": [{"name": name, "path": path, "uses": count} for name, path, count in rows]}
    yield from pages.page("types/index.html", "list", "types", description, document, heading="Types", rows=rows)
    for name, uses in sorted(index.types.items()):
        yield from _type(pages, index, name, uses)


def _type(pages: Pages, index: Index, name: str, uses: Sequence[Use]) -> Iterator[File]:
    of_form = {form: [use for use in uses if use.form == form] for form in Form}
    parts = [
        (heading, [_use(index, use) for use in of_form[form]])
        for form, heading in ((Form.RAW, "As a raw argument"), (Form.CLASSIC, "In the classic record"))
        if of_form[form]
    ]
    count = len({use.event for use in uses})
    about = f"{_count(count, 'event')} of Linux that hand out {name}, or a pointer to it."
    document = {
        "name": name,
        "uses": [
            {
                "event": index.events[use.event].path, "form": use.form.value, "name": use.name,
                "declaration": use.declared, "kernels": [pages.kernels[number].name for number in use.kernels],
            }
            for use in uses
        ],
    }  # fmt: skip
    yield from pages.page(path_of("type", name), "type", "types", about, document, name=name, parts=parts)


def _use(index: Index, use: Use) -> tuple[EventRow, str, str, tuple[int, ...]]:
    return index.events[use.event], use.declared, fragment(_ID[use.form], use.name), use.kernels


_ID: Mapping[Form, Literal["arg", "field"]] = {Form.RAW: "arg", Form.CLASSIC: "field"}


# --- names


def _names(pages: Pages, index: Index) -> Iterator[File]:
    counts = _counts(row.name for row in index.events)
    description = f"The names of {len(index.events)} events of Linux, from A to Z."
    heading = "Events from A to Z"
    yield from pages.page(
        "names/index.html", "letters", "events", description, {"letters": dict(counts)},
        heading=heading, counts=counts, kind="names",
    )  # fmt: skip
    for letter, _ in counts:
        rows = sorted((row for row in index.events if letter_of(row.name) == letter), key=lambda row: row.name)
        yield from pages.page(
            path_of("names", letter), "names", "events", f"Events of Linux whose names begin with {letter}.",
            {"letter": letter, "events": [_row(row, pages) for row in rows]},
            heading=f"{heading}: {letter}", rows=rows, counts=counts, kind="names", letter=letter,
        )  # fmt: skip


_OF_FORM: Mapping[Form, tuple[paths.Kind, str]] = {
    Form.RAW: ("arguments", "Arguments"),
    Form.CLASSIC: ("fields", "Fields"),
}


def _values(pages: Pages, index: Index, form: Form) -> Iterator[File]:
    names = index.names[form]
    kind, title = _OF_FORM[form]
    counts = _counts(names)
    heading = f"{title} from A to Z"
    description = f"The {len(names)} names of {kind} of Linux events, with the events that have them."
    yield from pages.page(
        f"{kind}/index.html", "letters", "events", description, {"letters": dict(counts)},
        heading=heading, counts=counts, kind=kind,
    )  # fmt: skip
    for letter, _ in counts:
        chosen = sorted(name for name in names if letter_of(name) == letter)
        values = []
        for name in chosen:
            values.append((name, fragment(_ID[form], name), [index.events[number] for number in names[name]]))
        yield from pages.page(
            path_of(kind, letter), "values", "events", f"{title} of Linux events whose names begin with {letter}.",
            {"letter": letter, "names": {name: [index.events[n].path for n in names[name]] for name in chosen}},
            heading=f"{heading}: {letter}", values=values, counts=counts, kind=kind, letter=letter,
        )  # fmt: skip


# --- system calls


def _syscalls(pages: Pages, index: Index) -> Iterator[File]:
    arches = sorted({kernel.target.arch for kernel in pages.kernels})
    calls: dict[str, list[EventRow]] = {}
    for row in index.events:
        if row.kind == Kind.SYSCALL:
            calls.setdefault(row.name.removeprefix("sys_enter_").removeprefix("sys_exit_"), []).append(row)
    rows = [_call(name, events, arches) for name, events in sorted(calls.items())]
    description = f"The {len(rows)} system calls that tracepoints report, with arguments and numbers by architecture."
    document = {
        "calls": [
            {
                "name": call["name"], "arguments": call["arguments"], "events": [path for _, path in call["events"]],
                "numbers": {arch: number for arch, number in zip(arches, call["numbers"], strict=True) if number != ""},
            }
            for call in rows
        ]
    }  # fmt: skip
    yield from pages.page(
        "syscalls/index.html", "syscalls", "syscalls", description, document, calls=rows, arches=arches
    )


def _call(name: str, events: Sequence[EventRow], arches: Sequence[str]) -> dict[str, Any]:
    numbers: dict[str, int] = {}
    for row in events:
        numbers |= dict(row.calls)
    enter = next((row for row in events if row.name.startswith("sys_enter_")), None)
    return {
        "name": name,
        "arguments": "" if enter is None else enter.arguments or "void",
        "numbers": [numbers.get(arch, "") for arch in arches],
        "events": [(row.name, row.path) for row in events],
    }
