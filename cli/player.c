/* SPDX-License-Identifier: MIT
 * Sound through a program that plays it: a process of its own, which takes raw
 * samples from its standard input.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"

extern char **environ;

static const char *const programs[] = { "aplay", "paplay", "ffplay" };
enum { N_PROGRAMS = sizeof programs / sizeof *programs };

int cli_player_find(cli_player *p)
{
    for (p->program = 0; p->program < N_PROGRAMS; p->program++)
        if ((p->path = cli_find_program(programs[p->program])))
            return EXIT_DONE;
    return cli_fail(EXIT_FAILED,
                    "nothing to play with: install aplay (alsa-utils), paplay (pulseaudio-utils) "
                    "or ffplay (ffmpeg)");
}

/* The pipe's end is its input; it does not ignore the signals that we do. */
static int spawn(cli_player *p, const char *const argv[], int input)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t ours;
    sigemptyset(&ours);
    sigaddset(&ours, SIGPIPE);
    sigaddset(&ours, SIGXFSZ);
    if (posix_spawn_file_actions_init(&files) != 0)
        return ENOMEM;
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&files);
        return ENOMEM;
    }
    int e = posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
    if (e == 0)
        e = posix_spawn_file_actions_adddup2(&files, STDERR_FILENO, STDOUT_FILENO);
    posix_spawnattr_setsigdefault(&attributes, &ours);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    if (e == 0)
        e = posix_spawn(&p->pid, p->path, &files, &attributes, (char *const *)argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return e;
}

FILE *cli_player_start(cli_player *p, int rate)
{
    char hz[16], pulse[32];
    const char *const argv[N_PROGRAMS][12] = {
        { "aplay", "-q", "-t", "raw", "-f", "S16_LE", "-c", "1", "-r", hz, "-" },
        { "paplay", "--raw", "--format=s16le", "--channels=1", pulse },
        { "ffplay", "-nodisp", "-autoexit", "-loglevel", "error", "-f", "s16le", "-ar", hz, "-i",
          "-" },
    };
    int ends[2] = { -1, -1 };
    snprintf(hz, sizeof hz, "%d", rate);
    snprintf(pulse, sizeof pulse, "--rate=%d", rate);
    int e = pipe2(ends, O_CLOEXEC) == 0 ? 0 : errno;
    if (e == 0) {
        e = spawn(p, argv[p->program], ends[0]);
        close(ends[0]);
    }
    FILE *f = e == 0 ? fdopen(ends[1], "w") : NULL;
    if (!f && ends[1] >= 0)
        close(ends[1]);
    if (!f)
        cli_fail(EXIT_FAILED, "%s: %s", p->path, strerror(e ? e : ENOMEM));
    return f;
}

int cli_player_end(cli_player *p, FILE *f)
{
    int status = 0;
    bool failed = f && ferror(f);
    if (f && fclose(f) != 0)
        failed = true;
    while (p->pid > 0) {
        if (cli_stop)
            kill(p->pid, SIGTERM);
        if (waitpid(p->pid, &status, 0) == p->pid || errno != EINTR)
            p->pid = 0;
    }
    int rc = EXIT_DONE;
    if (!cli_stop && (failed || status != 0))
        rc = cli_fail(EXIT_FAILED, "%s did not play to the end", p->path);
    free(p->path);
    p->path = NULL;
    return rc;
}
