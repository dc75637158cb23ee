/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The tracepoints of a driver that is built outside of the kernel's tree, as its author writes them. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM ferry

#if !defined(_FERRY_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _FERRY_TRACE_H

#include <linux/tracepoint.h>
#include "ferry.h"

#define FERRY_NAME_LEN 12
#define FERRY_PORT_ENTRY __field(u8, port) __field(bool, open)

struct ferry_cargo;

/* One class, and behind a macro of our own the events that come in pairs. */
DECLARE_EVENT_CLASS(ferry_transfer,
	TP_PROTO(const struct ferry_cargo *cargo, u16 queue, ssize_t bytes, bool last),
	TP_ARGS(cargo, queue, bytes, last),
	TP_STRUCT__entry(
		__field(const void *,	cargo)
		FERRY_PORT_ENTRY
		__field(u16,		queue)
		__field(s64,		bytes)
		__array(char,		name,	FERRY_NAME_LEN)
		__array(u32,		words,	2 + 1)
		__string(driver,	cargo->driver)
		__dynamic_array(u64,	stamps,	cargo->count)
		__field(unsigned long,	flags)
	),
	TP_fast_assign(
		__entry->cargo = cargo;
		__entry->port = cargo->port;
		__entry->open = cargo->open;
		__entry->queue = queue;
		__entry->bytes = bytes;
		memcpy(__entry->name, cargo->name, FERRY_NAME_LEN);
		__assign_str(driver);
		__entry->flags = cargo->flags;
	),
	TP_printk("%s port %u, queue %u: %lld bytes%s", __get_str(driver), __entry->port, __entry->queue,
		  __entry->bytes, __entry->open ? ", open" : "")
);

#define DEFINE_FERRY_EVENTS(verb)							\
	DEFINE_EVENT(ferry_transfer, ferry_##verb##_start,				\
		TP_PROTO(const struct ferry_cargo *cargo, u16 queue, ssize_t bytes, bool last),	\
		TP_ARGS(cargo, queue, bytes, last));					\
	DEFINE_EVENT(ferry_transfer, ferry_##verb##_done,				\
		TP_PROTO(const struct ferry_cargo *cargo, u16 queue, ssize_t bytes, bool last),	\
		TP_ARGS(cargo, queue, bytes, last))
DEFINE_FERRY_EVENTS(load);
DEFINE_FERRY_EVENTS(unload);

#ifdef CONFIG_FERRY_RESCUE
TRACE_EVENT_CONDITION(ferry_rescue,
	TP_PROTO(struct ferry_cargo *cargo, int (*retry)(struct ferry_cargo *cargo, int), unsigned char depth),
	TP_ARGS(cargo, retry, depth),
	TP_CONDITION(depth),
	TP_STRUCT__entry(
		__field(unsigned char,	depth)
		__field(int,		error)
	),
	TP_fast_assign(
		__entry->depth = depth;
		__entry->error = cargo->error;
	),
	TP_printk("depth %u: %d", __entry->depth, __entry->error)
);
#endif

DECLARE_TRACE(ferry_tide,
	TP_PROTO(s8 height),
	TP_ARGS(height));

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
