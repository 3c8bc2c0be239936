/* SPDX-License-Identifier: MIT
 * The wire format of protocol buffers: a field is a varint tag (number << 3 |
 * wire type) and a value; a varint is little-endian groups of 7 bits, the top
 * bit of a byte says that more follow. Nothing is allocated: a field of bytes is
 * a span of the message.
 */
#include "protobuf.h"

#include <string.h>

bool bt_span_varint(bt_span *s, uint64_t *v)
{
    *v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (s->p == s->end)
            return false;
        const uint8_t byte = *s->p++;
        if (shift == 63 && byte > 1)
            return false;
        *v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

static bool fixed(bt_span *s, size_t size, uint64_t *v)
{
    if (bt_span_len(*s) < size)
        return false;
    *v = 0;
    for (size_t i = 0; i < size; i++)
        *v |= (uint64_t)s->p[i] << (8 * i);
    s->p += size;
    return true;
}

int bt_span_next(bt_span *s, bt_field *f)
{
    uint64_t tag, len;
    if (s->p == s->end)
        return 0;
    if (!bt_span_varint(s, &tag) || tag >> 3 == 0 || tag >> 32 != 0)
        return -1;
    *f = (bt_field){ .number = (uint32_t)(tag >> 3), .wire = (int)(tag & 7) };
    switch (f->wire) {
    case BT_WIRE_VARINT: return bt_span_varint(s, &f->value) ? 1 : -1;
    case BT_WIRE_64: return fixed(s, 8, &f->value) ? 1 : -1;
    case BT_WIRE_32: return fixed(s, 4, &f->value) ? 1 : -1;
    case BT_WIRE_BYTES:
        if (!bt_span_varint(s, &len) || len > bt_span_len(*s))
            return -1;
        f->bytes = (bt_span){ s->p, s->p + len };
        s->p += len;
        return 1;
    default: /* groups went out of use before ONNX came */ return -1;
    }
}

bool bt_span_is(bt_span s, const char *text)
{
    const size_t n = strlen(text);
    return bt_span_len(s) == n && memcmp(s.p, text, n) == 0;
}

bool bt_span_ints(const bt_field *f, int64_t *v, size_t *n, size_t max)
{
    bt_span s = f->bytes;
    uint64_t u = f->value;
    if (f->wire == BT_WIRE_VARINT) {
        if (*n == max)
            return false;
        v[(*n)++] = (int64_t)u;
        return true;
    }
    if (f->wire != BT_WIRE_BYTES)
        return false;
    while (s.p < s.end) {
        if (*n == max || !bt_span_varint(&s, &u))
            return false;
        v[(*n)++] = (int64_t)u;
    }
    return true;
}
