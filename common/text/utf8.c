/* SPDX-License-Identifier: MIT
 * UTF-8 and the Unicode tables of utf8proc. See utf8.h.
 *
 * Tokenizers were trained with one version of Unicode; what the library of this
 * machine does not know yet is added here, so that ids do not depend on it.
 */
#include "utf8.h"

#include <string.h>
#include <utf8proc.h>

/* Reads one character; *whole is false if the bytes end inside a character that
 * is well-formed so far. Table 3-7 of the Unicode standard. */
static size_t scan(const char *str, size_t n, uint32_t *cp, bool *whole)
{
    const uint8_t *s = (const uint8_t *)str;
    uint8_t c = s[0], lo = 0x80, hi = 0xBF;
    size_t need;
    *whole = true;
    *cp = c;
    if (c < 0x80)
        return 1;
    *cp = 0xFFFD;
    if (c < 0xC2 || c > 0xF4)
        return 1;
    need = c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;
    if (c == 0xE0)
        lo = 0xA0;
    if (c == 0xED)
        hi = 0x9F;
    if (c == 0xF0)
        lo = 0x90;
    if (c == 0xF4)
        hi = 0x8F;
    uint32_t v = c & (0x3F >> need);
    for (size_t i = 1; i <= need; i++) {
        if (i == n) {
            *whole = false;
            return n;
        }
        if (s[i] < lo || s[i] > hi)
            return i;
        v = v << 6 | (s[i] & 0x3F);
        lo = 0x80;
        hi = 0xBF;
    }
    *cp = v;
    return need + 1;
}

size_t bt_utf8_next(const char *s, size_t n, uint32_t *cp)
{
    bool whole;
    return scan(s, n, cp, &whole);
}

size_t bt_utf8_put(char out[4], uint32_t cp)
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    size_t n = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, cp >>= 6)
        out[i] = (char)(0x80 | (cp & 0x3F));
    out[0] = (char)((0xF00 >> n & 0xFF) | cp);
    return n;
}

/* U+FFFD itself is three bytes; an ill-formed piece may have as many, but never
 * these. */
static bool ill_formed(const char *s, size_t used, uint32_t cp)
{
    return cp == 0xFFFD && (used != 3 || memcmp(s, "\xEF\xBF\xBD", 3) != 0);
}

bool bt_utf8_valid(const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        size_t used = bt_utf8_next(s + i, n - i, &cp);
        if (ill_formed(s + i, used, cp))
            return false;
        i += used;
    }
    return true;
}

void bt_utf8_clean(bt_buf *out, const char *s, size_t n)
{
    size_t done = 0;
    if (n == 0)
        return;
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        size_t used = bt_utf8_next(s + i, n - i, &cp);
        if (ill_formed(s + i, used, cp)) {
            bt_buf_add(out, s + done, i - done);
            bt_buf_add(out, "\xEF\xBF\xBD", 3);
            done = i + used;
        }
        i += used;
    }
    bt_buf_add(out, s + done, n - done);
}

size_t bt_utf8_partial(const char *s, size_t n)
{
    for (size_t k = 1; k <= 3 && k <= n; k++) {
        uint8_t c = (uint8_t)s[n - k];
        if (c < 0x80)
            return 0;
        if (c >= 0xC0) {
            uint32_t cp;
            bool whole;
            size_t used = scan(s + n - k, k, &cp, &whole);
            return !whole && used == k ? k : 0;
        }
    }
    return 0;
}

void bt_utf8_push(bt_utf8_stream *s, const char *data, size_t n, bt_buf *out)
{
    char joined[8];
    while (s->n && n) { /* finish the held character, byte by byte */
        memcpy(joined, s->held, s->n);
        joined[s->n] = *data++;
        size_t len = s->n + 1;
        n--;
        size_t keep = bt_utf8_partial(joined, len);
        bt_utf8_clean(out, joined, len - keep);
        memcpy(s->held, joined + len - keep, keep);
        s->n = keep;
    }
    if (n == 0)
        return;
    s->n = bt_utf8_partial(data, n);
    bt_utf8_clean(out, data, n - s->n);
    memcpy(s->held, data + n - s->n, s->n);
}

void bt_utf8_end(bt_utf8_stream *s, bt_buf *out)
{
    bt_utf8_clean(out, s->held, s->n);
    s->n = 0;
}

/* ---- normal forms ------------------------------------------------------ */

typedef struct cps {
    int32_t *v;
    size_t n, cap;
} cps;

static bool cps_reserve(cps *a, size_t extra)
{
    if (a->cap - a->n >= extra)
        return true;
    size_t cap = a->cap * 2 > a->n + extra ? a->cap * 2 : a->n + extra + 64;
    int32_t *v = bt_realloc_array(a->v, a->cap, cap, sizeof *v);
    if (!v)
        return false;
    a->v = v;
    a->cap = cap;
    return true;
}

