/* SPDX-License-Identifier: MIT
 * One picture of many: every combination of some values of one to three options,
 * as A1111's "X/Y/Z plot".
 */
#include "image.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_AXES = 3, MAX_CELLS = 4096, MAX_SIDE = 16384, GAP = 4, MAX_LABEL = 24 };

typedef struct axis {
    char *name;
    char **values;
    int n;
} axis;

typedef struct grid {
    axis axes[MAX_AXES]; /* those that are not asked for have one value and no name */
    bt_image *cells;     /* x runs fastest, then y, then z */
    int n, made;
    char *text, *settings; /* of the first cell */
} grid;

/* ---- reading what is asked for --------------------------------------------- */

static void add_value(axis *a, const char *from, size_t n)
{
    char **all = realloc(a->values, (size_t)(a->n + 1) * sizeof *all);
    if (!all)
        exit(cli_fail(EXIT_FAILED, "out of memory"));
    a->values = all;
    a->values[a->n++] = cli_text("%.*s", (int)n, from);
}

/* One value of a list, in double quotes or up to the next comma or semicolon. */
static const char *read_value(const char *p, axis *a)
{
    p += strspn(p, " ");
    const bool quoted = *p == '"';
    p += quoted;
    size_t n = strcspn(p, quoted ? "\"" : ",;");
    const char *end = p + n + (quoted && p[n]);
    while (!quoted && n > 0 && p[n - 1] == ' ')
        n--;
    add_value(a, p, n);
    return end + strspn(end, " ");
}

static int read_axis(const char **spec, axis *a)
{
    const char *p = *spec + strspn(*spec, " "), *equals = p + strcspn(p, "=;");
    size_t n = (size_t)(equals - p);
    while (n > 0 && p[n - 1] == ' ')
        n--;
    if (*equals != '=' || n == 0)
        return cli_fail(EXIT_USAGE, "grid: \"%s\" is not option=value,value", p);
    a->name = cli_text("%.*s", (int)n, p);
    for (p = equals; *p == '=' || *p == ',';)
        p = read_value(p + 1, a);
    if (*p && *p != ';')
        return cli_fail(EXIT_USAGE, "grid: \"%s\" stands behind a value", p);
    *spec = p + (*p == ';');
    return EXIT_DONE;
}

static int read_spec(const char *spec, grid *g)
{
    int n = 0, rc = EXIT_DONE;
    while (*spec && n < MAX_AXES && rc == EXIT_DONE)
        rc = read_axis(&spec, &g->axes[n++]);
    if (rc == EXIT_DONE && (*spec || n == 0))
        rc = cli_fail(EXIT_USAGE, "grid: one to three options, with ; between them");
    g->n = 1;
    for (int i = 0; i < MAX_AXES && rc == EXIT_DONE; i++) {
        if (g->axes[i].n == 0)
            add_value(&g->axes[i], "", 0);
        g->n *= g->axes[i].n > MAX_CELLS ? MAX_CELLS + 1 : g->axes[i].n;
        if (g->n > MAX_CELLS)
            rc = cli_fail(EXIT_USAGE, "grid: more than %d pictures", MAX_CELLS);
    }
    return rc;
}

/* ---- its size -------------------------------------------------------------- */

typedef struct layout {
    int cell_w, cell_h, scale; /* pixels; of a letter's pixel */
    int left, top, heading;    /* room for labels of y, x, z */
    int block_h;               /* of one value of z */
    long w, h;                 /* of all */
} layout;

static char *label(const axis *a, int i)
{
    return a->name ? cli_text("%s: %s", a->name, a->values[i]) : cli_text("%s", "");
}

/* The most lines, or letters if most is 0, of an axis' labels. */
static int extent(const axis *a, int most)
{
    int n = 0;
    for (int i = 0; i < a->n; i++) {
        char *s = label(a, i);
        const int k = most ? image_lines(s, most) : (int)strlen(s);
        n = k > n ? k : n;
        free(s);
    }
    return n;
}

