/* SPDX-License-Identifier: MIT
 * A1111's text of a picture, read by its own rule (infotext.c); needs base.c alone.
 */
#ifndef BT_CLI_INFOTEXT_H
#define BT_CLI_INFOTEXT_H

#include <stdbool.h>
#include <stddef.h>

typedef struct infotext_field {
    char *name, *value;
} infotext_field;

typedef struct infotext {
    char *prompt, *negative;
    infotext_field *fields; /* of the last line, in its order */
    size_t n;
} infotext;

void infotext_read(const char *text, infotext *out); /* any text; infotext_free it */
void infotext_free(infotext *t);
/* The last field of that name, or NULL. */
const char *infotext_get(const infotext *t, const char *name);

#endif
