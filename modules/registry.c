/* SPDX-License-Identifier: MIT
 * The modules built in, and the one place that names them.
 */
#include "module.h"

#ifdef BT_HAS_TEXT
extern const bt_module bt_module_llama;
#endif
#ifdef BT_HAS_IMAGE
extern const bt_module bt_module_diffusion;
#endif
#ifdef BT_HAS_AUDIO
extern const bt_module bt_module_vits;
#endif

const bt_module *const bt_modules[] = {
#ifdef BT_HAS_TEXT
    &bt_module_llama,
#endif
#ifdef BT_HAS_IMAGE
    &bt_module_diffusion,
#endif
#ifdef BT_HAS_AUDIO
    &bt_module_vits,
#endif
    NULL,
};
