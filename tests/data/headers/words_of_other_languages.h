/* Names that C allows, and macros even where C does not. */
DEFINE_EVENT(c, 802154_rdev_add, TP_PROTO(int new, int delete, int in), TP_ARGS(new, delete, in));
