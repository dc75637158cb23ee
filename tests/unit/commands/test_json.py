"""Every `--json` against its schema: what the schema does not know of is an error here, though not for users."""

from __future__ import annotations

import json

import jsonschema
import pytest
from support.cli import tpgen
from support.json_schemas import SCHEMAS, validator

SEVERAL = ("--kernel", "6.1", "--kernel", "6.12")

#: By schema, command lines without `--json`: together they print whatever there is of that kind.
COMMANDS: dict[str, list[tuple[str, ...]]] = {
    "show": [
        ("show", "sched:*", "kfree_skb", "xdp:*", "sys_*er_openat", "--kernel", "6.12"),
        ("show", "sched:*", "kfree_skb", *SEVERAL),
    ],
    "list": [("list", "--kernel", "6.12"), ("list", "sched:*", "xfs:*", *SEVERAL)],
    "check": [("check", "--kernel", "6.12"), ("check", "sched:*", *SEVERAL)],
    "diff": [("diff", "6.1", "7.2"), ("diff", "5.10", "6.1", "6.12-arm64", "sched:*")],
    "history": [("history", "sched:*", "writeback:*", "nfs*:*"), ("history", "kfree_skb", "--kernel", "6.1")],
    "catalog-list": [("catalog", "list"), ("catalog", "list", "6.12")],
    "catalog-show": [("catalog", "show", "debian-*"), ("catalog", "show", "6.12")],
    "backends": [("backends",)],
    "probe": [("probe",), ("probe", "--release", "4.16"), ("probe", "--kernel", "6.12")],
}


@pytest.mark.parametrize(
    ("name", "command"), [pytest.param(name, each, id=" ".join(each)) for name in COMMANDS for each in COMMANDS[name]]
)
def test_it_is_as_its_schema_has_it(name: str, command: tuple[str, ...]) -> None:
    printed = json.loads(tpgen(*command, "--json").out)
    assert printed != []
    validator(name).validate(printed)


def test_a_key_that_no_schema_tells_of_is_found() -> None:
    (event,) = json.loads(tpgen("show", "sched_switch", "--kernel", "6.12", "--json").out)
    with pytest.raises(jsonschema.ValidationError, match="'more' was unexpected"):
        validator("show").validate([event | {"more": 1}])
    with pytest.raises(jsonschema.ValidationError, match="'version' is a required property"):
        validator("show").validate([{name: value for name, value in event.items() if name != "version"}])


#: Those that other tests hold against their schema: the doctor needs compiled programs, a build its project.
ELSEWHERE = {"build", "doctor"}


def test_every_schema_is_held_against_output() -> None:
    assert {path.name.removesuffix(".schema.json") for path in SCHEMAS.iterdir()} == set(COMMANDS) | ELSEWHERE
