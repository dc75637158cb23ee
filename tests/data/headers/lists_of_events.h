/* A list takes the macro that it is spread with. */
#define ONE(name) DEFINE_EVENT(c, name, TP_PROTO(void), TP_ARGS());
#define LIST(X) X(a) X(b)
LIST(ONE)
LIST(TRACE_DEFINE_ENUM)
