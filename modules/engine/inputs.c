/* SPDX-License-Identifier: MIT
 * What goes into a job: the values of options, pictures, an array. All are copied,
 * and a value that is refused leaves the one before in force.
 */
#include <string.h>

#include "engine/handles.h"

/* ---- options ------------------------------------------------------------- */

bt_value *bt_job_value(const bt_job *j, const char *name)
{
    for (size_t i = 0; i < j->n_values; i++)
        if (bt_option_is(j->values[i].option, name))
            return &j->values[i];
    return NULL;
}

static bt_status set_value(bt_value *v, const char *text, bt_error *err)
{
    char *canonical;
    if (!text)
        text = bt_option_default(v->option);
    const bt_status st = bt_option_read(v->option, text, v->field, &canonical, err);
    if (st != BT_OK)
        return st;
    bt_release(v->text);
    bt_release(v->used);
    v->text = canonical;
    v->used = NULL;
    return BT_OK;
}

bt_status bt_job_add_values(bt_job *j, const bt_option *o, void *base, bt_error *err)
{
    for (size_t i = 0; i < bt_options_count(o); i++) {
        bt_value *v = &j->values[j->n_values++];
        v->option = &o[i];
        v->field = (char *)base + o[i].offset;
        const bt_status st = set_value(v, NULL, err);
        if (st != BT_OK)
            return st;
    }
    return BT_OK;
}

bt_status bt_job_set(bt_job *j, const char *name, const char *value)
{
    if (!j)
        return BT_EINVAL;
    const locale_t host = bt_enter(j->model->engine);
    j->error = (bt_error){ 0 };
    bt_value *v = name ? bt_job_value(j, name) : NULL;
    const bt_status st =
        v ? set_value(v, value, &j->error)
          : bt_fail(&j->error, BT_ENOTFOUND, "no such option: %.60s", name ? name : "(none)");
    bt_leave(host);
    return st;
}

const char *bt_job_get(const bt_job *j, const char *name)
{
    if (!j || !name)
        return NULL;
    const bt_value *v = bt_job_value(j, name);
    if (v)
        return v->used ? v->used : v->text;
    for (size_t i = 0; i < j->n_facts; i++)
        if (strcmp(j->facts[i].name, name) == 0)
            return j->facts[i].text;
    return NULL;
}

/* ---- pictures ------------------------------------------------------------ */

static void remove_picture(bt_pictures *p, size_t i)
{
    bt_release(p->at[i].name);
    bt_release(p->at[i].image.pixels);
    memmove(&p->at[i], &p->at[i + 1], (p->n - i - 1) * sizeof *p->at);
    p->n--;
}

void bt_pictures_free(bt_pictures *p)
{
    while (p->n > 0)
        remove_picture(p, p->n - 1);
    bt_release(p->at);
    *p = (bt_pictures){ 0 };
}

bt_status bt_pictures_add(bt_pictures *p, char *name, const bt_image *img)
{
    size_t bytes = 0;
    bt_image copy = *img;
    copy.struct_size = sizeof copy;
    copy.pixels = NULL;
    if (bt_mul_ok((size_t)img->width, (size_t)img->height, &bytes) &&
        bt_mul_ok(bytes, (size_t)img->channels, &bytes))
        copy.pixels = bt_alloc(bytes);
    bt_picture *at = NULL;
    if (copy.pixels && name)
        at = bt_realloc_array(p->at, p->n, p->n + 1, sizeof *at);
    if (!at) {
        bt_release(copy.pixels);
        bt_release(name);
        return BT_ENOMEM;
    }
    memcpy(copy.pixels, img->pixels, bytes);
    p->at = at;
    p->at[p->n++] = (bt_picture){ name, copy };
    return BT_OK;
}

/* "init", "mask", "control", "control2" to "control8" */
static bool is_picture(const char *name)
{
    static const char control[] = "control";
    const size_t n = sizeof control - 1;
    if (strcmp(name, "init") == 0 || strcmp(name, "mask") == 0 || strcmp(name, control) == 0)
        return true;
    return strncmp(name, control, n) == 0 && name[n] >= '2' && name[n] <= '8' && !name[n + 1];
}

static bt_status set_picture(bt_job *j, const char *name, const bt_image *img, bt_error *err)
{
    bt_image copy = { 0 };
    if (!name || !is_picture(name) || j->model->module->kind != BT_KIND_IMAGE)
        return bt_fail(err, BT_ENOTFOUND, "no such picture: %.60s", name ? name : "(none)");
    if (img && (!bt_struct_in(&copy, sizeof copy, img) || !copy.pixels || copy.width < 1 ||
                copy.height < 1 || (copy.channels != 1 && copy.channels != 3)))
        return bt_fail(err, BT_EINVAL, "%s: not a picture of 1 or 3 channels", name);
    const size_t before = j->inputs.n;
    if (img && bt_pictures_add(&j->inputs, bt_strdup(name), &copy) != BT_OK)
        return bt_no_memory(err, name);
    for (size_t i = 0; i < before; i++)
        if (strcmp(j->inputs.at[i].name, name) == 0) {
            remove_picture(&j->inputs, i);
            break; /* there is one of a name at most */
        }
    return BT_OK;
}

bt_status bt_job_set_image(bt_job *j, const char *name, const bt_image *img)
{
    if (!j)
        return BT_EINVAL;
    j->error = (bt_error){ 0 };
    return set_picture(j, name, img, &j->error);
}

/* ---- arrays -------------------------------------------------------------- */

void bt_array_clear(bt_array *a)
{
    bt_release((void *)(uintptr_t)a->values);
    *a = (bt_array){ 0 };
}

/* Bytes of its values; false: it is no array. */
static bool array_bytes(const bt_array *a, size_t *bytes)
{
    *bytes = sizeof *a->values;
    if (!a->values || a->n_dims < 1 || a->n_dims > 4)
        return false;
    for (int i = 0; i < a->n_dims; i++)
        if (a->dims[i] < 1 || !bt_mul_ok(*bytes, (size_t)a->dims[i], bytes))
            return false;
    return true;
}

static bt_status set_array(bt_job *j, const char *name, const bt_array *a, bt_error *err)
{
    bt_array copy = { 0 };
    size_t bytes = 0;
    if (!name || strcmp(name, "mel") != 0 || !j->model->module->mel_form)
        return bt_fail(err, BT_ENOTFOUND, "%s takes no array \"%.60s\"", j->model->path,
                       name ? name : "(none)");
    if (a && (!bt_struct_in(&copy, sizeof copy, a) || !array_bytes(&copy, &bytes)))
        return bt_fail(err, BT_EINVAL, "%s: not an array of 1 to 4 dimensions", name);
    float *values = a ? bt_alloc(bytes) : NULL;
    if (a && !values)
        return bt_no_memory(err, name);
    if (values)
        memcpy(values, copy.values, bytes);
    bt_array_clear(&j->mel);
    copy.values = values;
    j->mel = copy;
    return BT_OK;
}

bt_status bt_job_set_array(bt_job *j, const char *name, const bt_array *a)
{
    if (!j)
        return BT_EINVAL;
    j->error = (bt_error){ 0 };
    return set_array(j, name, a, &j->error);
}
