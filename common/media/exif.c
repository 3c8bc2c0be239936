/* SPDX-License-Identifier: MIT */
#include "exif.h"

#include <string.h>

enum {
    TAG_ORIENTATION = 0x0112,
    TAG_EXIF = 0x8769, /* where the second directory stands */
    TAG_MAKER_NOTE = 0x927c,
    TAG_USER_COMMENT = 0x9286,
    TYPE_SHORT = 3,
    TYPE_LONG = 4,
    TYPE_BYTES = 7,
    ENTRY = 12,
    MARK = 8, /* bytes that say what a comment is written in */
};

static const char unicode[MARK] = "UNICODE", ours[MARK] = "bottega";

/* ---- writing ------------------------------------------------------------- */

static void put(bt_buf *b, uint32_t v, int bytes)
{
    char s[4];
    for (int i = 0; i < bytes; i++)
        s[i] = (char)(v >> 8 * (bytes - 1 - i));
    bt_buf_add(b, s, (size_t)bytes);
}

static void put_entry(bt_buf *b, uint32_t tag, uint32_t type, size_t count, size_t value)
{
    put(b, tag, 2);
    put(b, type, 2);
    put(b, (uint32_t)count, 4);
    put(b, (uint32_t)value, 4);
}

/* Header; a first directory that only points to the second; the second; texts. */
void bt_exif_make(bt_buf *out, const char *parameters, const char *settings)
{
    const size_t n_settings = settings ? MARK + strlen(settings) : 0;
    const uint32_t entries = !!parameters + !!settings;
    const size_t second = 8 + 2 + ENTRY + 4, data = second + 2 + ENTRY * entries + 4;
    bt_buf comment = { 0 };
    if (entries == 0)
        return;
    if (parameters) {
        bt_buf_add(&comment, unicode, MARK);
        bt_letters_to_utf16(&comment, parameters);
    }
    bt_buf_add(out, "MM\0*", 4);
    put(out, 8, 4);
    put(out, 1, 2);
    put_entry(out, TAG_EXIF, TYPE_LONG, 1, second);
    put(out, 0, 4);
    put(out, entries, 2);
    if (settings)
        put_entry(out, TAG_MAKER_NOTE, TYPE_BYTES, n_settings, data);
    if (parameters)
        put_entry(out, TAG_USER_COMMENT, TYPE_BYTES, comment.len, data + n_settings);
    put(out, 0, 4);
    if (settings) {
        bt_buf_add(out, ours, MARK);
        bt_buf_puts(out, settings);
    }
    if (parameters)
        bt_buf_add(out, comment.data, comment.len);
    out->failed |= comment.failed;
    bt_buf_free(&comment);
}

/* ---- reading ------------------------------------------------------------- */

typedef struct tiff {
    const uint8_t *p;
    size_t n;
    bool low_first;
} tiff;

/* 0 where there is nothing. */
static uint32_t get(const tiff *t, size_t at, int bytes)
{
    uint32_t v = 0;
    if (at > t->n || t->n - at < (size_t)bytes)
        return 0;
    for (int i = 0; i < bytes; i++)
        v = v << 8 | t->p[at + (size_t)(t->low_first ? bytes - 1 - i : i)];
    return v;
}

static size_t end_of(const tiff *t, size_t directory)
{
    const size_t entries = get(t, directory, 2), room = directory < t->n ? t->n - directory : 0;
    const size_t most = room / ENTRY;
    return directory + 2 + ENTRY * (entries < most ? entries : most);
}

/* Many programs write big-endian UTF-16 whatever the block's order says; zero
 * bytes tell which half of a Latin letter is the high one. */
static bool seems_low_first(const uint8_t *s, size_t n)
{
    long low = 0;
    if (n >= 2 && ((s[0] == 0xff && s[1] == 0xfe) || (s[0] == 0xfe && s[1] == 0xff)))
        return s[0] == 0xff;
    for (size_t i = 0; i + 1 < n; i += 2)
        low += (s[i + 1] == 0) - (s[i] == 0);
    return low > 0;
}

static void read_comment(const uint8_t *s, size_t n, bt_buf *out)
{
    if (memcmp(s, unicode, MARK) == 0)
        bt_letters_utf16(out, s + MARK, n - MARK, seems_low_first(s + MARK, n - MARK));
    else
        bt_letters_clean(out, s + MARK, n - MARK);
}

static bool read_text(const tiff *t, size_t entry, bt_texts *texts)
{
    const size_t tag = get(t, entry, 2), n = get(t, entry + 4, 4), at = get(t, entry + 8, 4);
    char **to = tag == TAG_MAKER_NOTE ? &texts->settings : &texts->parameters;
    bt_buf b = { 0 };
    if (*to || n < MARK || at > t->n || t->n - at < n)
        return true;
    if (tag == TAG_USER_COMMENT)
        read_comment(t->p + at, n, &b);
    else if (memcmp(t->p + at, ours, MARK) == 0)
        bt_letters_clean(&b, t->p + at + MARK, n - MARK);
    if (b.len > 0)
        *to = bt_buf_take(&b);
    const bool ok = *to || !b.failed;
    bt_buf_free(&b);
    return ok;
}

bool bt_exif_read(const uint8_t *p, size_t n, int *orientation, bt_texts *texts)
{
    size_t second = 0;
    bool ok = true;
    *orientation = 1;
    if (n >= 6 && memcmp(p, "Exif\0\0", 6) == 0)
        p += 6, n -= 6;
    if (n < 8 || (memcmp(p, "MM", 2) != 0 && memcmp(p, "II", 2) != 0))
        return true;
    const tiff t = { p, n, p[0] == 'I' };
    const size_t first = get(&t, 4, 4);
    for (size_t e = first + 2; e < end_of(&t, first); e += ENTRY) {
        const uint32_t tag = get(&t, e, 2), value = get(&t, e + 8, 2);
        if (tag == TAG_ORIENTATION && get(&t, e + 2, 2) == TYPE_SHORT && value >= 1 && value <= 8)
            *orientation = (int)value;
        if (tag == TAG_EXIF)
            second = get(&t, e + 8, 4);
    }
    for (size_t e = second + 2; second && e < end_of(&t, second) && ok; e += ENTRY) {
        const uint32_t tag = get(&t, e, 2);
        if (tag == TAG_MAKER_NOTE || tag == TAG_USER_COMMENT)
            ok = read_text(&t, e, texts);
    }
    return ok;
}

/* Orientation o: 5..8 exchange rows and columns; then left and right are
 * exchanged in 2, 3, 6, 7 and top and bottom in 3, 4, 7, 8. */
bool bt_exif_turn(bt_image *img, int o)
{
    const size_t w = (size_t)img->width, h = (size_t)img->height, c = (size_t)img->channels;
    const bool across = o >= 5, mirror_x = o == 2 || o == 3 || o == 6 || o == 7;
    const bool mirror_y = o == 3 || o == 4 || o == 7 || o == 8;
    const size_t to_w = across ? h : w, to_h = across ? w : h;
    if (o <= 1)
        return true;
    uint8_t *out = bt_calloc(w * h, c);
    if (!out)
        return false;
    for (size_t y = 0; y < to_h; y++)
        for (size_t x = 0; x < to_w; x++) {
            const size_t u = mirror_x ? to_w - 1 - x : x, v = mirror_y ? to_h - 1 - y : y;
            const size_t from = across ? u * w + v : v * w + u;
            memcpy(out + (y * to_w + x) * c, img->pixels + from * c, c);
        }
    bt_release(img->pixels);
    img->pixels = out;
    img->width = (int)to_w;
    img->height = (int)to_h;
    return true;
}
