/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * How events print their records: the words of a trace header as C macros over two primitives, beside those of
 * trace_event.h, which drop it.
 *
 *   tpgen_class_print(name, print)
 *       an event class, which prints as the TP_printk() says that print is
 *   tpgen_event_print(name, print)
 *       an event that prints otherwise than its class
 */

#define DECLARE_EVENT_CLASS(name, proto, args, entry, assign, print) tpgen_class_print(name, print)
#define DECLARE_EVENT_SYSCALL_CLASS(name, proto, args, entry, assign, print) tpgen_class_print(name, print)
#define DEFINE_EVENT_PRINT(class, name, proto, args, print) tpgen_event_print(name, print)

#define TRACE_EVENT(name, proto, args, entry, assign, print) tpgen_class_print(name, print)
#define TRACE_EVENT_CONDITION(name, proto, args, cond, entry, assign, print) tpgen_class_print(name, print)
#define TRACE_EVENT_FN(name, proto, args, entry, assign, print, reg, unreg) tpgen_class_print(name, print)
#define TRACE_EVENT_FN_COND(name, proto, args, cond, entry, assign, print, reg, unreg) tpgen_class_print(name, print)
#define TRACE_EVENT_SYSCALL(name, proto, args, entry, assign, print, reg, unreg) tpgen_class_print(name, print)

/* Whatever else a trace header says makes nothing that is printed. */

#define DEFINE_EVENT(class, name, proto, args)
#define DEFINE_EVENT_CONDITION(class, name, proto, args, cond)
#define DEFINE_EVENT_FN(class, name, proto, args, reg, unreg)
#define DEFINE_EVENT_SYSCALL(class, name, proto, args, reg, unreg)
#define DEFINE_EVENT_WRITABLE(class, name, proto, args, size)
#define TRACE_EVENT_NOP(name, proto, args, entry, assign, print)
#define DECLARE_EVENT_CLASS_NOP(name, proto, args, entry, assign, print)
#define DECLARE_EVENT_NOP(name, proto, args)
#define DEFINE_EVENT_NOP(class, name, proto, args)
#define TRACE_DEFINE_ENUM(value)
#define TRACE_DEFINE_SIZEOF(type)
