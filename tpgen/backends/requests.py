"""Requests of backends that make one file of many events: their names, their values, those that can be met."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tpgen.backends.base import Form, Request
from tpgen.backends.naming import distinct
from tpgen.diagnostics import fail
from tpgen.model import Event
from tpgen.target import Target
from tpgen.values import Value, classic_values, raw_values

#: What the name of a form of an event begins with, in every language.
PREFIXES = {Form.RAW: "raw", Form.CLASSIC: "tp"}


def request_names(requests: Sequence[Request]) -> list[str]:
    """`raw_<event>` and `tp_<event>`; of several with one name, the module's or the system's stands behind it."""
    plain = [f"{PREFIXES[request.form]}_{request.event.name}" for request in requests]
    apart = told_apart([(name, request.event) for name, request in zip(plain, requests, strict=True)])
    return distinct(name if word is None else f"{name}_{word}" for name, word in zip(plain, apart, strict=True))


def told_apart(named: Sequence[tuple[str, Event]]) -> list[str | None]:
    """The word that tells each event from others with its name: its module, or the system of one of several without.

    None where the name alone does.
    """
    count = Counter(name for name, _ in named)
    without_module = Counter(name for name, event in named if event.module is None)
    return [
        None if count[name] < 2 else event.module or (event.system if without_module[name] > 1 else None)
        for name, event in named
    ]


def values_of(request: Request, target: Target) -> tuple[Value, ...]:
    """Values of the requested form: the raw arguments or the fields of the record."""
    values = raw_values if request.form == Form.RAW else classic_values
    return values(request.event, target)


def with_tracepoints(requests: Sequence[Request]) -> tuple[Request, ...]:
    """The requests without the raw arguments of system calls: their programs attach to sys_enter, which is for all.

    Raises `no-such-form` where nothing is left.
    """
    left = tuple(r for r in requests if r.form == Form.CLASSIC or r.event.attach_name is not None)
    if requests and not left:
        raise fail("no-such-form", f"no raw form of {requests[0].event.title}: it has no raw tracepoint of its own")
    return left
