/* SPDX-License-Identifier: MIT
 * A Kokoro voice as the module has it: styles and their mixtures, cutting long sentences,
 * options, bad files beside the model. With the tiny model and files made here.
 */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audio/kokoro/npz.h"
#include "audio/kokoro/styles.h"
#include "voice_host.h"

#define TINY   BT_SOURCE_DIR "/tests/golden/kokoro/tiny.onnx"
#define FOLDER "kokoro_voice"
#define MODEL  FOLDER "/kokoro.onnx"

enum { WIDTH = 16, ROWS = 5 }; /* of the tiny model's styles */

/* ---- files beside the model --------------------------------------------------- */

static void put16(FILE *f, unsigned v) { fputc((int)(v & 255), f), fputc((int)(v >> 8 & 255), f); }
static void put32(FILE *f, unsigned v) { put16(f, v & 65535), put16(f, v >> 16); }

/* The local header or the entry of the table of contents. */
static void put_header(FILE *f, const char *name, unsigned size, unsigned method, long at)
{
    const bool entry = at >= 0;
    put32(f, entry ? 0x02014b50 : 0x04034b50);
    if (entry)
        put16(f, 20);
    put16(f, 20), put16(f, 0), put16(f, method), put32(f, 0), put32(f, 0);
    put32(f, size), put32(f, size), put16(f, (unsigned)strlen(name)), put16(f, 0);
    if (entry) {
        put16(f, 0), put16(f, 0), put16(f, 0), put32(f, 0);
        put32(f, (unsigned)at);
    }
    fputs(name, f);
}

/* Two styles of ROWS rows: row r of the first is all 1 + r, of the second all -(1 + r). */
static void write_styles(const char *path, int width, unsigned method)
{
    char head[118] = "\x93NUMPY\x01", dict[108];
    const unsigned size = sizeof head + ROWS * (unsigned)width * 4;
    long at[2];
    FILE *f = fopen(path, "wb");
    snprintf(dict, sizeof dict, "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, 1, %d), }",
             ROWS, width);
    memset(head + 10, ' ', sizeof head - 10);
    memcpy(head + 10, dict, strlen(dict));
    head[7] = 0;
    head[8] = sizeof head - 10;
    head[9] = 0;
    for (int s = 0; s < 2; s++) {
        at[s] = ftell(f);
        put_header(f, s ? "bf_two.npy" : "one.npy", size, method, -1);
        fwrite(head, 1, sizeof head, f);
        for (int i = 0; i < ROWS * width; i++) {
            const float v = (float)((s ? -1 : 1) * (1 + i / width));
            fwrite(&v, 4, 1, f);
        }
    }
    const long table = ftell(f);
    for (int s = 0; s < 2; s++)
        put_header(f, s ? "bf_two.npy" : "one.npy", size, method, at[s]);
    const long end = ftell(f);
    put32(f, 0x06054b50), put16(f, 0), put16(f, 0), put16(f, 2), put16(f, 2);
    put32(f, (unsigned)(end - table)), put32(f, (unsigned)table), put16(f, 0);
    fclose(f);
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "wb");
    fputs(text, f);
    fclose(f);
}

#define VOCAB "{\"vocab\": {\"a\": 1, \"b\": 2, \"\xca\x83\": 3, \" \": 16, \",\": 4, \".\": 5}}"

static int make_folder(void **state)
{
    (void)state;
    mkdir(FOLDER, 0777);
    unlink(MODEL);
    assert_int_equal(symlink(TINY, MODEL), 0);
    write_styles(FOLDER "/styles.npz", WIDTH, 0);
    write_text(FOLDER "/vocab.json", VOCAB);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(MODEL);
    unlink(FOLDER "/styles.npz");
    unlink(FOLDER "/vocab.json");
    return rmdir(FOLDER);
}

static void open_beside(host *h, bt_kokoro **k, bt_kok_beside *b)
{
    bt_store *s;
    host_setup_as(h, &bt_module_kokoro, NULL, 1, BT_PREC_F32);
    if (bt_store_open(MODEL, &s, &h->error) != BT_OK ||
        bt_kokoro_open(s, &h->compute, k, &h->error) != BT_OK ||
        bt_kok_beside_open(*k, b, &h->error) != BT_OK)
        fail_msg("%s", h->error.text);
}

