/* What perf adds around an argument is taken off. */
DEFINE_EVENT(c, e,
	TP_PROTO(struct task_struct *t, u64 n),
	TP_ARGS(__perf_task(t), __perf_count(n))
);
