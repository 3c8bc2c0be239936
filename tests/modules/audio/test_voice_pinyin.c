/* SPDX-License-Identifier: MIT
 * Voices whose phonemes are pinyin: ids as piper makes them (tests/golden/make_pinyin.py),
 * where in the line each comes from; voices whose text nobody here can read.
 */
#include <stdio.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "audio/vits/phonemes.h"
#include "audio/vits/pinyin.h"
#include "voice_host.h"

static int by_text(const void *a, const void *b)
{
    return strcmp(((const bt_phoneme *)a)->text, ((const bt_phoneme *)b)->text);
}

/* A voice that is nothing but the golden's phonemes. */
static void make_voice(bt_voice *v, const cJSON *map)
{
    const cJSON *item;
    memset(v, 0, sizeof *v);
    v->is_pinyin = true;
    v->phonemes = calloc((size_t)cJSON_GetArraySize(map), sizeof *v->phonemes);
    assert_non_null(v->phonemes);
    cJSON_ArrayForEach(item, map)
    {
        bt_phoneme *p = &v->phonemes[v->n_phonemes++];
        p->text = item->string;
        p->ids = calloc(1, sizeof *p->ids);
        assert_non_null(p->ids);
        p->ids[p->n_ids++] = cJSON_GetArrayItem(item, 0)->valueint;
    }
    qsort(v->phonemes, (size_t)v->n_phonemes, sizeof *v->phonemes, by_text);
}

static void free_voice(bt_voice *v)
{
    for (int i = 0; i < v->n_phonemes; i++)
        free(v->phonemes[i].ids);
    free(v->phonemes);
}

static void ids_match_piper(void **state)
{
    (void)state;
    bt_voice v;
    char *text = golden_text("pinyin.json", NULL);
    cJSON *json = cJSON_Parse(text);
    const cJSON *line;
    int lines = 0;
    make_voice(&v, cJSON_GetObjectItem(json, "phoneme_id_map"));
    cJSON_ArrayForEach(line, cJSON_GetObjectItem(json, "lines"))
    {
        bt_utterances u = { 0 };
        bt_error err;
        const char *s = cJSON_GetObjectItem(line, "text")->valuestring;
        const cJSON *want = cJSON_GetObjectItem(line, "ids");
        assert_int_equal(bt_utter_phonemes(&v, s, strlen(s), &u, &err), BT_OK);
        assert_int_equal(u.n, 1);
        assert_int_equal(u.v[0].n, cJSON_GetArraySize(want));
        for (int i = 0; i < u.v[0].n; i++)
            assert_int_equal(u.v[0].ids[i], cJSON_GetArrayItem(want, i)->valueint);
        assert_int_equal(u.missing > 0, strstr(s, "r5") != NULL);
        bt_utterances_free(&u);
        lines++;
    }
    assert_true(lines >= 7);
    free_voice(&v);
    cJSON_Delete(json);
    free(text);
}

/* "shi4 e2": what each id stands for; words are the syllables. */
static void ids_know_where_they_come_from(void **state)
{
    (void)state;
    static const bt_span want[] = { { 0, 0 }, { 0, 2 }, { 2, 3 }, { 3, 4 }, { 0, 0 },
                                    { 5, 5 }, { 5, 6 }, { 6, 7 }, { 0, 0 }, { 0, 0 } };
    bt_voice v;
    bt_utterances u = { 0 };
    bt_error err;
    char *text = golden_text("pinyin.json", NULL);
    cJSON *json = cJSON_Parse(text);
    make_voice(&v, cJSON_GetObjectItem(json, "phoneme_id_map"));
    assert_int_equal(bt_utter_phonemes(&v, "shi4 e2", 7, &u, &err), BT_OK);
    assert_int_equal(u.v[0].n, 10);
    for (int i = 0; i < 10; i++)
        assert_memory_equal(&u.v[0].at[i], &want[i], sizeof want[i]);
    assert_int_equal(u.n_words, 2);
    assert_int_equal(u.words[1].source.from, 5);
    bt_utterances_free(&u);
    free_voice(&v);
    cJSON_Delete(json);
    free(text);
}

/* The tiny voice with phonemes of a type; its map is not pinyin's, but the letters are there. */
static void copy_as(const char *folder, const char *type)
{
    static const char from[] = "\"phoneme_type\": \"text\"";
    for (int i = 0; i < 2; i++) {
        size_t n;
        char path[160],
            *data = golden_text(i ? "tiny-vits-low.onnx.json" : "tiny-vits-low.onnx", &n);
        char *at = i ? strstr(data, from) : data;
        assert_non_null(at);
        snprintf(path, sizeof path, "%s/v.onnx%s", folder, i ? ".json" : "");
        FILE *f = fopen(path, "wb");
        assert_non_null(f);
        fwrite(data, 1, (size_t)(at - data), f);
        if (i)
            fprintf(f, "\"phoneme_type\": \"%s\"%s", type, at + strlen(from));
        else
            fwrite(data, 1, n, f);
        assert_int_equal(fclose(f), 0);
        free(data);
    }
}

static void their_text_cannot_be_read(void **state)
{
    (void)state;
    static const char *const types[][2] = { { "pinyin", "g2pW" },
                                            { "japanese", "OpenJTalk" },
                                            { "hebrew", "Nakdimon" },
                                            { "thai", "TLTK" } };
    char folder[] = "/tmp/bottega-pinyin-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/v.onnx", folder);
    for (int i = 0; i < 4; i++) {
        host h;
        copy_as(folder, types[i][0]);
        host_open(&h, path, NULL, 1, BT_PREC_F32);
        host_set(&h, "text", "hello");
        assert_int_equal(host_try_run(&h), BT_EUNSUPPORTED);
        assert_non_null(strstr(h.error.text, types[i][1]));
        host_set(&h, "text", "");
        host_set(&h, "phonemes", "h e l o");
        host_run(&h);
        assert_true(h.n > 1000);
        host_close(&h);
    }
    unlink(path);
    strcat(path, ".json");
    unlink(path);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_match_piper),
        cmocka_unit_test(ids_know_where_they_come_from),
        cmocka_unit_test(their_text_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