static void styles_mix(void **state)
{
    (void)state;
    host h;
    bt_kokoro *k;
    bt_kok_beside b;
    float v[WIDTH];
    bt_error err = { 0 };
    open_beside(&h, &k, &b);
    static const struct {
        const char *spec;
        size_t phonemes;
        float want;
    } right[] = {
        { "", 1, 1 },          { "one", 3, 3 },          { "bf_two", 2, -2 },
        { "one", 99, ROWS },   { "one:3,bf_two", 4, 2 }, { "one:0.25,bf_two:0.75", 2, -1 },
        { "one,bf_two", 5, 0 }
    };
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        assert_int_equal(bt_kok_mix(&b, right[i].spec, right[i].phonemes, v, &err), BT_OK);
        for (int j = 0; j < WIDTH; j++)
            assert_true(v[j] == right[i].want);
    }
    static const char *const wrong[] = { "three", "one:",     "one:x",     "one:-1",
                                         "one:0", "one:0.5x", "one,three", ",one:nan" };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(bt_kok_mix(&b, wrong[i], 1, v, &err), BT_EINVAL);
    bt_kok_beside_close(&b);
    bt_kokoro_close(k);
    host_close(&h);
}

/* Pieces of at most positions - 2 phonemes, at clauses where there are some. */
static void long_sentences_are_cut(void **state)
{
    (void)state;
    host h;
    bt_kokoro *k;
    bt_kok_beside b;
    bt_error err = { 0 };
    open_beside(&h, &k, &b);
    assert_int_equal(k->positions, 24);
    static const struct {
        const char *text;
        int n, pieces[4];
    } cases[] = {
        { "ab ab.", 1, { 6 } },
        { "ab ab ab ab ab ab, ab ab ab ab ab", 2, { 18, 14 } },
        { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 2, { 15, 15 } },
        { "ab ab ab ab ab ab ab ab ab ab ab", 2, { 17, 14 } },
        { "a, ababababababababababababababab", 2, { 17, 16 } },
        { "ab xx  yab", 1, { 7 } }, /* what follows the last phoneme makes no piece */
        { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa xxx", 2, { 16, 15 } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bt_utterances u = { 0 };
        int piece = 0, count = 0;
        assert_int_equal(
            bt_kok_utter(k, &b.alphabet, cases[i].text, strlen(cases[i].text), &u, &err), BT_OK);
        assert_int_equal(u.n, 1);
        for (int j = 1; j < u.v[0].n; j++) {
            if (u.v[0].ids[j]) {
                count++;
                continue;
            }
            assert_true(count <= 22);
            assert_true(piece < 4);
            assert_int_equal(count, cases[i].pieces[piece]);
            piece++;
            count = 0;
            j++; /* the next piece's own 0 */
        }
        assert_int_equal(piece, cases[i].n);
        bt_utterances_free(&u);
    }
    bt_utterances u = { 0 };
    assert_int_equal(bt_kok_utter(k, &b.alphabet, "axb\xff!", 5, &u, &err), BT_OK);
    assert_int_equal(u.missing, 3);
    assert_int_equal(u.v[0].n, 4);
    assert_int_equal(bt_alphabet_check(&b.alphabet, "ab", 2, &err), BT_OK);
    assert_int_equal(bt_alphabet_check(&b.alphabet, "axb", 3, &err), BT_EINVAL);
    bt_utterances_free(&u);
    bt_kok_beside_close(&b);
    bt_kokoro_close(k);
    host_close(&h);
}

/* The host takes other paths for names of installed files. */
static const char *absolute(char *path, size_t size)
{
    char here[1024];
    assert_non_null(getcwd(here, sizeof here));
    snprintf(path, size, "%s/" MODEL, here);
    return path;
}

/* ---- a job ---------------------------------------------------------------------- */

static void options_work(void **state)
{
    (void)state;
    host h;
    char path[1100];
    host_open_as(&h, &bt_module_kokoro, absolute(path, sizeof path), 2, BT_PREC_F32);
    host_set(&h, "phonemes", "ab a\xca\x83.");
    host_run(&h);
    assert_int_equal(h.rate, 24000);
    const size_t n = h.n;
    float *first = malloc(n * sizeof *first);
    memcpy(first, h.samples, n * sizeof *first);
    host_run(&h);
    assert_memory_equal(first, h.samples, n * sizeof *first); /* the same seed */
    host_set(&h, "seed", "5");
    host_run(&h);
    assert_int_equal(h.n, n);
    assert_true(memcmp(first, h.samples, n * sizeof *first) != 0);
    host_set(&h, "noise_scale", "0");
    host_run(&h);
    memcpy(first, h.samples, n * sizeof *first);
    host_set(&h, "seed", "6");
    host_run(&h);
    assert_memory_equal(first, h.samples, n * sizeof *first); /* nothing else is random */
    host_set(&h, "speaker", "bf_two");
    host_run(&h);
    assert_true(h.n != n || memcmp(first, h.samples, n * sizeof *first) != 0);
    host_set(&h, "speaker", "nobody");
    assert_int_equal(host_try_run(&h), BT_EINVAL);
    host_set(&h, "speaker", "one");
    host_set(&h, "phonemes", "axb");
    assert_int_equal(host_try_run(&h), BT_EINVAL);
    host_set(&h, "phonemes", "");
    host_set(&h, "text", "Hello.");
    assert_int_equal(host_try_run(&h), BT_ENOTFOUND); /* no lexicons beside this one */
    free(first);
    host_close(&h);
}

static float *spoken_by(host *h, const char *speaker, size_t *n)
{
    host_set(h, "speaker", speaker);
    host_run(h);
    float *copy = malloc(h->n * sizeof *copy);
    memcpy(copy, h->samples, h->n * sizeof *copy);
    *n = h->n;
    return copy;
}

static void pace_and_mixture_are_chosen(void **state)
{
    (void)state;
    host h;
    char path[1100];
    size_t n[4];
    host_open_as(&h, &bt_module_kokoro, absolute(path, sizeof path), 2, BT_PREC_F32);
    host_set(&h, "phonemes", "ab a\xca\x83.");
    float *one = spoken_by(&h, "one", &n[0]), *two = spoken_by(&h, "bf_two", &n[1]);
    float *both = spoken_by(&h, "one,bf_two", &n[2]), *same = spoken_by(&h, "one:3,one", &n[3]);
    assert_int_equal(n[0], n[3]);
    assert_memory_equal(one, same, n[0] * sizeof *one);
    assert_true(n[0] != n[2] || memcmp(one, both, n[0] * sizeof *one) != 0);
    assert_true(n[1] != n[2] || memcmp(two, both, n[1] * sizeof *two) != 0);
    host_set(&h, "speaker", "one");
    host_set(&h, "speed", "0.1");
    host_run(&h);
    const size_t slow = h.n;
    host_set(&h, "length_scale", "10"); /* which speed divides */
    host_set(&h, "speed", "1");
    host_run(&h);
    assert_int_equal(h.n, slow);
    assert_true(slow > n[0]);
    free(one);
    free(two);
    free(both);
    free(same);
    host_close(&h);
}

/* More phonemes than the model takes in one piece. */
static void pieces_are_joined(void **state)
{
    (void)state;
    host h;
    char path[1100];
    host_open_as(&h, &bt_module_kokoro, absolute(path, sizeof path), 2, BT_PREC_F32);
    host_set(&h, "phonemes", "ab ab ab ab ab ab, ab ab ab ab ab ab, ab ab.");
    host_run(&h);
    assert_true(host_fact(&h, "sentences") == 1);
    assert_true(h.n > 0 && h.calls > 1);
    host_close(&h);
}

#define LINES "ab ab ab ab ab ab, ab ab ab ab ab ab, ab ab.\nab, \xca\x83."

/* Times of pieces that were shortened where they meet. */
static void times_add_up(void **state)
{
    (void)state;
    host h;
    char path[1100];
    host_open_as(&h, &bt_module_kokoro, absolute(path, sizeof path), 2, BT_PREC_F32);
    host_set(&h, "phonemes", LINES);
    host_set(&h, "sentence_silence", "0.1");
    host_run_timed(&h, 2400);
    host_assert_told(&h, BT_TIMING_SENTENCE, LINES,
                     "ab ab ab ab ab ab, ab ab ab ab ab ab, ab ab.|ab, \xca\x83.|");
    host_assert_told(&h, BT_TIMING_WORD, LINES,
                     "ab|ab|ab|ab|ab|ab|ab|ab|ab|ab|ab|ab|ab|ab|ab|\xca\x83|");
    assert_string_equal(host_told(&h, BT_TIMING_PHONEME, 1)->phonemes, "a");
    host_set(&h, "phonemes", "a\nb");
    h.stop_at_time = 2;
    assert_int_equal(host_try_run(&h), BT_ECANCELLED);
    assert_int_equal(h.n, 0);
    host_close(&h);
}

/* ---- allocations that fail --------------------------------------------------------- */

static host faulty;

/* Opens, speaks twice (kept plans, pieces), closes; the first failure. */
static bt_status live(void)
{
    char path[1100];
    faulty.model = NULL;
    faulty.job = NULL;
    bt_status st = host_try_open(&faulty, absolute(path, sizeof path));
    if (st != BT_OK)
        return st;
    st = bt_module_kokoro.job_open(faulty.model, &faulty.job, &faulty.error);
    for (int i = 0; st == BT_OK && i < 2; i++) {
        st = host_try_run(&faulty);
        if (st == BT_OK && faulty.report.failed) /* the host's own buffer */
            st = bt_no_memory(&faulty.error, "the host");
    }
    bt_module_kokoro.job_close(faulty.job);
    bt_module_kokoro.close(faulty.model);
    faulty.model = NULL;
    faulty.job = NULL;
    return st;
}

static void speaking_survives(void **state)
{
    (void)state;
    host_setup_as(&faulty, &bt_module_kokoro, NULL, 1, BT_PREC_F32);
    host_set(&faulty, "phonemes", "ab ab ab ab ab ab, ab ab ab ab ab");
    faulty.wants_times = true;
    assert_int_equal(live(), BT_OK);
#ifdef BT_FAULTS
    long n = 1;
    for (;; n += 1 + n / 64) {
        memset(&faulty.error, 0, sizeof faulty.error);
        bt_fault_after(n);
        const bt_status st = live();
        if (bt_fault_after(0) > 0) { /* needs fewer allocations */
            assert_int_equal(st, BT_OK);
            break;
        }
        if (st != BT_ENOMEM || !faulty.error.text[0])
            fail_msg("allocation %ld: status %d, \"%s\"", n, st, faulty.error.text);
    }
    print_message("%ld allocations\n", n);
#endif
    host_close(&faulty);
}

static void refused(bt_status want)
{
    host h;
    host_setup_as(&h, &bt_module_kokoro, NULL, 1, BT_PREC_F32);
    assert_int_equal(host_try_open(&h, MODEL), want);
    assert_true(strlen(h.error.text) > 10 && !strchr(h.error.text, '\n'));
    printf("    %s\n", h.error.text);
    host_close(&h);
}

/* The tiny model with the first `from` spelt `to`, of which only a share is there. */
static void write_model(const char *from, const char *to, double share)
{
    size_t n;
    char *data = golden_text("kokoro/tiny.onnx", &n);
    char *at = memmem(data, n, from, strlen(from));
    assert_non_null(at);
    memcpy(at, to, strlen(to));
    unlink(MODEL);
    FILE *f = fopen(MODEL, "wb");
    fwrite(data, 1, (size_t)((double)n * share), f);
    fclose(f);
    free(data);
}

static void bad_models_are_refused(void **state)
{
    static const char *const missing[] = { "cnn.1.1.gamma", "encode.conv1.bias", "alpha1.0",
                                           "F0_conv.bias", "bert_encoder.bias" };
    char other[32];
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
        snprintf(other, sizeof other, "%s", missing[i]);
        other[1]++;
        write_model(missing[i], other, 1);
        refused(BT_EFORMAT);
    }
    write_model("cnn", "cnn", 0.6);
    refused(BT_EFORMAT);
    make_folder(state);
}

