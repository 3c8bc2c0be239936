/* SPDX-License-Identifier: MIT
 * Hyper-parameters from GGUF metadata, each checked before anything is sized
 * by it. Keys: ggml's gguf.md, section LLM.
 */
#include <stdio.h>
#include <string.h>

#include "llm.h"

static const struct {
    const char *name;
    int neox;
} archs[] = {
    { "llama", 0 }, /* the converter has permuted q and k: neighbours are pairs */
    { "qwen2", 1 },
};

static int arch_of(const bt_store *s)
{
    const char *name = bt_store_str(s, "general.architecture", NULL);
    for (size_t i = 0; name && i < sizeof archs / sizeof *archs; i++)
        if (!strcmp(name, archs[i].name))
            return (int)i;
    return -1;
}

bool bt_llm_knows(const bt_store *s) { return arch_of(s) >= 0; }

typedef struct reader {
    const bt_store *s;
    const char *arch;
    bt_error *err;
} reader;

static const char *key_of(const reader *r, const char *name, char buf[128])
{
    snprintf(buf, 128, "%s.%s", r->arch, name);
    return buf;
}

/* *v holds the default, or -1 if the key must be there. */
static bt_status read_int(const reader *r, const char *name, int lo, int hi, int *v)
{
    char key[128];
    uint64_t u = 0;
    const char *path = bt_store_path(r->s);
    if (!bt_store_u64(r->s, key_of(r, name, key), &u)) {
        if (*v >= 0)
            return BT_OK;
        return bt_fail(r->err, BT_EFORMAT, "%s: %s is missing", path, key);
    }
    if (u < (uint64_t)lo || u > (uint64_t)hi)
        return bt_fail(r->err, BT_EFORMAT, "%s: %s is %llu, not in %d..%d", path, key,
                       (unsigned long long)u, lo, hi);
    *v = (int)u;
    return BT_OK;
}

static bt_status read_float(const reader *r, const char *name, double lo, double hi, float *v)
{
    char key[128];
    double f = *v;
    bool there = bt_store_f64(r->s, key_of(r, name, key), &f);
    if (!there && *v < 0)
        return bt_fail(r->err, BT_EFORMAT, "%s: %s is missing", bt_store_path(r->s), key);
    if (!(f >= lo && f <= hi))
        return bt_fail(r->err, BT_EFORMAT, "%s: %s is %g, not in %g..%g", bt_store_path(r->s), key,
                       f, lo, hi);
    *v = (float)f;
    return BT_OK;
}

/* freq_scale: 1, or 1/factor with linear scaling ("rope.scale_linear" in old
 * files). The factors of Llama 3 are a tensor: see graph.c. */
static bt_status read_rope(const reader *r, bt_llm_config *c)
{
    bt_status st;
    char key[128];
    int dim = c->d;
    float factor = 1;
    c->rope_base = 10000;
    BT_TRY(read_float(r, "rope.freq_base", 1, 1e12, &c->rope_base));
    BT_TRY(read_int(r, "rope.dimension_count", 1, 65536, &dim));
    if (dim != c->d)
        return bt_fail(r->err, BT_EUNSUPPORTED, "%s: rotary embedding of %d of %d channels",
                       bt_store_path(r->s), dim, c->d);
    const char *type = bt_store_str(r->s, key_of(r, "rope.scaling.type", key), NULL);
    if (type && strcmp(type, "none") && strcmp(type, "linear"))
        return bt_fail(r->err, BT_EUNSUPPORTED, "%s: rope scaling \"%s\" is not supported",
                       bt_store_path(r->s), type);
    if (!type || !strcmp(type, "linear")) {
        BT_TRY(read_float(r, "rope.scale_linear", 1e-3, 1e6, &factor));
        BT_TRY(read_float(r, "rope.scaling.factor", 1e-3, 1e6, &factor));
    }
    c->rope_scale = 1 / factor;
    return BT_OK;
fail:
    return st;
}

