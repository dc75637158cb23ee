#ifndef BARGE_TYPES_H
#define BARGE_TYPES_H

#include <linux/types.h>

#define BARGE_HOLDS 3

enum barge_state { BARGE_EMPTY, BARGE_FULL = 1000000 };

typedef u16 barge_port_t;

struct barge_hold {
	dma_addr_t where;
	barge_port_t port;
};

struct barge;

#endif
