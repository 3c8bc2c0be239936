/* SPDX-License-Identifier: MIT
 * Ogg pages (RFC 3533, section 6): "OggS", version, flags, position (8 bytes),
 * serial number (14..17), page number, CRC (22..25), count of lengths (26),
 * lengths, body.
 */
#include "ogg.h"

#include <string.h>

enum { HEAD = 27, SERIAL = 14, CRC = 22 };

/* Polynomial 0x04c11db7, highest bit first, from 0, over the page with CRC 0. */
static uint32_t crc_of(const uint8_t *p, size_t n)
{
    uint32_t crc = 0;
    for (size_t i = 0; i < n; i++) {
        crc ^= (uint32_t)p[i] << 24;
        for (int k = 0; k < 8; k++)
            crc = crc << 1 ^ (crc >> 31 ? 0x04c11db7u : 0);
    }
    return crc;
}

/* Bytes of the page, as far as what is there tells. */
static size_t page_size(const bt_ogg *o)
{
    if (o->n < HEAD)
        return HEAD;
    const size_t body = HEAD + (size_t)o->page[HEAD - 1];
    size_t size = body;
    for (size_t i = HEAD; o->n >= body && i < body; i++)
        size += o->page[i];
    return size;
}

static void put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

void bt_ogg_write(bt_ogg *o, const uint8_t *p, size_t n, FILE *f)
{
    while (n > 0) {
        const size_t want = page_size(o) - o->n, take = n < want ? n : want;
        memcpy(o->page + o->n, p, take);
        o->n += take;
        p += take;
        n -= take;
        if (o->n < page_size(o))
            continue;
        put32(o->page + SERIAL, 1);
        put32(o->page + CRC, 0);
        put32(o->page + CRC, crc_of(o->page, o->n));
        fwrite(o->page, 1, o->n, f);
        o->n = 0;
    }
}
