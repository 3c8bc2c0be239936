/* SPDX-License-Identifier: MIT
 * Where the sound goes while it is spoken: into a file that grows, and to the stream
 * (--raw, --play). Nothing is kept, so that a book takes no more memory than a line.
 */
#include <math.h>
#include <stdlib.h>

#include "speak.h"

/* 16 bits, little end first, whatever this machine's order is. */
static bool to_stream(cli *c, const bt_audio *chunk)
{
    if (!c->sink)
        c->sink = cli_player_start(&c->player, chunk->sample_rate);
    for (size_t i = 0; c->sink && i < chunk->n; i++) {
        const float x = fmaxf(-1.0f, fminf(1.0f, chunk->samples[i]));
        const int v = (int)fminf(rintf(x * 32768.0f), 32767.0f);
        putc(v & 0xff, c->sink);
        putc((v >> 8) & 0xff, c->sink);
    }
    c->sink_gone = !c->sink || fflush(c->sink) != 0 || ferror(c->sink);
    return !c->sink_gone;
}

/* Says why at once: the message does not outlive the next call. */
static bool to_file(cli *c, const bt_audio *chunk)
{
    cli_out *o = &c->out;
    bt_audio form = o->form;
    form.sample_rate = chunk->sample_rate;
    form.channels = 1;
    bt_status st = BT_OK;
    if (!o->writer)
        st = bt_audio_writer_open(c->engine, o->path, &form, &o->writer);
    if (st == BT_OK)
        st = bt_audio_writer_add(o->writer, chunk->samples, chunk->n);
    if (st == BT_OK)
        return true;
    cli_progress_end(c);
    cli_fail(EXIT_FAILED, "%s%s", c->where, bt_engine_message(c->engine));
    o->failed = true;
    return false;
}

/* To wherever it is wanted; true: somebody took no more. */
static bool pass(cli *c, const bt_audio *chunk)
{
    c->out.rate = chunk->sample_rate;
    c->out.n += chunk->n;
    if (c->out.path && !to_file(c, chunk))
        return true;
    return c->out.streams && !to_stream(c, chunk);
}

int speak_on_samples(void *user, const bt_audio *chunk)
{
    static const float zeros[4096];
    cli *c = user;
    bt_audio silence = *chunk;
    silence.samples = zeros;
    while (chunk->n && c->out.gap) {
        silence.n = c->out.gap < 4096 ? c->out.gap : 4096;
        c->out.gap -= silence.n;
        if (pass(c, &silence))
            return 1;
    }
    return pass(c, chunk) || cli_stop;
}

bool speak_streams(const cli *c) { return cli_has(c, "raw") || cli_has(c, "play"); }

bt_audio speak_form(const cli *c)
{
    return (bt_audio){ .struct_size = sizeof(bt_audio),
                       .format = cli_get(c, "format"),
                       .bits = cli_get(c, "bits") };
}

void speak_out_begin(cli *c, const char *path)
{
    c->out = (cli_out){ .path = path, .streams = speak_streams(c), .form = speak_form(c) };
}

/* An abandoned file leaves nothing; a stream that ends in mid-air was told of already. */
static int end_file(cli *c, bool keep)
{
    cli_out *o = &c->out;
    const bt_status st = bt_audio_writer_close(o->writer, keep);
    if (!keep)
        return EXIT_DONE;
    if (!o->writer)
        return cli_fail(EXIT_INPUT, "%sthere is nothing to say in this text", c->where);
    if (st != BT_OK)
        return cli_fail(EXIT_FAILED, "%s%s", c->where, bt_engine_message(c->engine));
    if (o->quiet)
        return EXIT_DONE;
    cli_note(c, "%s: %.2f s at %d Hz", o->path, (double)o->n / o->rate, o->rate);
    cli_wrote(c, o->path);
    return EXIT_DONE;
}

int speak_out_end(cli *c, bool keep)
{
    int rc = c->out.path ? end_file(c, keep) : EXIT_DONE;
    if (rc == EXIT_DONE && keep && cli_has(c, "raw"))
        rc = cli_flush();
    c->out.writer = NULL;
    c->out.path = NULL;
    return rc;
}
