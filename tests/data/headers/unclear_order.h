/* An argument that is no parameter leaves the order of TP_PROTO, and is reported where TP_ARGS stands. */
DECLARE_EVENT_CLASS(c, TP_PROTO(int a, int b),
	TP_ARGS(a, b + 1), TP_STRUCT__entry(), TP_fast_assign(), TP_printk(""));
DEFINE_EVENT(c, e, TP_PROTO(int a, int b), TP_ARGS(a, b));
