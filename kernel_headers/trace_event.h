/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What the words of a trace header mean, as C macros over four primitives:
 *
 *   tpgen_class(name, proto, args, entry)
 *       an event class: the function __bpf_trace_<name> and the record struct trace_event_raw_<name>
 *   tpgen_event(class, name, proto, args)
 *       an event of a class, with a tracepoint of the same name
 *   tpgen_tracepoint(class, name, proto, args, attachable)
 *       a bare tracepoint without a record; attachable is 1 where the kernel makes btf_trace_<name> for it
 *   tpgen_other(word, name)
 *       an event of another facility: no tracepoint that a BPF program attaches to, so it is reported, not read
 *
 * proto, args and entry are still wrapped in TP_PROTO(), TP_ARGS() and TP_STRUCT__entry(): these words are no macros here,
 * so their commas stay inside. How an event fills its record and prints it does not matter to its reader, so assign and
 * print are dropped; so are the functions and the condition that switch an event on.
 *
 * LINUX_VERSION_CODE is that of the tree being read, and is not defined when the tree does not tell.
 */

/* A class, and an event of it */

#define DECLARE_EVENT_CLASS(name, proto, args, entry, assign, print) tpgen_class(name, proto, args, entry)
#define DECLARE_EVENT_SYSCALL_CLASS(name, proto, args, entry, assign, print) tpgen_class(name, proto, args, entry)

#define DEFINE_EVENT(class, name, proto, args) tpgen_event(class, name, proto, args)
#define DEFINE_EVENT_PRINT(class, name, proto, args, print) tpgen_event(class, name, proto, args)
#define DEFINE_EVENT_CONDITION(class, name, proto, args, cond) tpgen_event(class, name, proto, args)
#define DEFINE_EVENT_FN(class, name, proto, args, reg, unreg) tpgen_event(class, name, proto, args)
#define DEFINE_EVENT_SYSCALL(class, name, proto, args, reg, unreg) tpgen_event(class, name, proto, args)
#define DEFINE_EVENT_WRITABLE(class, name, proto, args, size) tpgen_event(class, name, proto, args)

/* Both at once: the class has the name of its only event */

#define TRACE_EVENT(name, proto, args, entry, assign, print) \
	tpgen_class(name, proto, args, entry) tpgen_event(name, name, proto, args)
#define TRACE_EVENT_CONDITION(name, proto, args, cond, entry, assign, print) \
	tpgen_class(name, proto, args, entry) tpgen_event(name, name, proto, args)
#define TRACE_EVENT_FN(name, proto, args, entry, assign, print, reg, unreg) \
	tpgen_class(name, proto, args, entry) tpgen_event(name, name, proto, args)
#define TRACE_EVENT_FN_COND(name, proto, args, cond, entry, assign, print, reg, unreg) \
	tpgen_class(name, proto, args, entry) tpgen_event(name, name, proto, args)
#define TRACE_EVENT_SYSCALL(name, proto, args, entry, assign, print, reg, unreg) \
	tpgen_class(name, proto, args, entry) tpgen_event(name, name, proto, args)

/* Calls that compile to nothing */

#define TRACE_EVENT_NOP(name, proto, args, entry, assign, print)
#define DECLARE_EVENT_CLASS_NOP(name, proto, args, entry, assign, print)
#define DECLARE_EVENT_NOP(name, proto, args)
#define DEFINE_EVENT_NOP(class, name, proto, args)

/* Settings of an event that is defined elsewhere, and values for its print format */

#define TRACE_EVENT_FLAGS(name, flags)
#define TRACE_EVENT_PERF_PERM(name, expression...)
#define TRACE_DEFINE_ENUM(value)
#define TRACE_DEFINE_SIZEOF(type)

/*
 * Bare tracepoints. Since Linux 6.16 the tracepoint of DECLARE_TRACE(x) is called x_tp, so that it cannot be taken for an
 * event of tracefs, and so is its class. A condition, like DECLARE_TRACE_EVENT, makes the tracepoint but nothing of BPF's.
 */

