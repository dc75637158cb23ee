/* TP_ARGS decides the order of the arguments, that of the class for its events; as in btrfs__prelim_ref of Linux 5.10. */
DECLARE_EVENT_CLASS(ref,
	TP_PROTO(const struct ref *oldref, const struct ref *newref, u64 size),
	TP_ARGS(newref, oldref, size),
	TP_STRUCT__entry(), TP_fast_assign(), TP_printk("")
);
DEFINE_EVENT(ref, merge,
	TP_PROTO(const struct ref *o, const struct ref *n, u64 s),
	TP_ARGS(n, o, s)
);

DECLARE_EVENT_CLASS(other,
	TP_PROTO(int a, long b),
	TP_ARGS(b, a),
	TP_STRUCT__entry(), TP_fast_assign(), TP_printk("")
);
DEFINE_EVENT(other, not_swapped, TP_PROTO(int x, long y), TP_ARGS(x, y));
