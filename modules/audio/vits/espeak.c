/* SPDX-License-Identifier: MIT
 * The protocol: espeak-ng reads lines from a pipe, and after each it flushes a
 * line of phonemes per clause. Nothing says how many those are, so every text
 * is followed by a sentinel, a word given as phonemes that no text can hold
 * ("[[" is taken out of texts); its output, learnt at the start, is the end.
 * "--sep=_" marks where phonemes begin (see restore).
 *
 * Why a process that stays, and no shell: espeak-ng is GPL, so it is not
 * linked; starting it takes longer than most answers; and text never comes
 * near a command line. Every wait has an end, since the program is not ours.
 */
#include "audio/vits/espeak.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/threads.h"

extern char **environ;

#define SENTINEL "[[a:p@a:p@a:p@]]"
#define TIMEOUT  10.0 /* seconds for one answer */
enum { MAX_ANSWER = 1 << 20 };

struct bt_espeak {
    pid_t pid;
    int fd;
    char voice[64];
    bt_buf sentinel; /* its line of output */
    bool restores;   /* English of espeak-ng before 1.52 */
    char in[4096];   /* read and not yet used: in[at..len) */
    size_t at, len;
};

/* ---- the process ------------------------------------------------------- */

/* Input and output on fd, no other file open, default signals, a group of its
 * own (a Ctrl-C at the terminal is for us). */
static int spawn(const char *program, const char *voice, int fd, pid_t *pid)
{
    char *argv[] = {
        (char *)program, "-q", "-b", "1", "--ipa", "--sep=_", "-v", (char *)voice, NULL
    };
    posix_spawn_file_actions_t fa;
    posix_spawnattr_t at;
    sigset_t none, pipe;
    sigemptyset(&none);
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    if (posix_spawn_file_actions_init(&fa))
        return ENOMEM;
    if (posix_spawnattr_init(&at)) {
        posix_spawn_file_actions_destroy(&fa);
        return ENOMEM;
    }
    int e = posix_spawn_file_actions_adddup2(&fa, fd, 0);
    if (!e)
        e = posix_spawn_file_actions_adddup2(&fa, fd, 1);
    if (!e)
        e = posix_spawn_file_actions_addopen(&fa, 2, "/dev/null", O_WRONLY, 0);
#if defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 34)
    if (!e)
        e = posix_spawn_file_actions_addclosefrom_np(&fa, 3);
#endif
#endif
    if (!e)
        e = posix_spawnattr_setsigmask(&at, &none);
    if (!e)
        e = posix_spawnattr_setsigdefault(&at, &pipe);
    if (!e)
        e = posix_spawnattr_setpgroup(&at, 0);
    if (!e)
        e = posix_spawnattr_setflags(&at, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                              POSIX_SPAWN_SETPGROUP);
    if (!e)
        e = posix_spawnp(pid, program, &fa, &at, argv, environ);
    posix_spawnattr_destroy(&at);
    posix_spawn_file_actions_destroy(&fa);
    return e;
}

