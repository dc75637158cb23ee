/*
 * What every case begins with. Each program is loaded, attached and run for itself, by tests/vm/doctor.c, which does what
 * `act()` there says. A program stores what it reads of that process's event in `seen`, and how often in `times`.
 */
#ifndef CASE_H
#define CASE_H
typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef int __s32;
typedef unsigned long long __u64;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef __u16 __sum16;
typedef _Bool bool;
#define true 1
#define false 0
enum { BPF_MAP_TYPE_ARRAY = 2, BPF_MAP_TYPE_RINGBUF = 27 };
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define CORE __attribute__((preserve_access_index))
#define NOINLINE __attribute__((noinline))

#ifndef LICENCE
#define LICENCE "GPL"
#endif
char LICENSE[] SEC("license") = LICENCE;

/* The only variables of .bss, and of .data. */
struct {
	__u64 value;
	__u64 times;
} seen;
volatile int acting = 1;

static inline bool is_acting(void)
{
	return (bpf_get_current_pid_tgid() >> 32) == (__u64)acting;
}

static inline int see(__u64 value)
{
	if (is_acting()) {
		seen.value = value;
		seen.times++;
	}
	return 0;
}

/* Exactly this load, whatever the compiler would make of it. */
#define LOAD(type, pointer, offset) LOAD_AT(type, pointer, "+ " #offset)
#define LOAD_BEFORE(type, pointer, offset) LOAD_AT(type, pointer, "- " #offset)
#define LOAD_AT(type, pointer, offset) ({ \
	__u64 loaded; \
	asm volatile("%0 = *(" #type " *)(%1 " offset ")" : "=r"(loaded) : "r"(pointer)); \
	loaded; \
})

struct task_struct {
	int pid;
	int tgid;
	int prio;
} CORE;

struct sock_common {
	unsigned short skc_family;
} CORE;

struct sock {
	struct sock_common __sk_common;
} CORE;

struct sk_buff {
	unsigned int len;
} CORE;
#endif
