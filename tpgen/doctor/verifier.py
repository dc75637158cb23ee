"""Refusals of verifiers at tracepoints that differ between kernels, by release and by the kernel's own data.

A `Turn` is a change between two releases that were tried: of those in between nobody knows. Each names the commit.
"""

from __future__ import annotations

from typing import NamedTuple

#: Arguments of a tracepoint that BPF programs can be given, MAX_BPF_FUNC_ARGS.
MOST_ARGUMENTS = 12


class Turn(NamedTuple):
    """A change of the verifier: up to release `last` it does one thing, from `first` on the other."""

    last: tuple[int, int]
    first: tuple[int, int]

    def happened(self, release: tuple[int, ...]) -> bool | None:
        """Whether a kernel of that release has the change; None where that was not tried."""
        numbers = release[:2]
        return None if len(numbers) < 2 or self.last < numbers < self.first else numbers >= self.first


#: tp_btf: a pointer is loaded whole or not at all.
#: 659b9ba7cb2d ("bpf: Check size for BTF-based ctx access of pointer members").
WHOLE_POINTERS = Turn((6, 1), (6, 12))
#: tp_btf: only programs under a licence that is compatible with the GPL follow pointers into the kernel.
#: "Cannot access kernel 'struct %s' from non-GPL compatible program" in check_ptr_to_btf_access().
GPL_TO_FOLLOW = Turn((6, 1), (6, 12))
#: A context pointer to which a constant was added may be followed: check_ctx_access() asks for `fixed_off_ok`.
MOVED_CONTEXT = Turn((6, 18), (7, 2))
#: tp_btf: a pointer to an integer may be loaded, and is a number.
#: bb6728d75611 ("bpf: Allow access to int pointer arguments in tracing programs").
INTEGER_POINTERS = Turn((5, 10), (6, 1))
#: tp_btf: a pointer to `const void` may be loaded, and is a number, as one to `void` always was.
#: 1271a40eeafa ("bpf: Allow access to const void pointer arguments in tracing programs").
QUALIFIED_VOID_POINTERS = Turn((6, 12), (6, 18))
#: tp_btf: any pointer may be loaded; one to anything but a struct is a number.
#: "bpf: Support pointer param types via SCALAR_VALUE for trampolines".
ANY_POINTERS = Turn((6, 18), (7, 2))
#: tp_btf: a struct that is an argument itself may be loaded.
#: 720e6a435194 ("bpf: Allow struct argument in trampoline based programs").
STRUCT_ARGUMENTS = Turn((5, 10), (6, 1))
#: tp_btf: events of modules, whose BTF the kernel has. 36e68442d1af ("bpf: Load and verify kernel module BTFs").
MODULES_WITH_BTF = Turn((5, 10), (6, 1))
#: tp_btf: a test for NULL of an argument that is never NULL leaves dead code behind.
#: reg_not_null() of kernel/bpf/verifier.c knows trusted pointers since then.
KNOWN_VALID = Turn((6, 1), (6, 12))
#: tp_btf.s is refused like all sleepable programs at tracepoints; before, their type was one that may sleep.
#: can_be_sleepable() asks for the type of attachment since then.
SLEEPABLE_BY_ATTACHMENT = Turn((6, 1), (6, 12))

# --- instructions and helpers

#: 5ffa25502b5a ("bpf: Add instructions for atomic_[cmp]xchg") and its like: before, XADD was the only one.
FETCHING_ATOMICS = Turn((5, 10), (6, 1))
#: 69c087ba6225 ("bpf: Add bpf_for_each_map_elem() helper") brought BPF_PSEUDO_FUNC.
CALLBACKS = Turn((5, 10), (6, 1))
#: 1f9a1ea821ff ("bpf: Support new sign-extension load insns") and its like.
INSTRUCTIONS_V4 = Turn((6, 1), (6, 12))
#: 011832b97b31 ("bpf: Introduce may_goto instruction").
MAY_GOTO = Turn((6, 1), (6, 12))
#: 880442305a39 ("bpf: Introduce load-acquire and store-release instructions").
LOAD_ACQUIRE = Turn((6, 12), (6, 18))
#: The number of the last helper by release, of include/uapi/linux/bpf.h. Since 6.2 there are no new ones.
LAST_HELPERS = {(5, 10): 155, (6, 1): 209}
