/* Events that are there, and those that are not. */
#include "case.h"

#define NOTHING(name, section) SEC(section) int name(void *ctx) { return see(1); }

NOTHING(raw_switch, "raw_tp/sched_switch")
NOTHING(raw_switch_long, "raw_tracepoint/sched_switch")
NOTHING(raw_switch_on_demand, "?raw_tp/sched_switch")
NOTHING(btf_switch, "tp_btf/sched_switch")
NOTHING(tp_switch, "tp/sched/sched_switch")
NOTHING(tp_switch_long, "tracepoint/sched/sched_switch")
NOTHING(tp_openat, "tp/syscalls/sys_enter_openat")

NOTHING(raw_nothing, "raw_tp/no_such_thing")
NOTHING(btf_nothing, "tp_btf/no_such_thing")
NOTHING(tp_nothing, "tp/sched/no_such_thing")
NOTHING(tp_other_system, "tp/block/sched_switch")
NOTHING(raw_of_one_call, "raw_tp/sys_enter_openat")
NOTHING(btf_of_one_call, "tp_btf/sys_enter_openat")
NOTHING(tp_of_no_call, "tp/syscalls/sys_enter_no_such_call")

/* Since Linux 6.5. */
NOTHING(raw_io_start, "raw_tp/block_io_start")
NOTHING(btf_io_start, "tp_btf/block_io_start")
NOTHING(tp_io_start, "tp/block/block_io_start")
/* Until Linux 6.0, and until 5.17. */
NOTHING(tp_kmalloc_node, "tp/kmem/kmalloc_node")
NOTHING(tp_dirty_page, "tp/writeback/writeback_dirty_page")
NOTHING(tp_dirty_folio, "tp/writeback/writeback_dirty_folio")
/* A tracepoint without a record. */
NOTHING(raw_pelt, "raw_tp/pelt_cfs_tp")
NOTHING(tp_pelt, "tp/sched/pelt_cfs_tp")
/* Of a module. */
NOTHING(raw_of_module, "raw_tp/nbd_send_request")
NOTHING(tp_of_module, "tp/nbd/nbd_send_request")

/* Programs that may sleep. */
NOTHING(raw_sleepable, "raw_tp.s/sys_enter")
NOTHING(btf_sleepable, "tp_btf.s/sys_enter")
NOTHING(tp_sleepable, "tp.s/syscalls/sys_enter_openat")
NOTHING(raw_sleepable_switch, "raw_tp.s/sched_switch")
NOTHING(btf_sleepable_switch, "tp_btf.s/sched_switch")
NOTHING(tp_sleepable_switch, "tp.s/sched/sched_switch")
/* Nothing of it is written. */
NOTHING(raw_writable, "raw_tp.w/sched_switch")