void bt_espeak_close(bt_espeak *e)
{
    if (!e)
        return;
    if (e->fd >= 0)
        close(e->fd);
    if (e->pid > 0) {
        kill(e->pid, SIGKILL);
        while (waitpid(e->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    bt_buf_free(&e->sentinel);
    bt_release(e);
}

/* ---- bytes ------------------------------------------------------------- */

static bt_status gone(const bt_espeak *e, bt_error *err)
{
    return bt_fail(err, BT_EIO, "espeak-ng ended; does it have the voice \"%s\"?", e->voice);
}

static bt_status wait_for(const bt_espeak *e, short event, double deadline, bt_error *err)
{
    for (;;) {
        double left = deadline - bt_now();
        if (left <= 0)
            return bt_fail(err, BT_EIO, "espeak-ng did not answer within %.0f seconds", TIMEOUT);
        struct pollfd p = { .fd = e->fd, .events = event };
        int n = poll(&p, 1, (int)(left * 1000) + 1);
        if (n > 0)
            return BT_OK;
        if (n < 0 && errno != EINTR)
            return bt_fail(err, BT_EIO, "espeak-ng: %s", strerror(errno));
    }
}

static bt_status put(bt_espeak *e, const char *s, size_t n, double deadline, bt_error *err)
{
    while (n) {
        ssize_t k = send(e->fd, s, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (k > 0) {
            s += k;
            n -= (size_t)k;
        } else if (k < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            bt_status st = wait_for(e, POLLOUT, deadline, err);
            if (st != BT_OK)
                return st;
        } else if (k == 0 || errno != EINTR) {
            return gone(e, err);
        }
    }
    return BT_OK;
}

/* The next line, without its end, into `line` (replaced). */
static bt_status get_line(bt_espeak *e, bt_buf *line, double deadline, bt_error *err)
{
    line->len = 0;
    for (;;) {
        char *end = memchr(e->in + e->at, '\n', e->len - e->at);
        size_t n = end ? (size_t)(end - e->in) - e->at : e->len - e->at;
        bt_buf_add(line, e->in + e->at, n);
        e->at += n + (end != NULL);
        if (line->failed || line->len > MAX_ANSWER)
            return bt_fail(err, BT_ENOMEM, "espeak-ng: an endless line");
        if (end)
            return BT_OK;
        bt_status st = wait_for(e, POLLIN, deadline, err);
        if (st != BT_OK)
            return st;
        ssize_t k = recv(e->fd, e->in, sizeof e->in, MSG_DONTWAIT);
        if (k == 0 || (k < 0 && errno != EAGAIN && errno != EINTR))
            return gone(e, err);
        e->at = 0;
        e->len = k > 0 ? (size_t)k : 0;
    }
}

/* ---- phonemes ---------------------------------------------------------- */

static bool starts(const char *s, const char *end, const char *with)
{
    size_t n = strlen(with);
    return (size_t)(end - s) >= n && memcmp(s, with, n) == 0;
}

static bool vowel_at(const char *s, const char *end)
{
    static const char *const vowels[] = { "a", "æ", "ɐ", "ɑ", "ɒ", "e", "ə", "ɚ", "ɛ",
                                          "ɜ", "i", "ɪ", "ᵻ", "o", "ɔ", "u", "ʊ", "ʌ" };
    if (starts(s, end, "ˈ") || starts(s, end, "ˌ"))
        s += strlen("ˈ");
    for (size_t i = 0; i < sizeof vowels / sizeof *vowels; i++)
        if (starts(s, end, vowels[i]))
            return true;
    return false;
}

static bool ends_in_i(const char *line, const char *s)
{
    static const char *const vowels[] = { "i", "iː", "ɪ" };
    for (size_t i = 0; i < sizeof vowels / sizeof *vowels; i++) {
        size_t n = strlen(vowels[i]);
        if ((size_t)(s - line) >= n && memcmp(s - n, vowels[i], n) == 0)
            return true;
    }
    return false;
}

/* Appends a line of output without separators and "(lang)" marks.
 *
 * espeak-ng before 1.52 differs from the versions that voices are trained with
 * in two English phonemes, whatever the words: the glide between i and a vowel
 * has no IPA name there (an empty place between separators; now "ʲ"), and the
 * vowel of "four" is written "oːɹ" (now "ɔːɹ"). Both are put right. */
static void restore(const bt_espeak *e, const char *s, size_t n, bt_buf *out)
{
    const char *line = s, *end = s + n;
    for (; s < end; s++) {
        if (*s == '(') {
            const char *close = memchr(s, ')', (size_t)(end - s));
            if (close && close > s + 1) {
                s = close;
                continue;
            }
        }
        if (e->restores && starts(s, end, "oː") &&
            (starts(s + 3, end, "ɹ") || starts(s + 3, end, "_ɹ"))) {
            bt_buf_puts(out, "ɔ");
        } else if (*s != '_') {
            bt_buf_add(out, s, 1);
        } else if (e->restores && end - s > 2 && (s[1] == '_' || s[1] == ' ') &&
                   ends_in_i(line, s) && vowel_at(s + 2, end)) {
            bt_buf_puts(out, "ʲ");
        }
    }
}

/* The text as one line: no controls, no "[[" (phoneme input). */
static void plain_line(const char *text, size_t n, bt_buf *line)
{
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if ((unsigned char)c < 0x20 || c == 0x7F || (c == '[' && i && text[i - 1] == '['))
            c = ' ';
        bt_buf_add(line, &c, 1);
    }
    bt_buf_puts(line, "\n" SENTINEL "\n");
}

static void trim(bt_buf *b)
{
    size_t skip = strspn(b->data ? b->data : "", " ");
    while (b->len > skip && b->data[b->len - 1] == ' ')
        b->len--;
    b->len -= skip;
    if (b->data) {
        memmove(b->data, b->data + skip, b->len);
        b->data[b->len] = 0;
    }
}

bt_status bt_espeak_ask(bt_espeak *e, const char *text, size_t n, bt_buf *phonemes, bt_error *err)
{
    bt_buf line = { 0 }, clean = { 0 };
    double deadline = bt_now() + TIMEOUT;
    bt_status st;
    int count = 0;
    if (n > BT_ESPEAK_MAX)
        return bt_fail(err, BT_EINVAL, "a clause of %zu bytes is too long for espeak-ng", n);
    plain_line(text, n, &line);
    if (line.failed)
        st = bt_no_memory(err, "phonemes");
    else
        st = put(e, line.data, line.len, deadline, err);
    while (st == BT_OK) {
        st = get_line(e, &line, deadline, err);
        if (st != BT_OK ||
            (line.len == e->sentinel.len && memcmp(line.data, e->sentinel.data, line.len) == 0))
            break;
        clean.len = 0;
        restore(e, line.data, line.len, &clean);
        trim(&clean);
        if (clean.len == 0)
            continue;
        if (count++)
            bt_buf_puts(phonemes, " ");
        bt_buf_add(phonemes, clean.data, clean.len);
    }
    if (st == BT_OK && (clean.failed || phonemes->failed))
        st = bt_no_memory(err, "phonemes");
    bt_buf_free(&line);
    bt_buf_free(&clean);
    return st;
}

/* ---- start ------------------------------------------------------------- */

/* Sends one line, takes one back: only before the sentinel is known. */
static bt_status learn(bt_espeak *e, const char *text, bt_buf *line, bt_error *err)
{
    double deadline = bt_now() + TIMEOUT;
    bt_status st = put(e, text, strlen(text), deadline, err);
    return st == BT_OK ? get_line(e, line, deadline, err) : st;
}

static bt_status greet(bt_espeak *e, bt_error *err)
{
    bt_buf glide = { 0 };
    bt_status st;
    BT_TRY(learn(e, SENTINEL "\n", &e->sentinel, err));
    if (e->sentinel.len == 0) {
        st = bt_fail(err, BT_EUNSUPPORTED, "espeak-ng does not speak IPA with the voice \"%s\"",
                     e->voice);
        goto fail;
    }
    if (strncmp(e->voice, "en", 2) == 0) {
        BT_TRY(learn(e, "[[i;a]]\n", &glide, err));
        e->restores = strstr(glide.data, "__") != NULL;
    }
fail:
    bt_buf_free(&glide);
    return st;
}

bt_status bt_espeak_open(const char *program, const char *voice, bt_espeak **out, bt_error *err)
{
    int fd[2];
    *out = NULL;
    bt_espeak *e = bt_calloc(1, sizeof *e);
    if (!e)
        return bt_no_memory(err, "espeak-ng");
    e->fd = -1;
    if (*voice == 0 || *voice == '-' || strlen(voice) >= sizeof e->voice) {
        bt_release(e);
        return bt_fail(err, BT_EFORMAT, "\"%.80s\" is not the name of an espeak-ng voice", voice);
    }
    strcpy(e->voice, voice);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0) {
        bt_release(e);
        return bt_fail(err, BT_EIO, "espeak-ng: %s", strerror(errno));
    }
    e->fd = fd[0];
    int failed = spawn(program, voice, fd[1], &e->pid);
    close(fd[1]);
    if (failed) {
        e->pid = 0;
        bt_espeak_close(e);
        return bt_fail(err, BT_EMISSING,
                       "cannot run \"%s\" (%s); install it (sudo apt install espeak-ng) or give "
                       "phonemes instead of text",
                       program, strerror(failed));
    }
    bt_status st = greet(e, err);
    if (st != BT_OK) {
        bt_espeak_close(e);
        return st;
    }
    *out = e;
    return BT_OK;
}
