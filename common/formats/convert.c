/* SPDX-License-Identifier: MIT
 * Conversion: a plan of all tensors, the header, then the data in pieces.
 *
 * The plan comes first because the header states every tensor's type, size and
 * place. Then tensors are read, requantized and written one after the other, and
 * their source pages let go, so a model larger than memory can be converted.
 *
 * Which tensors keep their type, and why: is_sensitive, is_flow.
 */
#include "convert.h"

#include <string.h>

#include "convert_rules.h"
#include "gguf_write.h"
#include "kernels/quant.h"
#include "store_build.h"

#define PIECE 8192 /* values at a time; a multiple of every block */

/* File types of GGUF ("general.file_type"), by our types. */
static const struct {
    bt_dtype type;
    uint32_t file_type;
} targets[] = {
    { BT_F32, 0 },   { BT_F16, 1 },   { BT_Q4_0, 2 },  { BT_Q4_1, 3 },
    { BT_Q8_0, 7 },  { BT_Q5_0, 8 },  { BT_Q5_1, 9 },  { BT_BF16, 32 },
    { BT_Q4_K, 14 }, { BT_Q5_K, 16 }, { BT_Q6_K, 18 },
};

typedef struct planned {
    const bt_tensor *from;
    bt_tensor to;
    bool reorder; /* torch's convolution to channels-last */
} planned;

typedef struct job {
    const bt_store *in;
    bt_dtype type; /* of the tensors that no rule names */
    bt_type_rules rules;
    const char *architecture;
    planned *plan;
    size_t n;
    bt_convert_fn each;
    void *user;
    bt_error *err;
} job;

static bool starts_with(const char *s, const char *with)
{
    return strncmp(s, with, strlen(with)) == 0;
}

static bool is_voice(const job *j) { return strcmp(j->architecture, "bottega-vits") == 0; }

/* Weights that keep their type: errors in them reach everything that follows
 * (first and last layers, the time's embedding), or change the length of what
 * is said (text encoder and duration predictor of a voice). */
static bool is_sensitive(const job *j, const char *name)
{
    static const char *const voice[] = { "enc_p.", "dp.", "emb_g.", "dec.conv_post." };
    static const char *const picture[] = {
        "position_embedding", "time_embedding.", "class_embedding",
        "add_embedding",      "unet/conv_in.",   "unet/conv_out.",
        "coder.conv_in.",     "coder.conv_out.", "quant_conv.",
    };
    if (is_voice(j)) {
        for (size_t i = 0; i < sizeof voice / sizeof *voice; i++)
            if (starts_with(name, voice[i]))
                return true;
        return false;
    }
    for (size_t i = 0; i < sizeof picture / sizeof *picture; i++)
        if (strstr(name, picture[i]))
            return true;
    return strstr(name, "norm") || strstr(name, "position_embd");
}

/* Does no module want it? */
static bool is_left_out(const job *j, const char *name)
{
    if (strcmp(bt_store_format(j->in), "onnx") == 0)
        return strpbrk(name, "/:") || !strchr(name, '.');
    if (strcmp(j->architecture, "bottega-diffusion") == 0 && !strchr(name, '/'))
        return true; /* of a checkpoint in one file: averages, the schedule */
    return starts_with(name, "safety_checker/") || starts_with(name, "image_encoder/");
}

/* [out][in][k...] of a convolution in torch's order? Text models have 3-D
 * weights too (experts), with rows last. */
static bool is_torch_conv(const job *j, const bt_tensor *t)
{
    if (t->channels_last || !bt_ends_with(t->name, ".weight"))
        return false;
    if (is_voice(j))
        return t->n_dims == 3;
    return t->n_dims == 4 && strcmp(j->architecture, "bottega-diffusion") == 0;
}

static bool is_transposed_conv(const job *j, const bt_tensor *t)
{
    return is_voice(j) && starts_with(t->name, "dec.ups.");
}

/* A voice's flow moves phases: in q8_0 the signal is 9 dB above the error, as
 * F16 35 dB. */
static bool is_flow(const job *j, const char *name)
{
    return is_voice(j) && starts_with(name, "flow.");
}

static bool is_integer(bt_dtype t)
{
    return t == BT_I8 || t == BT_I16 || t == BT_I32 || t == BT_I64 || t == BT_U8;
}

/* The type of a tensor that is to stay as it is: GGUF has no 8-bit floats, and halves hold
 * each of them. */
static bt_dtype kept(bt_dtype t)
{
    return t == BT_F64 ? BT_F32 : t == BT_F8_E4M3 || t == BT_F8_E5M2 ? BT_F16 : t;
}

static bool is_target(bt_dtype type)
{
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
        if (targets[i].type == type)
            return true;
    return false;
}

/* What becomes of t. A type that t cannot take (rows that are no whole number of
 * blocks) falls back to F16, never to a worse one. */
