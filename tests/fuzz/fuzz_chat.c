/* SPDX-License-Identifier: MIT
 * A foreign chat template, parsed and rendered. What stands before a byte 0xFF is
 * the template, what stands after it a message; without one there are two
 * ordinary messages.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "text/chat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *cut = size ? memchr(data, 0xFF, size) : NULL;
    const size_t n = cut ? (size_t)(cut - data) : size;
    char *content = cut ? bt_strndup((const char *)cut + 1, size - n - 1) : bt_strdup(" Hi\n");
    bt_chat *c = NULL;
    bt_error e = { 0 };
    if (bt_chat_new((const char *)data, n, &c, &e) == BT_OK) {
        const bt_chat_message m[] = { { "system", "Be kind." },
                                      { "user", content },
                                      { "assistant", "Hello." } };
        const bt_chat_input in = { m, 3, "<s>", "</s>", true };
        char *text;
        if (bt_chat_render(c, &in, &text, NULL, &e) == BT_OK)
            bt_release(text);
        else if (text || !e.text[0])
            abort();
    }
    bt_chat_free(c);
    bt_release(content);
    return 0;
}
