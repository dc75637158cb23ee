"""What a target says of macros in conditions, by hand from what its compiler and its Kconfig define."""

from __future__ import annotations

import pytest

from tpgen.sources.headers.preprocessor.environment import ConfigEnvironment, TargetEnvironment
from tpgen.target import target_named

# By target: width of long, byte order, and the options of its architecture.
_TARGETS = {
    "x86_64": (64, "little", {"CONFIG_64BIT", "CONFIG_X86", "CONFIG_X86_64"}),
    "i386": (32, "little", {"CONFIG_32BIT", "CONFIG_X86", "CONFIG_X86_32"}),
    "aarch64": (64, "little", {"CONFIG_64BIT", "CONFIG_ARM64"}),
    "arm": (32, "little", {"CONFIG_32BIT", "CONFIG_ARM"}),
    "s390x": (64, "big", {"CONFIG_64BIT", "CONFIG_S390"}),
}
_OPTIONS = set().union(*(options for _, _, options in _TARGETS.values())) | {"CONFIG_MIPS", "CONFIG_PPC64"}


@pytest.mark.parametrize("arch", _TARGETS)
def test_a_target_decides_its_macros(arch: str) -> None:
    bits, order, options = _TARGETS[arch]
    environment = TargetEnvironment(target_named(arch), ConfigEnvironment(None))
    assert {option for option in _OPTIONS if environment.defined(option)} == options
    assert {option for option in _OPTIONS if environment.value(option)} == options
    assert all(environment.value(option) == 0 for option in _OPTIONS - options)
    assert environment.value("BITS_PER_LONG") == bits
    assert environment.defined("__LP64__") is (bits == 64)
    for name in ("__BIG_ENDIAN", "__BIG_ENDIAN_BITFIELD", "CONFIG_CPU_BIG_ENDIAN"):
        assert environment.defined(name) is (order == "big")
    for name in ("__LITTLE_ENDIAN", "__LITTLE_ENDIAN_BITFIELD", "CONFIG_CPU_LITTLE_ENDIAN"):
        assert environment.defined(name) is (order == "little")


def test_a_compilation_of_the_kernel_decides_the_rest() -> None:
    environment = TargetEnvironment(target_named("x86_64"), ConfigEnvironment(None))
    assert environment.defined("__KERNEL__") is True
    assert environment.defined("__ASSEMBLY__") is False
    assert environment.defined("__cplusplus") is False
    assert environment.defined("__UAPI_DEF_IN_ADDR") is True
    assert environment.value("__UAPI_DEF_IN_ADDR") == 1
    for unknown in ("CONFIG_NUMA", "FOO"):
        assert environment.defined(unknown) is None
        assert environment.value(unknown) is None


def test_a_configuration_comes_before_the_target_where_it_has_a_value() -> None:
    environment = TargetEnvironment(
        target_named("x86_64"), ConfigEnvironment({"CONFIG_NR_CPUS": "64", "CONFIG_X86": "y"})
    )
    assert environment.value("CONFIG_NR_CPUS") == 64
    assert environment.value("CONFIG_X86") == 1
    assert environment.defined("CONFIG_NUMA") is False