/* As the cells that are made ask for. */
static layout lay_out(const grid *g)
{
    layout l = { 0 };
    for (int i = 0; i < g->made; i++) {
        l.cell_w = g->cells[i].width > l.cell_w ? g->cells[i].width : l.cell_w;
        l.cell_h = g->cells[i].height > l.cell_h ? g->cells[i].height : l.cell_h;
    }
    l.scale = l.cell_w / 160 + 1 < 4 ? l.cell_w / 160 + 1 : 4;
    const int letter = LETTER_STEP * l.scale, line = LETTER_LEADING * l.scale;
    const int widest = extent(&g->axes[1], 0) < MAX_LABEL ? extent(&g->axes[1], 0) : MAX_LABEL;
    const int across = l.cell_w / letter > 0 ? l.cell_w / letter : 1;
    l.left = g->axes[1].name ? (widest + 2) * letter : 0;
    l.top = g->axes[0].name ? extent(&g->axes[0], across) * line + line : 0;
    l.heading = g->axes[2].name ? 3 * line : 0;
    l.block_h = l.heading + l.top + g->axes[1].n * (l.cell_h + GAP);
    l.w = l.left + (long)g->axes[0].n * (l.cell_w + GAP);
    l.h = (long)g->axes[2].n * l.block_h;
    return l;
}

/* Further cells only make it larger. */
static int check_size(const grid *g)
{
    const layout l = lay_out(g);
    return l.w <= MAX_SIDE && l.h <= MAX_SIDE
               ? EXIT_DONE
               : cli_fail(EXIT_USAGE, "grid: %ld x %ld pixels are too many", l.w, l.h);
}

/* ---- making the cells ------------------------------------------------------ */

static int set_axis(cli *c, const axis *a, int i)
{
    return a->name ? cli_job_set(c, a->name, a->values[i]) : EXIT_DONE;
}

/* Before anything is drawn: every value is one that its option takes. */
static int check_values(cli *c, const grid *g)
{
    int rc = EXIT_DONE;
    for (int k = 0; k < MAX_AXES; k++)
        for (int i = 0; i < g->axes[k].n && rc == EXIT_DONE; i++)
            rc = set_axis(c, &g->axes[k], i);
    const char *batch = bt_job_get(c->job, "batch");
    if (rc == EXIT_DONE && batch && strcmp(batch, "1") != 0)
        rc = cli_fail(EXIT_USAGE, "grid: one picture for each place; batch is %s", batch);
    return rc;
}

static int keep_cell(cli *c, grid *g)
{
    bt_image img = { .struct_size = sizeof img };
    if (bt_job_image(c->job, 0, &img) != BT_OK || img.channels != 3)
        return cli_fail(EXIT_FAILED, "no picture: %s", bt_job_message(c->job));
    const size_t bytes = 3 * (size_t)img.width * (size_t)img.height;
    uint8_t *copy = cli_alloc(bytes);
    memcpy(copy, img.pixels, bytes);
    img.pixels = copy;
    g->cells[g->made++] = img;
    if (g->made == 1) {
        g->text = cli_text("%s", bt_job_text(c->job, 0));
        g->settings = image_settings(c, 0);
    }
    return EXIT_DONE;
}

static int make_cells(cli *c, grid *g)
{
    const axis *x = &g->axes[0], *y = &g->axes[1], *z = &g->axes[2];
    int rc = check_values(c, g);
    g->cells = cli_alloc((size_t)g->n * sizeof *g->cells);
    for (int i = 0; i < g->n && rc == EXIT_DONE; i++) {
        snprintf(c->progress.label, sizeof c->progress.label, "[%d/%d] ", i + 1, g->n);
        rc = set_axis(c, x, i % x->n);
        if (rc == EXIT_DONE)
            rc = set_axis(c, y, i / x->n % y->n);
        if (rc == EXIT_DONE)
            rc = set_axis(c, z, i / (x->n * y->n));
        if (rc == EXIT_DONE)
            rc = cli_run(c);
        if (rc == EXIT_DONE)
            rc = keep_cell(c, g);
        if (rc == EXIT_DONE)
            rc = check_size(g);
    }
    return rc;
}