static void bad_files_are_refused(void **state)
{
    (void)state;
    static const char *const vocabs[] = { "{",
                                          "{}",
                                          "{\"vocab\": {\"ab\": 1}}",
                                          "{\"vocab\": {\"a\": 0}}",
                                          "{\"vocab\": {\"a\": 30}}",
                                          "{\"vocab\": {\"a\": \"b\"}}",
                                          "{\"vocab\": {}}" };
    for (size_t i = 0; i < sizeof vocabs / sizeof *vocabs; i++) {
        write_text(FOLDER "/vocab.json", vocabs[i]);
        refused(BT_EFORMAT);
    }
    unlink(FOLDER "/vocab.json");
    refused(BT_ENOTFOUND);
    write_text(FOLDER "/vocab.json", VOCAB);
    write_styles(FOLDER "/styles.npz", WIDTH + 1, 0);
    refused(BT_EFORMAT);
    write_styles(FOLDER "/styles.npz", WIDTH, 8);
    refused(BT_EFORMAT);
    write_text(FOLDER "/styles.npz", "not an archive");
    refused(BT_EFORMAT);
    unlink(FOLDER "/styles.npz");
    refused(BT_ENOTFOUND);
    make_folder(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(styles_mix),
        cmocka_unit_test(long_sentences_are_cut),
        cmocka_unit_test(options_work),
        cmocka_unit_test(pace_and_mixture_are_chosen),
        cmocka_unit_test(pieces_are_joined),
        cmocka_unit_test(times_add_up),
        cmocka_unit_test(bad_files_are_refused),
        cmocka_unit_test(bad_models_are_refused),
        cmocka_unit_test(speaking_survives),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