static void plan_tensor(const job *j, const bt_tensor *t, planned *p)
{
    const int named = is_integer(t->dtype) ? -1 : bt_type_rules_find(&j->rules, t->name);
    const bt_dtype type = named >= 0 ? (bt_dtype)named : j->type;
    const bool conv = is_torch_conv(j, t), block = bt_dtypes[type].block > 1;
    const bt_dtype keep = kept(t->dtype);
    *p = (planned){ .from = t, .to = *t };
    if (is_integer(t->dtype))
        return;
    if (type == BT_F32) {
        p->to.dtype = BT_F32;
    } else if (t->n_dims < 2 || (named < 0 && is_sensitive(j, t->name))) {
        p->to.dtype = keep;
    } else if (!block) {
        p->to.dtype = type;
    } else {
        const int64_t row = conv ? t->dims[1] : t->dims[t->n_dims - 1];
        const bool fits = row % bt_dtypes[type].block == 0 && !is_transposed_conv(j, t) &&
                          (named >= 0 || !is_flow(j, t->name));
        p->to.dtype = fits ? type : keep == BT_F32 ? BT_F16 : keep;
        p->reorder = fits && conv;
    }
    if (p->reorder) {
        for (int i = 1; i + 1 < t->n_dims; i++)
            p->to.dims[i] = t->dims[i + 1];
        p->to.dims[t->n_dims - 1] = t->dims[1];
        p->to.channels_last = true;
    }
    bt_tensor_measure(&p->to);
}

static bt_status plan_all(job *j)
{
    const size_t n = bt_store_count(j->in);
    j->plan = bt_calloc(n ? n : 1, sizeof *j->plan);
    if (!j->plan)
        return bt_fail(j->err, BT_ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        const bt_tensor *t = bt_store_at(j->in, i);
        if (!is_left_out(j, t->name))
            plan_tensor(j, t, &j->plan[j->n++]);
    }
    if (j->n == 0)
        return bt_fail(j->err, BT_EUNSUPPORTED,
                       "%s holds no weights of a kind that can be "
                       "converted",
                       bt_store_path(j->in));
    return bt_type_rules_check(&j->rules, j->err);
}

/* "general.architecture": what modules go by when they look at a GGUF. */
static const char *architecture_of(const bt_store *in)
{
    const char *format = bt_store_format(in);
    const char *given = bt_store_str(in, "general.architecture", NULL);
    if (strcmp(format, "gguf") == 0 && given && !bt_store_file(in, "model_index.json", NULL))
        return given;
    if (bt_store_find(in, "dec.conv_pre.weight"))
        return "bottega-vits";
    return bt_store_file(in, "model_index.json", NULL) ? "bottega-diffusion" : "bottega-tensors";
}

