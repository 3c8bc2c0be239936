/* SPDX-License-Identifier: MIT
 * Every allocation of opening a voice, speaking, and asking espeak-ng fails
 * once (in builds with BT_FAULTS; elsewhere only the unbroken run is made).
 */
#include <stdio.h>

#include "audio/vits/phonemes.h"
#include "voice_host.h"

static host h;

static char path[1024];

/* Opens, speaks three times (new options, kept plans), closes; the first failure. */
static bt_status speak(void)
{
    h.model = NULL;
    h.job = NULL;
    bt_status st = host_try_open(&h, path);
    if (st != BT_OK)
        return st;
    st = h.module->job_open(h.model, &h.job, &h.error);
    for (int i = 0; st == BT_OK && i < 3; i++) {
        host_set(&h, "normalize", i == 1 ? "1" : "0");
        host_set(&h, "loudness", i == 2 ? "-20" : "");
        st = host_try_run(&h);
    }
    h.module->job_close(h.job);
    h.module->close(h.model);
    h.model = NULL;
    h.job = NULL;
    return st;
}

static bt_voice *joe;

static bt_status ask(void)
{
    bt_espeak *e;
    bt_utterances u = { 0 };
    bt_status st = bt_espeak_open("espeak-ng", "en-us", &e, &h.error);
    if (st != BT_OK)
        return st;
    const char *text = "One, two. [[x]] Three\xFF";
    st = bt_utter_text(joe, e, text, strlen(text), NULL, &u, &h.error);
    bt_utterances_free(&u);
    bt_espeak_close(e);
    return st;
}

static void all_fail_once(bt_status (*life)(void))
{
    assert_int_equal(life(), BT_OK);
#ifdef BT_FAULTS
    long n = 1;
    for (;; n += 1 + n / 64) {
        memset(&h.error, 0, sizeof h.error);
        bt_fault_after(n);
        bt_status st = life();
        if (bt_fault_after(0) > 0) { /* needs fewer allocations */
            assert_int_equal(st, BT_OK);
            break;
        }
        if (st != BT_ENOMEM || !h.error.text[0])
            fail_msg("allocation %ld: status %d, \"%s\"", n, st, h.error.text);
    }
    print_message("%ld allocations\n", n);
#endif
}

static void speaking_survives(void **state)
{
    (void)state;
    host_setup(&h, NULL, 1, BT_PREC_F32);
    snprintf(path, sizeof path, "%s/tests/golden/tiny-vits-high.onnx", BT_SOURCE_DIR);
    host_set(&h, "text", "hello\nagain");
    h.wants_times = true;
    all_fail_once(speak);
    host_close(&h);
}

static void speaking_a_document_survives(void **state)
{
    (void)state;
    host_setup(&h, NULL, 1, BT_PREC_F32);
    snprintf(path, sizeof path, "%s/tests/golden/tiny-vits-high.onnx", BT_SOURCE_DIR);
    host_set(&h, "text",
             "<speak>hello <voice name=\"2\"><emphasis>again</emphasis></voice><break/></speak>");
    h.wants_times = true;
    all_fail_once(speak);
    host_close(&h);
}

static void speaking_with_hibari_survives(void **state)
{
    (void)state;
    host_setup_as(&h, &bt_module_hibari, NULL, 1, BT_PREC_AUTO);
    golden_data(HIBARI, path, sizeof path);
    host_set(&h, "phonemes", "jˈɛs!");
    all_fail_once(speak);
    host_close(&h);
}

static void asking_survives(void **state)
{
    (void)state;
    host_open(&h, JOE, NULL, 1, BT_PREC_F32);
    joe = h.model;
    all_fail_once(ask);
    host_close(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(speaking_survives),
        cmocka_unit_test(speaking_a_document_survives),
        cmocka_unit_test(speaking_with_hibari_survives),
        cmocka_unit_test(asking_survives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
