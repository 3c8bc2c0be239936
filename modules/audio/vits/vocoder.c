/* SPDX-License-Identifier: MIT
 * The decoder of VITS: HiFi-GAN's generator, told whose voice it is.
 */
#include "audio/vits/vits.h"

/* [F, inter] -> [F * hop, 1] */
bt_node *bt_vits_vocoder(bt_graph *g, const bt_voice *v, bt_node *z, bt_node *speaker)
{
    bt_node *x = bt_hifigan_begin(g, &v->dec, z);
    return bt_hifigan_end(g, &v->dec, bt_vits_condition(g, v, x, speaker, "dec.cond"));
}