static unsigned combining_class(int32_t cp)
{
    return (unsigned)utf8proc_get_property(cp)->combining_class;
}

/* Sorts one run of combining marks by class, keeping the order within a class.
 * By counting: a megabyte of marks must not take quadratic time, which is why
 * utf8proc_decompose is not used. */
static bool order_run(int32_t *v, size_t n)
{
    size_t count[257] = { 0 };
    bool sorted = true;
    for (size_t i = 0; i < n; i++) {
        count[combining_class(v[i]) + 1]++;
        sorted = sorted && (i == 0 || combining_class(v[i - 1]) <= combining_class(v[i]));
    }
    if (sorted)
        return true;
    int32_t *tmp = bt_calloc(n, sizeof *tmp);
    if (!tmp)
        return false;
    for (size_t c = 1; c < 257; c++)
        count[c] += count[c - 1];
    for (size_t i = 0; i < n; i++)
        tmp[count[combining_class(v[i])]++] = v[i];
    memcpy(v, tmp, n * sizeof *v);
    bt_release(tmp);
    return true;
}

/* Canonical ordering (Unicode 15, D109): each run of marks after a starter. */
static bool order_marks(cps *a)
{
    for (size_t i = 0; i < a->n;) {
        size_t start = i;
        while (i < a->n && combining_class(a->v[i]) != 0)
            i++;
        if (i - start > 1 && !order_run(a->v + start, i - start))
            return false;
        if (i == start)
            i++;
    }
    return true;
}

/* Appends the full decomposition of each character; compat: NFKD's. */
static bool decompose(cps *a, const char *s, size_t n, bool compat)
{
    utf8proc_option_t opt = UTF8PROC_DECOMPOSE | (compat ? UTF8PROC_COMPAT : 0);
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        i += bt_utf8_next(s + i, n - i, &cp);
        if (!cps_reserve(a, 32))
            return false; /* the longest decomposition has 18 */
        int last = 0;
        utf8proc_ssize_t k = utf8proc_decompose_char((int32_t)cp, a->v + a->n, 32, opt, &last);
        if (k < 0 || k > 32)
            return false;
        a->n += (size_t)k;
    }
    return true;
}

static bool all_ascii(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((uint8_t)s[i] >= 0x80)
            return false;
    return true;
}

bt_status bt_utf8_normalize(bt_buf *out, const char *s, size_t n, bt_utf8_form form)
{
    if (all_ascii(s, n)) {
        bt_buf_add(out, s, n);
        return out->failed ? BT_ENOMEM : BT_OK;
    }
    cps a = { 0 };
    bool ok = decompose(&a, s, n, form == BT_NFKC || form == BT_NFKD) && order_marks(&a);
    if (ok && (form == BT_NFC || form == BT_NFKC)) {
        utf8proc_ssize_t k = utf8proc_normalize_utf32(a.v, (utf8proc_ssize_t)a.n,
                                                      UTF8PROC_COMPOSE | UTF8PROC_STABLE);
        ok = k >= 0;
        if (ok)
            a.n = (size_t)k;
    }
    for (size_t i = 0; ok && i < a.n; i++) {
        char c[4];
        bt_buf_add(out, c, bt_utf8_put(c, (uint32_t)a.v[i]));
    }
    bt_release(a.v);
    return ok && !out->failed ? BT_OK : BT_ENOMEM;
}

/* ---- classes ------------------------------------------------------------ */

/* What utf8proc 2.8 (Unicode 15.0) does not know yet and the tokenizers of
 * today do: letters, numbers and punctuation of Unicode 15.1 and 16. Asked only
 * for unassigned code points, so a newer utf8proc changes nothing. Found by
 * comparing every code point with Hugging Face tokenizers 0.23. */
