/* What every init of a machine begins with. */
#ifndef MACHINE_H
#define MACHINE_H
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

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

/* Loads the module in a file, and removes the file, whose memory others may need. Returns -1 with errno where it cannot. */
static __attribute__((unused)) long insert_module(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	long error = fd < 0 ? -1 : syscall(SYS_finit_module, fd, "", 0);
	int number = errno;

	close(fd);
	unlink(path);
	errno = number;
	return error;
}
#endif
