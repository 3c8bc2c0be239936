/* SPDX-License-Identifier: MIT
 * Chat templates: the part of Jinja that the templates of open chat models use.
 *
 *     bt_chat *c;  char *prompt;
 *     bt_chat_new(template, strlen(template), &c, &err);
 *     bt_chat_message m[] = { { "user", "Hi" } };
 *     bt_chat_input in = { .messages = m, .n = 1, .add_generation_prompt = true };
 *     bt_chat_render(c, &in, &prompt, &n, &err);  bt_release(prompt);  bt_chat_free(c);
 *
 * Known: for (filter, else, unpacking, loop.*, break, continue), if, set,
 * namespace, comments, whitespace control with trim_blocks and lstrip_blocks as
 * Hugging Face sets them, the operators, slices, the usual filters, tests and
 * string methods, raise_exception, range. Not known: macros, imports,
 * inheritance, floats: BT_EUNSUPPORTED with a message that says what.
 */
#ifndef BT_TEXT_CHAT_H
#define BT_TEXT_CHAT_H

#include "base/alloc.h"
#include "base/status.h"

typedef struct bt_chat bt_chat; /* immutable: may be used by several threads */

typedef struct bt_chat_message {
    const char *role, *content; /* UTF-8, zero-terminated */
} bt_chat_message;

typedef struct bt_chat_input {
    const bt_chat_message *messages;
    size_t n;
    const char *bos_token, *eos_token; /* NULL: "" */
    bool add_generation_prompt;
} bt_chat_input;

/* Parses a template. BT_EFORMAT: not a template; BT_EUNSUPPORTED: uses what is
 * not known here. The message names the line. */
bt_status bt_chat_new(const char *source, size_t n, bt_chat **out, bt_error *err);
void bt_chat_free(bt_chat *c);

/* *text (bt_release) is zero-terminated, *n (may be NULL) its bytes. BT_EINVAL:
 * the template refused the messages (raise_exception) or failed on them.
 * Time and memory are bounded: a runaway template fails with BT_EUNSUPPORTED. */
bt_status bt_chat_render(const bt_chat *c, const bt_chat_input *in, char **text, size_t *n,
                         bt_error *err);

#endif
