/* A header's own macros wrap events, fields, arguments and the words of the family; as mac80211 and xfs do. */
#define MAXNAME 32
#define LOCAL_ENTRY __array(char, wiphy_name, MAXNAME)
#define VIF_ENTRY __field(u32, type) __string(vif_name, "x")
#define TP_STRUCT__entry_fsid(args...) TP_STRUCT__entry(__array(u8, fsid, 16) args)
#define PARAMS_COMMON struct a *a, int b
#define MY_EVENT(name, proto, args, fields) \
	TRACE_EVENT(name, PARAMS(proto), PARAMS(args), PARAMS(fields), TP_fast_assign(), TP_printk(""))
#define SHORT(name) MY_EVENT(my_##name, TP_PROTO(PARAMS_COMMON), TP_ARGS(a, b), \
	TP_STRUCT__entry_fsid(LOCAL_ENTRY VIF_ENTRY))
SHORT(one)
SHORT(two)