#if defined(LINUX_VERSION_CODE) && LINUX_VERSION_CODE >= KERNEL_VERSION(6, 16, 0)
#define DECLARE_TRACE(name, proto, args) tpgen_tracepoint(name##_tp, name##_tp, proto, args, 1)
#define DECLARE_TRACE_WRITABLE(name, proto, args, size) tpgen_tracepoint(name##_tp, name##_tp, proto, args, 1)
#define DECLARE_TRACE_CONDITION(name, proto, args, cond) tpgen_tracepoint(name##_tp, name##_tp, proto, args, 0)
#define DECLARE_TRACE_SYSCALL(name, proto, args) tpgen_tracepoint(name##_tp, name##_tp, proto, args, 0)
#else
#define DECLARE_TRACE(name, proto, args) tpgen_tracepoint(name, name, proto, args, 1)
#define DECLARE_TRACE_WRITABLE(name, proto, args, size) tpgen_tracepoint(name, name, proto, args, 1)
#define DECLARE_TRACE_CONDITION(name, proto, args, cond) tpgen_tracepoint(name, name, proto, args, 0)
#define DECLARE_TRACE_SYSCALL(name, proto, args) tpgen_tracepoint(name, name, proto, args, 0)
#endif
#define DECLARE_TRACE_NOARGS(name) DECLARE_TRACE(name, TP_PROTO(void), TP_ARGS())
#define DECLARE_TRACE_EVENT(name, proto, args) tpgen_tracepoint(name, name, proto, args, 0)
#define DECLARE_TRACE_EVENT_CONDITION(name, proto, args, cond) tpgen_tracepoint(name, name, proto, args, 0)
#define DECLARE_TRACE_EVENT_SYSCALL(name, proto, args) tpgen_tracepoint(name, name, proto, args, 0)

/*
 * Android's vendor hooks: tracepoints for modules of a phone's vendor, for which the kernel makes nothing of BPF's. Linux
 * has none; there a word like these is some header's own macro, which comes before this.
 */

#define DECLARE_HOOK(name, proto, args) tpgen_tracepoint(name, name, proto, args, 0)
#define DECLARE_RESTRICTED_HOOK(name, proto, args, cond) tpgen_tracepoint(name, name, proto, args, 0)

/* LTTng's own events, which its modules record at the kernel's tracepoints */

#define LTTNG_TRACEPOINT_EVENT(name, ...) tpgen_other(LTTNG_TRACEPOINT_EVENT, name)
#define LTTNG_TRACEPOINT_EVENT_MAP(name, ...) tpgen_other(LTTNG_TRACEPOINT_EVENT_MAP, name)
#define LTTNG_TRACEPOINT_EVENT_CODE(name, ...) tpgen_other(LTTNG_TRACEPOINT_EVENT_CODE, name)
#define LTTNG_TRACEPOINT_EVENT_CODE_MAP(name, ...) tpgen_other(LTTNG_TRACEPOINT_EVENT_CODE_MAP, name)
#define LTTNG_TRACEPOINT_EVENT_NOARGS(name, ...) tpgen_other(LTTNG_TRACEPOINT_EVENT_NOARGS, name)
#define LTTNG_TRACEPOINT_EVENT_CLASS(name, ...) tpgen_other(LTTNG_TRACEPOINT_EVENT_CLASS, name)
#define LTTNG_TRACEPOINT_EVENT_CLASS_CODE(name, ...) tpgen_other(LTTNG_TRACEPOINT_EVENT_CLASS_CODE, name)
#define LTTNG_TRACEPOINT_EVENT_CLASS_NOARGS(name, ...) tpgen_other(LTTNG_TRACEPOINT_EVENT_CLASS_NOARGS, name)
#define LTTNG_TRACEPOINT_EVENT_INSTANCE(class, name, ...) tpgen_other(LTTNG_TRACEPOINT_EVENT_INSTANCE, name)
#define LTTNG_TRACEPOINT_EVENT_INSTANCE_MAP(class, name, ...) tpgen_other(LTTNG_TRACEPOINT_EVENT_INSTANCE_MAP, name)
#define LTTNG_TRACEPOINT_EVENT_INSTANCE_NOARGS(class, name) tpgen_other(LTTNG_TRACEPOINT_EVENT_INSTANCE_NOARGS, name)

/* Other facilities: ftrace's own records, the hypervisor's events, a remote's, and other views of an existing event */

#define FTRACE_ENTRY(name, ...) tpgen_other(FTRACE_ENTRY, name)
#define FTRACE_ENTRY_DUP(name, ...) tpgen_other(FTRACE_ENTRY_DUP, name)
#define FTRACE_ENTRY_REG(name, ...) tpgen_other(FTRACE_ENTRY_REG, name)
#define FTRACE_ENTRY_PACKED(name, ...) tpgen_other(FTRACE_ENTRY_PACKED, name)
#define HYP_EVENT(name, ...) tpgen_other(HYP_EVENT, name)
#define REMOTE_EVENT(name, ...) tpgen_other(REMOTE_EVENT, name)
#define TRACE_CUSTOM_EVENT(name, ...) tpgen_other(TRACE_CUSTOM_EVENT, name)
#define DECLARE_CUSTOM_EVENT_CLASS(name, ...) tpgen_other(DECLARE_CUSTOM_EVENT_CLASS, name)
#define DEFINE_CUSTOM_EVENT(class, name, ...) tpgen_other(DEFINE_CUSTOM_EVENT, name)

/* A type that <linux/types.h> defines as a macro, so that BTF never sees its name */

#define pgoff_t unsigned long

/* Marks on an argument that only perf's own handler reads */

#define __perf_task(task) task
#define __perf_count(count) count
