/* What every init of a machine begins with. */
#ifndef MACHINE_H
#define MACHINE_H
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <termios.h>

/*
 * Mounts what programs look for; returns the device that `answers=` on the kernel's command line names, or the console,
 * by lines and as they are written.
 */
static FILE *machine_answers(void)
{
	const char *device = getenv("answers");
	struct termios raw;
	FILE *answers;
	int fd;

	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL);
	fd = open(device ? device : "/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);
	if (tcgetattr(fd, &raw) == 0) {
		cfmakeraw(&raw);
		tcsetattr(fd, TCSANOW, &raw);
	}
	answers = fdopen(fd, "w");
	setvbuf(answers, NULL, _IOLBF, 1 << 16);
	return answers;
}
#endif
