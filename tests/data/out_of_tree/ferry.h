/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The driver's own types, of which its tracepoints only pass the address. */
#ifndef _FERRY_H
#define _FERRY_H

#include <linux/types.h>

struct ferry_cargo {
	const char *driver;
	char name[12];
	u8 port;
	bool open;
	int error;
	unsigned int count;
	unsigned long flags;
};

#endif
