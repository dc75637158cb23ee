#undef TRACE_SYSTEM
#define TRACE_SYSTEM barge

#if !defined(TRACE_BARGE_H) || defined(TRACE_HEADER_MULTI_READ)
#define TRACE_BARGE_H

#include <linux/skbuff.h>
#include <linux/tracepoint.h>
#include <barge/types.h>

TRACE_EVENT(barge_load,
	TP_PROTO(struct barge *barge, pid_t pid, enum barge_state state, gfp_t flags, const struct sk_buff *skb, pte_t pte),
	TP_ARGS(barge, pid, state, flags, skb, pte),
	TP_STRUCT__entry(
		__field(pid_t, pid)
		__field(gfp_t, flags)
		__field(barge_port_t, port)
		__field(dma_addr_t, addr)
		__field(enum barge_state, state)
		__array(char, comm, TASK_COMM_LEN)
		__field(bool, open)
		__field_struct(struct timespec64, since)
		__field_struct(struct barge_hold, hold)
		__array(barge_port_t, ports, BARGE_HOLDS)
		__field(sector_t, sector)
		__field(enum pid_type, kind)
		__dynamic_array(loff_t, offsets, 2)
	),
	TP_fast_assign(
		__entry->pid = pid;
		__entry->flags = flags;
		__entry->state = state;
	),
	TP_printk("pid=%d", __entry->pid)
);

DECLARE_EVENT_CLASS(barge_class,
	TP_PROTO(umode_t mode, struct list_head *list),
	TP_ARGS(mode, list),
	TP_STRUCT__entry(
		__field(umode_t, mode)
		__field(struct list_head *, list)
	),
	TP_fast_assign(
		__entry->mode = mode;
		__entry->list = list;
	),
	TP_printk("mode=%o", __entry->mode)
);
DEFINE_EVENT(barge_class, barge_sink, TP_PROTO(umode_t mode, struct list_head *list), TP_ARGS(mode, list));

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
