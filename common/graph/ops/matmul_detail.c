/* SPDX-License-Identifier: MIT
 * What a profile says of a matrix multiply.
 */
#include "graph/ops/matmul.h"

void bt_mm_detail(const bt_node *n, const int64_t *params, bt_detail *d)
{
    static const char *const kinds[] = {
        [BT_MM_LINEAR] = "linear", [BT_MM_CONV] = "conv", [BT_MM_TRANSPOSED] = "conv_transpose"
    };
    static const char *const computes[] = {
        [BT_MM_F32] = "f32", [BT_MM_BF16] = "bf16", [BT_MM_SPLIT] = "2 bf16",
        [BT_MM_Q8] = "int8", [BT_MM_ROWS] = "int8", [BT_MM_ROWS24] = "3 int8"
    };
    const bt_mm *mm = n->attr;
    (void)params;
    d->kind = kinds[mm->kind];
    d->compute = computes[mm->compute];
    d->type = bt_dtypes[bt_weight_tensor(n->w[0])->dtype].name;
    d->in = n->src[0]->shape.c;
    if (mm->kind != BT_MM_LINEAR) {
        d->kh = mm->kh;
        d->kw = mm->kw;
        d->stride = mm->stride;
        d->up = mm->upsample;
    }
}
