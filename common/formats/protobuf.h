/* SPDX-License-Identifier: MIT
 * Protocol-buffer wire format, reading only, no nesting of its own: a message
 * in a message is a span that the caller walks in turn.
 */
#ifndef BT_FORMATS_PROTOBUF_H
#define BT_FORMATS_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct bt_span {
    const uint8_t *p, *end;
} bt_span;

enum { BT_WIRE_VARINT = 0, BT_WIRE_64 = 1, BT_WIRE_BYTES = 2, BT_WIRE_32 = 5 };

typedef struct bt_field {
    uint32_t number;
    int wire;
    uint64_t value; /* varint and fixed sizes */
    bt_span bytes;  /* BT_WIRE_BYTES */
} bt_field;

static inline size_t bt_span_len(bt_span s) { return (size_t)(s.end - s.p); }

/* Steps over one field: 1, 0 at the end, -1 if malformed (cut, a length beyond
 * the message, a group). *f points into the message. */
int bt_span_next(bt_span *s, bt_field *f);
/* Reads one varint and steps over it; false: cut, or more than 64 bits. */
bool bt_span_varint(bt_span *s, uint64_t *v);
/* Are these the bytes of `text`? */
bool bt_span_is(bt_span s, const char *text);

/* Repeated integers, packed or one at a time: adds those of field f to v[*n],
 * at most `max` in all. false: malformed or too many. */
bool bt_span_ints(const bt_field *f, int64_t *v, size_t *n, size_t max);

#endif
