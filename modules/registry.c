/* SPDX-License-Identifier: MIT
 * The modules built in, and the one place that names them.
 */
#include "module.h"

extern const bt_module bt_module_llama, bt_module_diffusion, bt_module_vits, bt_module_hibari,
    bt_module_kokoro, bt_module_vocoder, bt_module_upscaler;

const bt_module *const bt_modules[] = {
    &bt_module_llama,  &bt_module_diffusion, &bt_module_upscaler, &bt_module_vits,
    &bt_module_hibari, &bt_module_kokoro,    &bt_module_vocoder,  NULL,
};