static bt_status read_heads(const reader *r, bt_llm_config *c)
{
    bt_status st;
    const char *path = bt_store_path(r->s);
    c->n_head = -1;
    BT_TRY(read_int(r, "attention.head_count", 1, 1024, &c->n_head));
    c->n_kv = c->n_head;
    BT_TRY(read_int(r, "attention.head_count_kv", 1, 1024, &c->n_kv));
    if (c->n_head % c->n_kv)
        return bt_fail(r->err, BT_EFORMAT, "%s: %d heads cannot share %d", path, c->n_head,
                       c->n_kv);
    c->d = c->n_embd / c->n_head;
    BT_TRY(read_int(r, "attention.key_length", 2, 256, &c->d));
    int dv = c->d;
    BT_TRY(read_int(r, "attention.value_length", 2, 256, &dv));
    if (c->d < 2 || c->d > 256 || c->d % 2 || dv != c->d)
        return bt_fail(r->err, BT_EUNSUPPORTED, "%s: heads of %d and %d channels", path, c->d, dv);
    return BT_OK;
fail:
    return st;
}

/* Sizes that a file states and its tensors show must agree: a count of blocks
 * that is too small would otherwise go unnoticed. */
static bt_status check_blocks(const reader *r, const bt_llm_config *c)
{
    char name[64];
    snprintf(name, sizeof name, "blk.%d.attn_norm.weight", c->n_layer);
    if (bt_store_find(r->s, name))
        return bt_fail(r->err, BT_EFORMAT, "%s: %s.block_count is %d, but %s is there",
                       bt_store_path(r->s), r->arch, c->n_layer, name);
    const bt_tensor *up = bt_store_find(r->s, "blk.0.ffn_up.weight");
    if (up && up->dims[0] != c->n_ff)
        return bt_fail(r->err, BT_EFORMAT, "%s: %s.feed_forward_length is %d, not %lld",
                       bt_store_path(r->s), r->arch, c->n_ff, (long long)up->dims[0]);
    return BT_OK;
}

bt_status bt_llm_config_read(const bt_store *s, bt_llm_config *c, bt_error *err)
{
    bt_status st;
    int arch = arch_of(s), experts = 0;
    if (arch < 0)
        return bt_fail(err, BT_EUNSUPPORTED, "%s: not a Llama model", bt_store_path(s));
    *c = (bt_llm_config){ .arch = archs[arch].name, .neox = archs[arch].neox };
    c->n_layer = c->n_embd = c->n_ff = c->n_ctx = -1;
    c->rms_eps = -1;

    const reader r = { s, c->arch, err };
    BT_TRY(read_int(&r, "block_count", 1, 1024, &c->n_layer));
    BT_TRY(read_int(&r, "embedding_length", 1, 1 << 16, &c->n_embd));
    BT_TRY(read_int(&r, "feed_forward_length", 1, 1 << 20, &c->n_ff));
    BT_TRY(read_int(&r, "context_length", 1, 1 << 24, &c->n_ctx));
    BT_TRY(read_float(&r, "attention.layer_norm_rms_epsilon", 1e-12, 1, &c->rms_eps));
    BT_TRY(read_int(&r, "expert_count", 0, 65536, &experts));
    if (experts)
        return bt_fail(err, BT_EUNSUPPORTED, "%s: mixture of experts", bt_store_path(s));

    const bt_tensor *t = bt_store_find(s, "token_embd.weight");
    if (!t)
        return bt_fail(err, BT_EFORMAT, "%s: tensor token_embd.weight is missing",
                       bt_store_path(s));
    if (t->n_dims != 2 || t->dims[1] != c->n_embd || t->dims[0] < 1 || t->dims[0] > 1 << 24)
        return bt_fail(err, BT_EFORMAT, "%s: token_embd.weight has a wrong shape",
                       bt_store_path(s));
    c->n_vocab = (int)t->dims[0];
    BT_TRY(check_blocks(&r, c));
    BT_TRY(read_heads(&r, c));
    return read_rope(&r, c);
fail:
    return st;
}
