/* SPDX-License-Identifier: MIT
 * What the files of this folder tell each other. The order of work:
 *
 *   source text -> source.c -> code points, links taken out
 *               -> normalize.c, readings.c -> text as it is read out
 *               -> tokenize.c -> tokens -> tagger.c -> parts of speech
 *               -> words.c -> words -> rules.c, numbers.c, lexicon.c, unknown.c -> phonemes
 *
 * Code points of the text keep their place in the source. Phonemes and the spellings
 * that lexicons are asked for are UTF-8 strings in an arena that one call uses.
 */
#ifndef BT_AUDIO_ENGLISH_PARTS_H
#define BT_AUDIO_ENGLISH_PARTS_H

#include <string.h>

#include "english.h"
#include "formats/gzip.h"

/* ---- strings.c: slices, and an arena for new ones ------------------------ */

/* Not terminated; p NULL: there is none, which differs from an empty one. */
typedef struct bt_str {
    const char *p;
    size_t n;
} bt_str;

#define BT_STR(literal) ((bt_str){ literal, sizeof(literal) - 1 })
#define BT_NO_STR       ((bt_str){ NULL, 0 })

bool bt_among(uint32_t c, const char *utf8); /* a code point of a string */

static inline bool bt_str_eq(bt_str a, bt_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool bt_str_is(bt_str s, const char *literal)
{
    return s.n == strlen(literal) && memcmp(s.p, literal, s.n) == 0;
}
static inline bt_str bt_str_from(bt_str s, size_t at) { return (bt_str){ s.p + at, s.n - at }; }
static inline bt_str bt_str_less(bt_str s, size_t n) { return (bt_str){ s.p, s.n - n }; }
bool bt_str_ends(bt_str s, const char *suffix);
bool bt_str_has(bt_str s, char c);
/* Is s one of the words of `list`, which are parted by spaces? */
bool bt_str_among(bt_str s, const char *list);

/* Grows in blocks; all goes at once. Failure is sticky: take returns NULL from then on. */
typedef struct bt_pool {
    struct bt_pool_block *first, *now;
    bool failed;
} bt_pool;

void *bt_pool_take(bt_pool *a, size_t n); /* aligned for any type */
void bt_pool_reset(bt_pool *a);           /* keeps the blocks; clears the failure */
void bt_pool_free(bt_pool *a);

bt_str bt_str_copy(bt_pool *a, const char *p, size_t n);
/* a + b, or a + between + b; none if either is none or memory is out. */
bt_str bt_str_cat(bt_pool *a, bt_str x, bt_str y);
bt_str bt_str_join(bt_pool *a, bt_str x, const char *between, bt_str y);

/* ASCII letters only: no lexicon has others. */
static inline bool bt_is_ascii_upper(uint32_t c) { return c >= 'A' && c <= 'Z'; }
static inline bool bt_is_ascii_lower(uint32_t c) { return c >= 'a' && c <= 'z'; }
static inline bool bt_is_ascii_letter(uint32_t c) { return bt_is_ascii_lower(c | 32); }
static inline bool bt_is_ascii_digit(uint32_t c) { return c >= '0' && c <= '9'; }
bool bt_str_is_lower(bt_str s); /* has no capitals */
bool bt_str_is_upper(bt_str s); /* has no small letters */
bool bt_str_is_digits(bt_str s);
bt_str bt_str_lower(bt_pool *a, bt_str s);
bt_str bt_str_upper(bt_pool *a, bt_str s);

/* ---- source.c: code points that know where they come from ---------------- */

typedef struct bt_uchar {
    uint32_t c;        /* never 0 */
    uint32_t from, to; /* bytes of the source */
} bt_uchar;

typedef struct bt_utext {
    bt_uchar *v;
    size_t n, cap;
    bool failed;
} bt_utext;

/* A link: its word stands between BT_LINK + number and BT_LINK_END, code points that
 * no source text holds. */
typedef struct bt_link {
    bt_str phonemes;   /* none: the word is read as it is spelt */
    uint32_t from, to; /* the link with its brackets */
} bt_link;

typedef struct bt_links {
    bt_link *v;
    size_t n;
} bt_links;

#define BT_LINK       0xF0000u
#define BT_LINK_END   0x100000u
#define BT_LINKS_MOST 0xFFFFu
static inline bool bt_is_link(uint32_t c) { return c >= BT_LINK && c < BT_LINK_END; }

void bt_utext_add(bt_utext *t, uint32_t c, uint32_t from, uint32_t to);
/* Code point i; 0 before the beginning (SIZE_MAX) and after the end. */
static inline uint32_t bt_at(const bt_utext *t, size_t i) { return i < t->n ? t->v[i].c : 0; }
/* Reads `s`; links go to the arena. White space is as it was; decimal digits become
 * those of ASCII. */
bt_status bt_source_read(bt_pool *a, const char *s, size_t n, bt_utext *out, bt_links *links);
/* v[from..to) as UTF-8 in the arena. */
bt_str bt_utext_str(bt_pool *a, const bt_utext *t, size_t from, size_t to);

/* Classes of Python's re: \w, \s, [^\W\d_]. */
bool bt_is_word(uint32_t c);
bool bt_is_blank(uint32_t c);
bool bt_is_wordy(uint32_t c);
static inline bool bt_is_edge(const bt_utext *t, size_t i) /* \b before i */
{
    return bt_is_word(bt_at(t, i - 1)) != bt_is_word(bt_at(t, i));
}
/* [a-zß-öø-ÿ], [A-ZÀ-ÖØ-Þ] */
bool bt_is_latin_lower(uint32_t c);
bool bt_is_latin_upper(uint32_t c);
uint32_t bt_lower_of(uint32_t c);

/* ---- flat.c: tables of flat JSON files ----------------------------------- */

/* Keys of one JSON object or array of strings, hashed where they lie in the file. */
typedef struct bt_flat {
    const char *data, *end; /* the whole file */
    struct bt_flat_slot *slots;
    size_t mask, n;
    size_t longest; /* bytes of the longest key, as escaped */
} bt_flat;

/* Reads an object whose values are strings, numbers, null, arrays of strings or objects
 * without further nesting, or an array of strings, that begins at data[*at]; *at moves
 * behind it. `keys`: about how many there are; 0: unknown. */
bt_status bt_flat_read(const char *name, const char *data, size_t size, size_t *at, size_t keys,
                       bt_flat *out, bt_error *err);
void bt_flat_free(bt_flat *f);
/* The raw text of a key's value, or a string of length 0 in arrays; none: no such key.
 * `key` as JSON escapes it (bt_flat_escape). */
bt_str bt_flat_get(const bt_flat *f, bt_str key);
/* The key as files have it: \ before " and \. */
bt_str bt_flat_escape(bt_pool *a, bt_str key);
/* Steps through the raw text of an array of strings, or of an object whose values are
 * strings, numbers or null: *key (unused in arrays) and *value raw; *at = 0 at first. */
bool bt_flat_next(bt_str raw, size_t *at, bt_str *key, bt_str *value);
/* The inside of a raw string value; none if it is no string or has escapes. */
bt_str bt_flat_string(bt_str raw);
/* For files of several objects: moves from data[*at] behind the next key and its colon. */
bool bt_flat_member(const char *data, size_t size, size_t *at, bt_str *key);

/* ---- lexicon.c ------------------------------------------------------------ */

typedef struct bt_user_word {
    bt_str word, phonemes;
    size_t order;
} bt_user_word;

typedef struct bt_user_lexicon {
    bt_user_word *v; /* sorted by word, then order */
    size_t n, cap;
    bt_pool text;
} bt_user_lexicon;

bt_status bt_user_lexicon_add(bt_user_lexicon *u, const char *path, bt_error *err);
bt_str bt_user_lexicon_get(const bt_user_lexicon *u, bt_pool *a, bt_str word);
void bt_user_lexicon_free(bt_user_lexicon *u);

/* A lexicon's raw value for a word, or for the same word with the other kind of first
 * letter (misaki's grow_dictionary); none. ASCII only. */
bt_str bt_lexicon_get(const bt_flat *f, bt_str word);

/* ---- tagger.c ------------------------------------------------------------- */

typedef struct bt_tagger {
    bt_packed_file file;
    bt_flat known, vocabulary, weights;
    char (*tags)[8]; /* sorted; zeros behind */
    int n_tags;
    uint8_t slots[1024]; /* 1 + a tag's index, at its hash; 0: free */
} bt_tagger;

bt_status bt_tagger_open(const char *folder, bt_tagger *t, bt_error *err);
void bt_tagger_close(bt_tagger *t);
/* tags[i] of words[0..n); they live as long as the tagger. */
void bt_tagger_run(const bt_tagger *t, bt_pool *a, const bt_str *words, size_t n,
                   const char **tags);

/* ---- tables.c: normalize.json ---------------------------------------------- */

/* A word, what it becomes, and what many of it become; sorted by length, the longest
 * first, as alternatives are tried. */
typedef struct bt_reading {
    bt_str word;
    const uint32_t *c; /* the word as code points */
    size_t n;
    const char *one, *many;
} bt_reading;

typedef struct bt_readings {
    bt_reading *v;
    size_t n;
} bt_readings;

typedef struct bt_tables {
    bt_pool text;
    const char *month[12]; /* in full */
    bt_readings months, titles, abbreviations, units, symbols, currency, roman_cardinal,
        roman_ordinal;
} bt_tables;

bt_status bt_tables_open(const char *folder, bt_tables *t, bt_error *err);
void bt_tables_close(bt_tables *t);

/* ---- numbers.c: numbers in words (num2words' English) ---------------------- */

/* Digits, of any number; leading zeros do not count. Appends. Numbers past the names
 * that there are (10^36) are read digit by digit. */
void bt_cardinal(bt_buf *out, bt_str digits);
void bt_ordinal(bt_buf *out, bt_str digits);
void bt_year(bt_buf *out, int year);         /* four digits */
void bt_decimal(bt_buf *out, bt_str number); /* "3.14": trailing zeros are dropped */
void bt_cardinal_of(bt_buf *out, int n);
void bt_ordinal_of(bt_buf *out, int n);

/* ---- normalize.c, dates.c, amounts.c: rules that rewrite the text ------------ */

/* A rule at position i of `in`: if it applies, appends what is read instead to `out` and
 * returns how many code points that stands for, else 0. */
typedef size_t (*bt_rule)(const bt_tables *t, const bt_utext *in, size_t i, bt_utext *out);

size_t bt_rule_time(const bt_tables *t, const bt_utext *in, size_t i, bt_utext *out);
size_t bt_rule_date_iso(const bt_tables *t, const bt_utext *in, size_t i, bt_utext *out);
size_t bt_rule_date_us(const bt_tables *t, const bt_utext *in, size_t i, bt_utext *out);
size_t bt_rule_month_day(const bt_tables *t, const bt_utext *in, size_t i, bt_utext *out);
size_t bt_rule_day_month(const bt_tables *t, const bt_utext *in, size_t i, bt_utext *out);
size_t bt_rule_fraction(const bt_tables *t, const bt_utext *in, size_t i, bt_utext *out);
size_t bt_rule_big_money(const bt_tables *t, const bt_utext *in, size_t i, bt_utext *out);
size_t bt_rule_cents(const bt_tables *t, const bt_utext *in, size_t i, bt_utext *out);
size_t bt_rule_currency(const bt_tables *t, const bt_utext *in, size_t i, bt_utext *out);
size_t bt_rule_degrees(const bt_tables *t, const bt_utext *in, size_t i, bt_utext *out);
size_t bt_rule_unit(const bt_tables *t, const bt_utext *in, size_t i, bt_utext *out);

/* For rules. n code points from i on are read as `s`; or stay. */
void bt_emit(bt_utext *out, const bt_utext *in, size_t i, size_t n, const char *s);
void bt_emit_buf(bt_utext *out, const bt_utext *in, size_t i, size_t n, bt_buf *b); /* frees b */
void bt_keep(bt_utext *out, const bt_utext *in, size_t i, size_t n);
/* How many digits stand at i, `most` at most; what n of them are worth. */
size_t bt_digits(const bt_utext *t, size_t i, size_t most);
int bt_value(const bt_utext *t, size_t i, size_t n);
/* Is the ASCII text s at i? */
bool bt_is_at(const bt_utext *t, size_t i, const char *s);
/* \d+(,\d{3})*(\.\d+)? at i: its end; i if there is none. */
size_t bt_number_end(const bt_utext *t, size_t i);
/* The longest of these words at i that `fits`, given its end (may be NULL); *end. */
const bt_reading *bt_reading_at(const bt_readings *r, const bt_utext *t, size_t i, size_t *end,
                                bool (*fits)(const bt_utext *t, size_t end));
/* No \w at `end`. */
bool bt_word_ends(const bt_utext *t, size_t end);

/* The text as it is read out; `t` is replaced. */
void bt_normalize(const bt_tables *tables, bt_utext *t, bt_utext *scratch);

/* ---- tokenize.c --------------------------------------------------------------- */

typedef struct bt_token {
    size_t from, to; /* code points of the text */
    const char *tag;
    bt_str phonemes; /* none: not known yet */
    int rating;      /* 0: none */
    uint32_t currency;
    bool space; /* white space follows */
    bool head;  /* the first of its word */
    bool gap;   /* a space before it in the word's phonemes */
    bool is_to; /* a 2 that is read as "to" */
} bt_token;

typedef struct bt_tokens {
    bt_token *v;
    size_t n, cap;
} bt_tokens;

/* Room for one more, zeroed; NULL: no memory. */
bt_token *bt_token_add(bt_tokens *t);
/* Appends the tokens of text[from..to), which has no links. */
bool bt_cut_tokens(const bt_flat *special, bt_pool *a, const bt_utext *text, size_t from, size_t to,
                   bt_tokens *out);
/* pieces.c: appends the pieces of a token at which lexicons look (misaki's subtokens). */
bool bt_split_token(const bt_utext *text, const bt_token *token, bt_tokens *out);

/* ---- rules.c, stress.c, digits.c: words in the lexicons -------------------- */

/* What the next word begins with, as words are read backwards. */
typedef enum bt_next { BT_NEXT_UNKNOWN, BT_NEXT_CONSONANT, BT_NEXT_VOWEL } bt_next;

typedef struct bt_context {
    bt_next vowel;
    bool to; /* the next word is "to" */
} bt_context;

typedef struct bt_sound {
    bt_str phonemes; /* none: not found */
    int rating;
} bt_sound;

/* Degrees of stress, doubled: misaki's -2 .. 2. */
enum {
    BT_STRESS_NONE = 100,
    BT_STRESS_STRIP = -4,
    BT_STRESS_LOWER = -1,
    BT_STRESS_SECONDARY = 0,
    BT_STRESS_RAISE = 1,
    BT_STRESS_PRIMARY = 4
};

typedef struct bt_speller {
    const bt_flat *gold, *silver;
    const bt_user_lexicon *user;
    bool british;
    bt_pool *arena;
} bt_speller;

bt_sound bt_lookup(const bt_speller *s, bt_str word, const char *tag, int stress,
                   const bt_context *ctx);
/* Plural, past and present participle of a word that is known without its ending. */
bt_sound bt_stem_s(const bt_speller *s, bt_str word, const char *tag, int stress,
                   const bt_context *ctx);
/* The endings' own sounds. */
bt_str bt_end_s(const bt_speller *s, bt_str stem);
bt_str bt_end_ed(const bt_speller *s, bt_str stem);
bt_str bt_end_ing(const bt_speller *s, bt_str stem);
bt_str bt_apply_stress(bt_pool *a, bt_str phonemes, int stress);
bt_str bt_stress_last(bt_pool *a, bt_str phonemes);
bool bt_has_primary(bt_str phonemes);
int bt_stress_weight(bt_str phonemes);
bool bt_is_vowel(uint32_t c); /* of misaki's phonemes */
bool bt_is_consonant(uint32_t c);
/* A word as the lexicons spell it (ASCII), with its part of speech. */
bt_sound bt_spell_word(const bt_speller *s, bt_str word, const char *tag, int stress,
                       const bt_context *ctx);
bool bt_is_number_word(bt_str word, bool head);
bt_sound bt_spell_number(const bt_speller *s, bt_str word, uint32_t currency, bool head);
/* "dollars", "pounds", "euros"; none for other signs. */
bt_str bt_currency_plural(const bt_speller *s, uint32_t currency);

/* ---- unknown.c: words that no lexicon has ------------------------------------------ */

typedef struct bt_unknown bt_unknown;

bt_status bt_unknown_open(const char *folder, bool british, const bt_compute *c, bt_unknown **out,
                          bt_error *err);
void bt_unknown_close(bt_unknown *u);

/* Plans by length, and their weights: a job's own. */
typedef struct bt_unknown_job bt_unknown_job;
bt_status bt_unknown_job_open(bt_unknown *u, bt_unknown_job **out);
void bt_unknown_job_close(bt_unknown_job *j);
/* *phonemes: none if the word has no letter that the network knows. */
bt_status bt_unknown_spell(bt_unknown_job *j, bt_pool *a, bt_str word, bt_str *phonemes,
                           bt_error *err);

/* ---- words.c ------------------------------------------------------------------------ */

typedef struct bt_work {
    bt_speller speller;
    bt_unknown_job *unknown;
    const bt_utext *text;
    bt_pool *arena;
} bt_work;

/* fallback.c: the phonemes of a text that no lexicon knows, to *k. */
bt_status bt_spell_unknown(const bt_work *w, bt_str text, bt_token *k, bt_error *err);
/* Groups tokens to words, which are read together ("re-read" is one), and finds their
 * phonemes: pieces.v[ends[i - 1]..ends[i]) are word i's, the first has the word's tag.
 * `pieces` and `ends` start empty;
 * ends is the arena's. BT_ENOMEM, or what the network's run said. */
bt_status bt_words_spell(bt_work *w, const bt_tokens *tokens, bt_tokens *pieces, size_t **ends,
                         size_t *n_words, bt_error *err);

/* ---- english.c ------------------------------------------------------------------------ */

struct bt_english {
    const bt_compute *compute;
    bool british;
    bt_packed_file gold_file, silver_file, special_file;
    bt_flat gold, silver, special;
    bt_tagger tagger;
    bt_tables tables;
    bt_unknown *unknown;
};

#endif
