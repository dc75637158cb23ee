"""Instructions that no compiler makes: they are followed as far as they go, within bounds, and nothing is raised."""

from __future__ import annotations

import random
import time

import pytest
from support.bpf_text import SECTION, Assembled, assembled
from support.flow import accesses, analysed, reasons

from tpgen.basics.frozen import replace
from tpgen.doctor.accesses import Unfollowed
from tpgen.doctor.flow.analysis import Flow
from tpgen.doctor.flow.interpreter import Limits
from tpgen.doctor.flow.states import SeenStates, State
from tpgen.doctor.flow.values import Loaded
from tpgen.doctor.relocated import Failed, Relocated, Resolved, Unknown
from tpgen.sources.bpf_object.facts import CoreKind, CoreRelocation, Place, Reference, ReferenceKind
from tpgen.sources.bpf_object.instructions import Instruction

_OFFSETS = (0, 8, -8, -16, 1, -1, 512, -32768, 32767)
_IMMEDIATES = (0, 1, -1, 8, 12, 16, 32, 48, 64, 113, 115, 181, 183, 0xE1, 0xF1, 0x100, -(1 << 31), (1 << 31) - 1)
_FUNCTION, _DATA, _EXTERN, _MAP = ReferenceKind.FUNCTION, ReferenceKind.DATA, ReferenceKind.EXTERN, ReferenceKind.MAP


def random_code(chance: random.Random) -> tuple[Instruction | None, ...]:
    code: list[Instruction | None] = []
    for _ in range(chance.randrange(1, 40)):
        last = 10 if chance.random() < 0.97 else 15
        number = chance.choice((*_IMMEDIATES, chance.randrange(-(1 << 31), 1 << 31)))
        where = chance.choice((*_OFFSETS, chance.randrange(-40, 40)))
        code.append(Instruction(chance.randrange(256), chance.randint(0, last), chance.randint(0, last), where, number))
        if chance.random() < 0.1:
            code += (Instruction(0x18, chance.randrange(10), 0, 0, chance.getrandbits(64)), None)
    return tuple(code)


def random_reference(chance: random.Random, count: int) -> Reference:
    return chance.choice(
        (
            Reference(_FUNCTION, "other", target=Place("text.other", 0)),
            Reference(_FUNCTION, "itself", target=Place(SECTION, chance.randrange(count + 1))),
            Reference(_DATA, "v", section=".rodata", offset=chance.randrange(-4, 20)),
            Reference(_EXTERN, "bpf_throw"),
            Reference(_MAP, "some_map"),
        )
    )


def garbage(seed: int) -> tuple[Assembled, dict[str, Relocated]]:
    """A program of random instructions, references and relocations."""
    chance = random.Random(seed)
    base = assembled("exit", functions={"other": "r0 = *(u64 *)(r1 + 8); exit"}, rodata={"v": bytes(16)})
    code = random_code(chance)
    places = {str(at): Place(SECTION, at) for at in range(len(code))}
    chosen = [name for name in places if chance.random() < 0.2]
    outcomes = (Resolved(8, None, "s"), Resolved(-1), Resolved((1 << 64) - 1, 4), Failed("x"), Unknown("y", "s"))
    function = base.program.function._replace(length=len(code))
    program = base.program._replace(function=function)
    obj = replace(
        base.obj,
        code={**base.obj.code, SECTION: code},
        references={place: random_reference(chance, len(code)) for place in places.values() if chance.random() < 0.3},
        core_relocations={places[name]: CoreRelocation(CoreKind.FIELD_EXISTS, 0, "0") for name in chosen},
        functions=(function, *base.obj.functions[1:]),
        programs=(program,),
        big_endian=chance.random() < 0.5,
    )
    return Assembled(obj, program, places), {name: chance.choice(outcomes) for name in chosen}


@pytest.mark.parametrize("first", range(0, 2000, 250))
def test_garbage(first: int) -> None:
    for seed in range(first, first + 250):
        made, relocations = garbage(seed)
        analysed(made, relocations, limits=Limits(steps=20_000))


def test_a_million_instructions() -> None:
    made = assembled("exit")
    code = (Instruction(0xB7, 0, 0, 0, 0),) * 1_000_000
    function = made.program.function._replace(length=len(code))
    obj = replace(made.obj, code={SECTION: code}, functions=(function,))
    began = time.process_time()
    found = analysed(Assembled(obj, made.program._replace(function=function), {}))
    assert reasons(found) == {Unfollowed.LIMIT}
    assert time.process_time() - began < 20


def test_ever_more_calls() -> None:
    """Eight functions, each of which calls the next one a hundred times, with other arguments."""
    functions = {
        f"f{number}": "".join(f"r1 = {times}; call f{number + 1};" for times in range(100)) + "exit"
        for number in range(7)
    }
    functions["f7"] = "r0 = r1; exit"
    assert reasons(accesses("call f0; exit", functions=functions)) <= {Unfollowed.LIMIT}


def test_steps_of_all_programs_together() -> None:
    """Analyses of one object share a number of steps: behind it nothing is followed."""
    made = assembled("r2 = &v; r2 = *(u8 *)(r2 + 0); r0 = *(u64 *)(r1 + 8); exit", rodata={"v": b"\0"})
    flow = Flow(made.obj, most_steps=20)
    found = [flow.accesses(made.program, {}, variables={"v": value}) for value in range(8)]
    assert [reasons(accesses) for accesses in found] == [set()] * 4 + [{Unfollowed.LIMIT}] * 4


def test_ever_more_states() -> None:
    """Thirty unknown bits, each in a register or a slot of its own: 2^30 states."""
    bit = "call 7; *(u64 *)(r10 - {0}) = 1; if r0 == 3 goto l{0}; *(u64 *)(r10 - {0}) = 2; l{0}: r0 = 0;"
    text = "r6 = r1;" + "".join(map(bit.format, range(8, 248, 8)))
    began = time.process_time()
    found = accesses(f"{text} r0 = *(u64 *)(r6 + 8); exit")
    assert {access.offset for access in found.accesses} == {8}
    assert time.process_time() - began < 10


def test_joined_states_come_to_an_end() -> None:
    """A value that was loaded by many instructions is known less and less, and then no less."""
    seen = SeenStates(2)
    for at in range(10):
        seen.enter(State((Loaded(0, 8, at),), ()))
    assert seen.states == [State((Loaded(0, 8, -1),), ())]
    assert seen.enter(State((Loaded(0, 8, 99),), ())) is None
