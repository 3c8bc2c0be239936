/* SPDX-License-Identifier: MIT
 * Phonemes of lines, for comparing with the package (tests/golden/english/make_english.py)
 * and for timing: english_lines FOLDER us|gb [sentences|words] < text
 * A line of phonemes per line; with "sentences" the text is cut into sentences first;
 * with "words" each word is shown. Times go to stderr.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audio/english/english.h"
#include "base/threads.h"

static int fail(const bt_error *e)
{
    fprintf(stderr, "%s\n", e->text);
    return 1;
}

static void show_words(const char *text, const bt_english_out *o)
{
    for (size_t i = 0; i < o->n_words; i++) {
        const bt_english_word *w = &o->words[i];
        printf("  %-6s %d [%.*s] \"%.*s\" /%.*s/\n", w->tag, w->rating, (int)(w->to - w->from),
               text + w->from, (int)(w->spelling_to - w->spelling_from),
               o->spelling.data + w->spelling_from, (int)(w->phonemes_to - w->phonemes_from),
               o->phonemes.data + w->phonemes_from);
    }
}

/* One line, or one sentence of it after the other. */
static bt_status say(const bt_english *e, bt_english_job *j, const char *s, size_t n,
                     const char *how, bt_english_out *o, bt_error *err)
{
    size_t at = 0, from = 0, to = n;
    const bool cut = strcmp(how, "sentences") == 0;
    if (cut && !bt_english_sentence(e, s, n, &at, &from, &to))
        return BT_OK;
    do {
        const bt_status st = bt_english_phonemize(j, s + from, to - from, o, err);
        if (st != BT_OK)
            return st;
        printf("%.*s\n", (int)o->phonemes.len, o->phonemes.len ? o->phonemes.data : "");
        if (strcmp(how, "words") == 0)
            show_words(s + from, o);
    } while (cut && bt_english_sentence(e, s, n, &at, &from, &to));
    return BT_OK;
}

int main(int argc, char **argv)
{
    bt_kernels kernels;
    bt_error err;
    bt_english *e;
    bt_english_job *j;
    bt_english_out o = { 0 };
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    if (argc < 3)
        return 2;
    bt_kernels_init(&kernels, UINT32_MAX);
    const bt_compute c = { .kernels = &kernels, .threads = 1 };
    const double start = bt_now();
    if (bt_english_open(argv[1], strcmp(argv[2], "gb") == 0, &c, &e, &err) != BT_OK ||
        bt_english_job_open(e, &j, &err) != BT_OK)
        return fail(&err);
    const double opened = bt_now();
    while ((n = getdelim(&line, &cap, argc > 3 && argv[3][0] == 's' ? 0 : '\n', stdin)) > 0) {
        n -= line[n - 1] == '\n';
        if (say(e, j, line, (size_t)n, argc > 3 ? argv[3] : "", &o, &err) != BT_OK)
            return fail(&err);
    }
    fprintf(stderr, "opened in %.1f ms, spoken in %.1f ms\n", 1e3 * (opened - start),
            1e3 * (bt_now() - opened));
    free(line);
    bt_english_out_free(&o);
    bt_english_job_close(j);
    bt_english_close(e);
    return 0;
}