static const struct {
    uint32_t first, last;
    char class;
} newer[] = {
    { 0x1B4E, 0x1B4F, 'P' },   { 0x1B7F, 0x1B7F, 'P' },   { 0x1C89, 0x1C8A, 'L' },
    { 0xA7CB, 0xA7CD, 'L' },   { 0xA7DA, 0xA7DC, 'L' },   { 0x105C0, 0x105F3, 'L' },
    { 0x10D40, 0x10D49, 'N' }, { 0x10D4A, 0x10D65, 'L' }, { 0x10D6E, 0x10D6E, 'P' },
    { 0x10D6F, 0x10D85, 'L' }, { 0x10EC2, 0x10EC4, 'L' }, { 0x11380, 0x11389, 'L' },
    { 0x1138B, 0x1138B, 'L' }, { 0x1138E, 0x1138E, 'L' }, { 0x11390, 0x113B5, 'L' },
    { 0x113B7, 0x113B7, 'L' }, { 0x113D1, 0x113D1, 'L' }, { 0x113D3, 0x113D3, 'L' },
    { 0x113D4, 0x113D5, 'P' }, { 0x113D7, 0x113D8, 'P' }, { 0x116D0, 0x116E3, 'N' },
    { 0x11BC0, 0x11BE0, 'L' }, { 0x11BE1, 0x11BE1, 'P' }, { 0x11BF0, 0x11BF9, 'N' },
    { 0x13460, 0x143FA, 'L' }, { 0x16100, 0x1611D, 'L' }, { 0x16130, 0x16139, 'N' },
    { 0x16D40, 0x16D6C, 'L' }, { 0x16D6D, 0x16D6F, 'P' }, { 0x16D70, 0x16D79, 'N' },
    { 0x18CFF, 0x18CFF, 'L' }, { 0x1CCF0, 0x1CCF9, 'N' }, { 0x1E5D0, 0x1E5ED, 'L' },
    { 0x1E5F0, 0x1E5F0, 'L' }, { 0x1E5F1, 0x1E5FA, 'N' }, { 0x1E5FF, 0x1E5FF, 'P' },
    { 0x2EBF0, 0x2EE5D, 'L' },
};

/* First letter of the general category: 'L', 'N', 'P', or 0 for the rest. */
static char class_of(uint32_t cp)
{
    const utf8proc_category_t c = utf8proc_category((int32_t)cp);
    if (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO)
        return 'L';
    if (c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO)
        return 'N';
    if (c >= UTF8PROC_CATEGORY_PC && c <= UTF8PROC_CATEGORY_PO)
        return 'P';
    if (c != UTF8PROC_CATEGORY_CN)
        return 0;
    for (size_t i = 0; i < sizeof newer / sizeof *newer; i++)
        if (cp >= newer[i].first && cp <= newer[i].last)
            return newer[i].class;
    return 0;
}

bool bt_is_letter(uint32_t cp)
{
    if (cp < 0x80)
        return (cp | 32) >= 'a' && (cp | 32) <= 'z';
    return class_of(cp) == 'L';
}

bool bt_is_lower(uint32_t cp) { return utf8proc_category((int32_t)cp) == UTF8PROC_CATEGORY_LL; }

bool bt_is_number(uint32_t cp)
{
    if (cp < 0x80)
        return cp >= '0' && cp <= '9';
    return class_of(cp) == 'N';
}

bool bt_is_punct(uint32_t cp) { return class_of(cp) == 'P'; }

bool bt_is_space(uint32_t cp)
{
    if (cp < 0x80)
        return cp == ' ' || (cp >= 9 && cp <= 13);
    return cp == 0x85 || cp == 0xA0 || cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200A) ||
           cp == 0x2028 || cp == 0x2029 || cp == 0x202F || cp == 0x205F || cp == 0x3000;
}

/* Lower case of letters newer than utf8proc 2.8 (Unicode 16 and 17). */
static uint32_t newer_lower(uint32_t cp)
{
    static const struct {
        uint32_t first, last;
        int32_t add;
    } map[] = {
        { 0x1C89, 0x1C89, 1 },      { 0xA7CB, 0xA7CB, 0x264 - 0xA7CB },
        { 0xA7CC, 0xA7CC, 1 },      { 0xA7CE, 0xA7CE, 1 },
        { 0xA7D2, 0xA7D2, 1 },      { 0xA7D4, 0xA7D4, 1 },
        { 0xA7DA, 0xA7DA, 1 },      { 0xA7DC, 0xA7DC, 0x19B - 0xA7DC },
        { 0x10D50, 0x10D65, 0x20 }, { 0x16EA0, 0x16EB8, 0x1B },
    };
    for (size_t i = 0; i < sizeof map / sizeof *map; i++)
        if (cp >= map[i].first && cp <= map[i].last)
            return cp + (uint32_t)map[i].add;
    return cp;
}

void bt_utf8_lower(bt_buf *out, uint32_t cp)
{
    if (cp == 0x130) { /* the one letter whose lower case is two characters */
        bt_buf_add(out, "i\xCC\x87", 3);
        return;
    }
    uint32_t low = (uint32_t)utf8proc_tolower((int32_t)cp);
    if (low == cp && cp >= 0x1C89)
        low = newer_lower(cp);
    char c[4];
    bt_buf_add(out, c, bt_utf8_put(c, low));
}

void bt_utf8_upper(bt_buf *out, uint32_t cp)
{
    char c[4];
    bt_buf_add(out, c, bt_utf8_put(c, (uint32_t)utf8proc_toupper((int32_t)cp)));
}
