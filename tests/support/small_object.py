"""A small BPF object for the small kernel of `small_kernel`: each part that a reader meets, once."""

from __future__ import annotations

from support.bpf_elf import LOCAL, NOTYPE, R_BPF_64_32, WEAK, ObjectBuilder, btf_ext, instruction, wide
from support.btf_builder import BtfBuilder

LDX_DW, LDX_W, MOV, MOV_IMM, ADD_IMM, CALL, EXIT, JEQ_IMM = 0x79, 0x61, 0xBF, 0xB7, 0x07, 0x85, 0x95, 0x15
TEXT = "int BPF_PROG(on_switch, bool preempt, struct task_struct *prev)"


def small_object(big_endian: bool = False) -> bytes:
    """A raw_tp program that calls a subprogram behind a constant, and a tp program with a relocated record."""

    def code(*parts: int) -> bytes:
        return instruction(*parts, big_endian=big_endian)

    made = ObjectBuilder(big_endian)
    btf = BtfBuilder(big_endian)
    number = btf.integer("int", 4, 1)
    context = btf.ptr(btf.integer("unsigned long", 8))
    record = btf.structure("trace_event_raw_sched_switch", 64, [("pid", number, 64)])
    task = btf.structure("task_struct___old", 8, [("pid", number, 0)])
    states = btf.enum("state", 4, [("RUNNING", 0), ("DEAD", 3)])
    proto = btf.func_proto(number, [("ctx", context)])
    functions = [btf.func(name, proto) for name in ("on_switch", "on_record", "helper")]
    map_type = btf.structure("", 16, [("type", btf.ptr(btf.array(number, 27)), 0)])
    btf.datasec(".maps", 16, [(btf.var("ring", map_type), 0, 16)])
    btf.datasec(".ksyms", 4, [(btf.var("jiffies", number), 0, 4)])

    raw = made.code(
        "raw_tp/sched_switch",
        code(MOV, 6, 1), code(LDX_DW, 7, 1, 8), wide(2, 0, big_endian=big_endian), code(LDX_W, 2, 2, 0),
        code(JEQ_IMM, 2, 0, 2), code(MOV, 1, 6), code(CALL, 0, 1, 0, -1), code(LDX_W, 3, 7, 0),
        wide(4, 0, big_endian=big_endian), code(MOV_IMM, 5, 0, 0, 3), code(MOV_IMM, 0, 0, 0, 0), code(EXIT),
    )  # fmt: skip
    classic = made.code(
        "tp/sched/sched_switch", code(LDX_W, 2, 1, 8), wide(1, 0, big_endian=big_endian), code(MOV_IMM, 0), code(EXIT)
    )
    text = made.code(".text", code(LDX_DW, 0, 1, 0), code(EXIT))
    data = made.section(".rodata", (7).to_bytes(4, "big" if big_endian else "little"))
    maps = made.section(".maps", bytes(16))
    made.section("license", b"GPL\0")
    made.function("on_switch", raw)
    made.function("on_record", classic)
    helper = made.function("helper", text, binding=LOCAL)
    made.relocation(raw, 2, made.symbol("chosen", data, 0, 4))
    made.relocation(raw, 7, helper, R_BPF_64_32)
    made.relocation(raw, 9, made.symbol("jiffies", 0, kind=NOTYPE, binding=WEAK))
    made.relocation(classic, 1, made.symbol("ring", maps, 0, 16))
    in_raw, in_classic, in_text = map(btf.string, ("raw_tp/sched_switch", "tp/sched/sched_switch", ".text"))
    file, line, first, enumerator = map(btf.string, ("a.bpf.c", TEXT, "0:0", "1"))
    ext = btf_ext(
        {in_raw: [(0, functions[0])], in_classic: [(0, functions[1])], in_text: [(0, functions[2])]},
        {in_raw: [(0, file, line, 12 << 10 | 5), (64, file, line, 14 << 10)], in_classic: [(0, file, line, 20 << 10)]},
        {in_raw: [(64, task, first, 0), (88, states, enumerator, 11)], in_classic: [(0, record, first, 0)]},
        big_endian,
    )
    made.section(".BTF", btf.blob(), flags=0)
    made.section(".BTF.ext", ext, flags=0)
    return made.blob()