/* ---- the picture ----------------------------------------------------------- */

static void put_label(bt_image *to, image_area area, int scale, const axis *a, int i)
{
    char *s = label(a, i);
    image_letters(to, area, scale, s);
    free(s);
}

static void put_cell(bt_image *to, const bt_image *cell, int x, int y)
{
    for (int v = 0; v < cell->height; v++)
        memcpy(to->pixels + 3 * ((size_t)(y + v) * (size_t)to->width + (size_t)x),
               cell->pixels + 3 * (size_t)v * (size_t)cell->width, 3 * (size_t)cell->width);
}

static void put_block(bt_image *to, const grid *g, const layout *l, int z)
{
    const int nx = g->axes[0].n, ny = g->axes[1].n, y0 = z * l->block_h;
    const int top = y0 + l->heading;
    put_label(to, (image_area){ 0, y0, to->width, l->heading }, l->scale, &g->axes[2], z);
    for (int x = 0; x < nx; x++)
        put_label(to, (image_area){ l->left + x * (l->cell_w + GAP), top, l->cell_w, l->top },
                  l->scale, &g->axes[0], x);
    for (int y = 0; y < ny; y++) {
        const int at = top + l->top + y * (l->cell_h + GAP);
        put_label(to, (image_area){ 0, at, l->left, l->cell_h }, l->scale, &g->axes[1], y);
        for (int x = 0; x < nx; x++) {
            const bt_image *cell = &g->cells[(z * ny + y) * nx + x];
            put_cell(to, cell, l->left + x * (l->cell_w + GAP) + (l->cell_w - cell->width) / 2,
                     at + (l->cell_h - cell->height) / 2);
        }
    }
}

/* ---- texts ----------------------------------------------------------------- */

/* The first cell's text, and the fields that A1111's script writes. */
static char *grid_text(const grid *g)
{
    char *s = cli_text("%s, Script: X/Y/Z plot", g->text);
    for (int k = 0; k < MAX_AXES && g->axes[k].name; k++) {
        char *list = NULL;
        for (int i = 0; i < g->axes[k].n; i++)
            cli_join(&list, g->axes[k].values[i]);
        char *quoted = cli_json(list);
        char *more = cli_text("%s, %c Type: %s, %c Values: %s", s, 'X' + k,
                              image_field(g->axes[k].name), 'X' + k, quoted);
        free(quoted);
        free(list);
        free(s);
        s = more;
    }
    return s;
}

static int draw(cli *c, const grid *g, const char *path)
{
    const layout l = lay_out(g);
    const size_t bytes = 3 * (size_t)l.w * (size_t)l.h;
    bt_image all = { sizeof all, (int)l.w, (int)l.h, 3, cli_alloc(bytes) };
    memset(all.pixels, 255, bytes);
    for (int z = 0; z < g->axes[2].n; z++)
        put_block(&all, g, &l, z);
    char *text = grid_text(g);
    const int rc = image_save(c, &all, path, text, g->settings);
    free(text);
    free(all.pixels);
    return rc;
}

static void release(grid *g)
{
    for (int k = 0; k < MAX_AXES; k++) {
        for (int i = 0; i < g->axes[k].n; i++)
            free(g->axes[k].values[i]);
        free(g->axes[k].values);
        free(g->axes[k].name);
    }
    for (int i = 0; i < g->made; i++)
        free(g->cells[i].pixels);
    free(g->cells);
    free(g->text);
    free(g->settings);
}

int image_grid(cli *c, const char *spec, const char *path)
{
    grid g = { 0 };
    int rc = read_spec(spec, &g);
    if (rc == EXIT_DONE)
        rc = make_cells(c, &g);
    if (rc == EXIT_DONE)
        rc = draw(c, &g, path);
    release(&g);
    return rc;
}