/* Metadata that the new file states anew, or that is true of the old one only. */
static bool is_restated(const char *key)
{
    static const char *const keys[] = {
        "general.architecture", "general.file_type",     "general.quantization_version",
        "general.alignment",    "bottega.channels_last",
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

/* The old file's metadata, then what this file states itself; side files become
 * metadata, so that one file is the whole model. */
static void put_metadata(const job *j, bt_gguf_writer *w)
{
    const bt_store *in = j->in;
    const bool gguf = strcmp(bt_store_format(in), "gguf") == 0;
    const bool has_meta = gguf || strcmp(bt_store_format(in), "onnx") == 0;
    char key[1100];
    bt_gguf_put_str(w, "general.architecture", j->architecture, strlen(j->architecture));
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
        if (targets[i].type == j->type)
            bt_gguf_put_u32(w, "general.file_type", targets[i].file_type);
    bt_gguf_put_u32(w, "general.quantization_version", 2);
    for (size_t i = 0; i < bt_store_meta_count(in) && has_meta; i++) {
        const bt_meta *m = bt_store_meta_at(in, i);
        if (is_restated(m->key))
            continue;
        if (m->raw)
            bt_gguf_put_raw(w, m->key, m->type, m->raw, m->raw_n);
        else if (m->type == BT_META_STR)
            bt_gguf_put_str(w, m->key, m->str, m->str_n);
    }
    for (size_t i = 0; i < bt_store_file_count(in); i++) {
        size_t n;
        const char *name = bt_store_file_name(in, i);
        const char *text = bt_store_file(in, name, &n);
        if (snprintf(key, sizeof key, "bottega.file.%s", name) < (int)sizeof key &&
            !(gguf && bt_store_meta(in, key)))
            bt_gguf_put_str(w, key, text, n);
    }
}

static bt_status put_header(const job *j, bt_gguf_writer *w, FILE *f)
{
    bt_status st = BT_OK;
    size_t n = 0;
    const char **names = bt_calloc(j->n, sizeof *names);
    if (!names)
        return bt_fail(j->err, BT_ENOMEM, "out of memory");
    put_metadata(j, w);
    for (size_t i = 0; i < j->n; i++)
        if (j->plan[i].to.channels_last)
            names[n++] = j->plan[i].to.name;
    if (n)
        bt_gguf_put_strs(w, "bottega.channels_last", names, n);
    bt_release(names);
    for (size_t i = 0; i < j->n && st == BT_OK; i++)
        st = bt_gguf_list(w, &j->plan[i].to, j->err);
    return st == BT_OK ? bt_gguf_begin(w, f, j->err) : st;
}

/* n values of src, in order, as dst's type. false: a type that cannot be read. */
static bool write_values(bt_gguf_writer *w, bt_dtype from, const uint8_t *src, bt_dtype to,
                         size_t n)
{
    float values[PIECE];
    uint8_t bytes[PIECE * sizeof(float)];
    for (size_t i = 0; i < n; i += PIECE) {
        const size_t k = n - i < PIECE ? n - i : PIECE;
        if (bt_dequantize_row(from, src + bt_row_bytes(from, i), values, k) != 0)
            return false;
        if (bt_quantize_row(to, values, bytes, k) != 0)
            return false;
        bt_gguf_data(w, bytes, bt_row_bytes(to, k));
    }
    return true;
}

/* [out][in][taps] -> [out][taps][in], one output channel at a time. */
static bt_status write_reordered(const job *j, const planned *p, bt_gguf_writer *w)
{
    const bt_tensor *t = p->from;
    const size_t in = (size_t)t->dims[1];
    const size_t taps = (size_t)bt_tensor_count(t) / (size_t)t->dims[0] / in;
    const size_t row = bt_row_bytes(p->to.dtype, in);
    float *values = bt_alloc(in * taps * sizeof *values), *line = bt_alloc(in * sizeof *line);
    uint8_t *bytes = bt_alloc(row);
    bt_status st = BT_OK;
    if (!values || !line || !bytes)
        st = bt_fail(j->err, BT_ENOMEM, "out of memory");
    for (int64_t o = 0; o < t->dims[0] && st == BT_OK; o++) {
        const uint8_t *src = t->data + bt_row_bytes(t->dtype, (size_t)o * in * taps);
        if (bt_dequantize_row(t->dtype, src, values, in * taps) != 0)
            st = bt_fail(j->err, BT_EUNSUPPORTED, "tensor '%s' cannot be read", t->name);
        for (size_t k = 0; k < taps && st == BT_OK; k++) {
            for (size_t c = 0; c < in; c++)
                line[c] = values[c * taps + k];
            bt_quantize_row(p->to.dtype, line, bytes, in);
            bt_gguf_data(w, bytes, row);
        }
    }
    bt_release(values);
    bt_release(line);
    bt_release(bytes);
    return st;
}

static bt_status write_tensor(const job *j, const planned *p, bt_gguf_writer *w)
{
    const bt_tensor *t = p->from;
    bt_status st = BT_OK;
    if (t->bytes > 0 && p->reorder) {
        st = write_reordered(j, p, w);
    } else if (t->dtype == p->to.dtype) {
        bt_gguf_data(w, t->data, t->bytes);
    } else if (t->bytes > 0 &&
               !write_values(w, t->dtype, t->data, p->to.dtype, (size_t)bt_tensor_count(t))) {
        st = bt_fail(j->err, BT_EUNSUPPORTED, "tensor '%s': cannot turn %s into %s", t->name,
                     bt_dtypes[t->dtype].name, bt_dtypes[p->to.dtype].name);
    }
    if (st != BT_OK)
        return st;
    bt_gguf_pad(w);
    bt_tensor_drop(t);
    if (j->each && j->each(j->user, t->name, bt_dtypes[t->dtype].name, bt_dtypes[p->to.dtype].name,
                           t->bytes, p->to.bytes) != 0)
        return bt_fail(j->err, BT_ECANCELLED, "cancelled");
    return BT_OK;
}

bt_status bt_convert_store(const bt_store *in, const char *out_path, bt_dtype type,
                           const char *rules, bt_convert_fn each, void *user, bt_error *err)
{
    job j = { .in = in, .type = type, .each = each, .user = user, .err = err };
    bt_gguf_writer w = { 0 };
    bt_out out = { 0 };
    bt_status st;
    if ((unsigned)type >= BT_DTYPE_COUNT || !bt_dtypes[type].name)
        return bt_fail(err, BT_EINVAL, "there is no type number %d", (int)type);
    if (!is_target(type))
        return bt_fail(err, BT_EUNSUPPORTED, "cannot write type %s yet", bt_dtypes[type].name);
    j.architecture = architecture_of(in);
    BT_TRY(bt_type_rules_read(rules, is_target, &j.rules, err));
    BT_TRY(plan_all(&j));
    BT_TRY(bt_out_open(out_path, &out, err));
    BT_TRY(put_header(&j, &w, out.f));
    for (size_t i = 0; i < j.n && !ferror(out.f); i++)
        BT_TRY(write_tensor(&j, &j.plan[i], &w));
    if (!ferror(out.f))
        BT_TRY(bt_gguf_end(&w, err));
    st = bt_out_commit(&out, err);
fail:
    bt_out_abort(&out);
    bt_gguf_writer_free(&w);
    bt_type_rules_free(&j.rules);
    bt_release(j.plan);
    return st;
}
