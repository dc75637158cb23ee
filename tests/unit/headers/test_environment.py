"""What a target says of macros in conditions, by hand from what its compiler and its Kconfig define."""

from __future__ import annotations

import pytest

from tpgen.sources.headers.preprocessor.environment import ConfigEnvironment, TargetEnvironment, option_macros
from tpgen.sources.headers.preprocessor.expressions import evaluate
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


# LINUX_VERSION_CODE as the kernel's Makefile makes it: a byte each, the last one 255 at most.
@pytest.mark.parametrize(
    ("release", "code"),
    [
        ("6.1.192", 0x0601C0),
        ("6.1.0-57-amd64", None),  # which sublevel it is, the name does not tell
        ("5.15.0-91-generic", None),
        ("6.12.57+deb13-amd64", 0x060C39),
        ("6.16.0-rc1", 0x061000),
        ("4.19.304+", 0x0413FF),
        ("7.2", 0x070200),
        ("5.14.0-427.13.1.el9_4.x86_64", 0x050E00),
        ("unknown", None),
        (None, None),
    ],
)
def test_the_version_code_of_a_release(release: str | None, code: int | None) -> None:
    environment = ConfigEnvironment(None, release)
    assert environment.value("LINUX_VERSION_CODE") == code
    assert environment.defined("LINUX_VERSION_CODE") is (None if release is None else True)


def test_defines_come_before_all_else() -> None:
    defines = {
        "CONFIG_A": "1", "CONFIG_B": None, "FOO": "0x10", "EMPTY": "", "LINUX_VERSION_CODE": "5",
        "RHEL_RELEASE_CODE": "RHEL_RELEASE_VERSION(9, 3)",
    }  # fmt: skip
    environment = ConfigEnvironment({"CONFIG_B": "y", "CONFIG_C": "y"}, "6.1", defines)
    for text, value in {
        "defined(CONFIG_A) && CONFIG_A": 1,
        "IS_ENABLED(CONFIG_A)": 1,
        "defined(CONFIG_B) || CONFIG_B": 0,
        "CONFIG_C": 1,
        "FOO": 16,
        "defined(EMPTY)": 1,
        "EMPTY": None,
        "LINUX_VERSION_CODE": 5,
        "RHEL_RELEASE_CODE >= RHEL_RELEASE_VERSION(9, 0)": 1,
        "RHEL_RELEASE_CODE > RHEL_RELEASE_VERSION(9, 3)": 0,
        "RHEL_RELEASE_CODE": 9 * 256 + 3,
        "OTHER": None,
    }.items():
        assert evaluate(text, environment) == value, text


# What autoconf.h has for an option that is y, m or n, and what gcc and the kernel's <linux/kconfig.h> make of it:
# CONFIG_X, CONFIG_X_MODULE (as defined), IS_ENABLED, IS_BUILTIN, IS_MODULE, IS_REACHABLE. A module is reachable from
# modules alone.
_ON, _MODULE, _OFF = (1, 0, 1, 1, 0, 1), (0, 1, 1, 0, 1, None), (0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("defines", "meant"),
    [
        ({"CONFIG_X": "1"}, _ON),
        ({"CONFIG_X": "y"}, _ON),
        ({"CONFIG_X": "m"}, _MODULE),
        ({"CONFIG_X_MODULE": "1"}, _MODULE),
        ({"CONFIG_X": "n"}, _OFF),
        ({"CONFIG_X": None}, _OFF),
        ({"CONFIG_X": "0"}, (1, 0, 0, 0, 0, 0)),
        ({"CONFIG_X": "250"}, (1, 0, 0, 0, 0, 0)),
        ({"CONFIG_X": None, "CONFIG_X_MODULE": "1"}, _MODULE),
        ({"CONFIG_X": "1", "CONFIG_X_MODULE": "1"}, (1, 1, 1, 1, 0, 1)),
        ({"CONFIG_X_MODULE": None}, (None, 0, None, None, None, None)),
        ({"CONFIG_Y": None}, (None,) * 6),
    ],
)
@pytest.mark.parametrize("config", [None, {"CONFIG_X": "y"}, {"CONFIG_X": "m"}, {}])
def test_an_option_is_what_kconfig_makes_of_it(
    defines: dict[str, str | None], meant: tuple[int | None, ...], config: dict[str, str] | None
) -> None:
    environment = ConfigEnvironment(config, None, option_macros(defines))
    calls = [f"IS_{word}(CONFIG_X)" for word in ("ENABLED", "BUILTIN", "MODULE", "REACHABLE")]
    if config is None or None not in meant[:2]:  # else the configuration decides
        words = "defined(CONFIG_X)", "defined(CONFIG_X_MODULE)", *calls
        assert tuple(evaluate(text, environment) for text in words) == meant


def test_an_option_of_a_backported_driver() -> None:
    environment = ConfigEnvironment(None, None, option_macros({"CPTCFG_A": None, "CPTCFG_B": "m", "HAVE_C": None}))
    assert [evaluate(f"IS_ENABLED(CPTCFG_{name})", environment) for name in "AB"] == [0, 1]
    assert [evaluate(f"defined(CPTCFG_{name}_MODULE)", environment) for name in "AB"] == [0, 1]
    assert evaluate("defined(HAVE_C_MODULE)", environment) is None


def test_a_number_of_the_configuration_is_not_set_as_an_option_is() -> None:
    environment = ConfigEnvironment({"CONFIG_HZ": "250", "CONFIG_ONE": "1"})
    assert evaluate("IS_ENABLED(CONFIG_HZ)", environment) == 0
    assert evaluate("IS_ENABLED(CONFIG_ONE)", environment) == 1
