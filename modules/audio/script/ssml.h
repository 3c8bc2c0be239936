/* SPDX-License-Identifier: MIT
 * SSML (W3C 1.1, the part that docs/audio.md lists) as passages, read by expat.
 *
 * All of a document is given to expat at once, which suspends itself whenever a passage is
 * ready: one passage is held at a time, and no token is scanned twice. Document types are
 * refused, so that there are no entities to expand.
 */
#ifndef BT_AUDIO_SSML_H
#define BT_AUDIO_SSML_H

#include "audio/script/passage.h"
#include "base/status.h"

typedef struct bt_ssml bt_ssml;

/* Does the text begin with <speak or an XML declaration? */
bool bt_ssml_is(const char *text);
/* `text` and `rules` must live on. Errors: "ssml line 3: mismatched tag". */
bt_status bt_ssml_open(const bt_script_rules *rules, const char *text, size_t n, bt_ssml **out,
                       bt_error *err);
bt_status bt_ssml_next(bt_ssml *s, bt_passage *p, bt_error *err);
const char *bt_ssml_ignored(const bt_ssml *s); /* JSON, of what was read so far; NULL: nothing */
void bt_ssml_close(bt_ssml *s);                /* NULL is fine */

#endif
