/*
 * The profiler of examples/off-cpu beside a process that knows for how long it waited.
 *
 * As init of a machine it takes its plan from /plan and answers where `answers=` on the kernel's command line says; else
 * it takes it from its standard input and answers there. A line of the plan is `profile LOADER`, answered by lines and
 * `done 0`, or `failed ERRNO`:
 *
 *	| waited PID COUNT STATE NS COMM   how often and how long a thread waited by its own clocks
 *	| said LINE                        of the loader's standard error
 *	| report LINE                      of its standard output
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "machine.h"

#define SLEEPS 20
#define SLEEP_MS 50
#define VFORKS 3
#define VFORK_MS 200

static FILE *answers;

static long long clock_ns(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/* How long the calling thread has not run, from some time on: an emulated processor can be slow to run it. */
static long long away_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC) - clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static long long sleep_ms(long milliseconds)
{
	struct timespec time = { .tv_nsec = milliseconds * 1000000 };
	long long start = away_ns();

	nanosleep(&time, NULL);
	return away_ns() - start;
}

static void *other_thread(void *out)
{
	long long slept = 0;

	prctl(PR_SET_NAME, "the other");
	for (int at = 0; at < SLEEPS; at++)
		slept += sleep_ms(SLEEP_MS);
	fprintf(out, "waited %d %d S %lld the other\n", gettid(), SLEEPS, slept);
	return NULL;
}

/* A child sleeps, and its parent waits for it as nothing but a fatal signal could end. The waits of both. */
static void wait_for_child(FILE *out, volatile long long *waited)
{
	volatile long long start = away_ns(), slept = 0;
	pid_t child = vfork();

	if (child == 0) {
		prctl(PR_SET_NAME, "a child");
		slept = sleep_ms(VFORK_MS);
		_exit(0);
	}
	*waited += away_ns() - start;
	fprintf(out, "waited %d 1 S %lld a child\n", child, slept);
}

/* Waits in each way, and says so. Nothing of less than the highest priority keeps it from its processor. */
static void wait_in_each_way(FILE *out)
{
	struct sched_param priority = { .sched_priority = 1 };
	long long slept = 0, waited = 0, start;
	pthread_t other;

	sched_setscheduler(0, SCHED_FIFO, &priority);
	signal(SIGCHLD, SIG_IGN);
	for (int at = 0; at < SLEEPS; at++)
		slept += sleep_ms(SLEEP_MS);
	start = away_ns();
	if (!pthread_create(&other, NULL, other_thread, out))
		pthread_join(other, NULL);
	slept += away_ns() - start;
	for (int at = 0; at < VFORKS; at++)
		wait_for_child(out, &waited);
	fprintf(out, "waited %d %d S %lld a sleeper\n", getpid(), SLEEPS + 1, slept);
	fprintf(out, "waited %d %d D %lld a sleeper\n", getpid(), VFORKS, waited);
	fprintf(out, "end\n");
	fflush(out);
}

static void make_pipe(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC))
		abort();
}

static pid_t start_sleeper(int *go, FILE **told)
{
	int to[2], from[2];
	pid_t pid;

	make_pipe(to);
	make_pipe(from);
	pid = fork();
	if (pid == 0) {
		char byte;

		prctl(PR_SET_NAME, "a sleeper");
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(to[1]);
		if (read(to[0], &byte, 1) == 1)
			wait_in_each_way(fdopen(from[1], "w"));
		_exit(read(to[0], &byte, 1) != 0);
	}
	close(to[0]);
	close(from[1]);
	*go = to[1];
	*told = fdopen(from[0], "r");
	return pid;
}

static pid_t start_loader(const char *path, pid_t sleeper, FILE **said, FILE **reported)
{
	char number[16];
	int out[2], err[2];
	pid_t pid;

	snprintf(number, sizeof(number), "%d", sleeper);
	make_pipe(out);
	make_pipe(err);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(out[1], 1);
		dup2(err[1], 2);
		execl(path, path, "-p", number, "-n", "1000", NULL);
		_exit(127);
	}
	close(out[1]);
	close(err[1]);
	*said = fdopen(err[0], "r");
	*reported = fdopen(out[0], "r");
	return pid;
}

static void pass_on(const char *kind, FILE *from)
{
	char line[4096];

	while (fgets(line, sizeof(line), from) && strcmp(line, "end\n"))
		fprintf(answers, "| %s%s", kind, line);
}

static int profile(const char *path)
{
	FILE *told, *said, *reported;
	int go, status = 0;
	char line[4096];
	pid_t sleeper = start_sleeper(&go, &told), loader = start_loader(path, sleeper, &said, &reported);

	/* It says one line once all is attached, or why not. */
	while (fgets(line, sizeof(line), said)) {
		fprintf(answers, "| said %s", line);
		if (strstr(line, "programs, stamps in"))
			break;
	}
	if (write(go, "", 1) == 1)
		pass_on("", told);
	kill(loader, SIGINT);
	pass_on("report ", reported);
	pass_on("said ", said);
	waitpid(loader, &status, 0);
	close(go);
	waitpid(sleeper, NULL, 0);
	fclose(told);
	fclose(said);
	fclose(reported);
	return status;
}

int main(void)
{
	const int is_init = getpid() == 1;
	FILE *plan;
	char line[4096];

	answers = is_init ? machine_answers() : stdout;
	plan = is_init ? fopen("/plan", "r") : stdin;
	while (answers && plan && fgets(line, sizeof(line), plan)) {
		line[strcspn(line, "\n")] = 0;
		if (!strncmp(line, "profile ", 8) && !profile(line + 8))
			fprintf(answers, "done 0\n");
		else
			fprintf(answers, "failed %d\n", EINVAL);
		fflush(answers);
	}
	if (is_init) {
		tcdrain(fileno(answers));
		reboot(RB_POWER_OFF);
	}
	return 0;
}
