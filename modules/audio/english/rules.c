/* SPDX-License-Identifier: MIT
 * A word's sound by the lexicons (misaki's en.py): forms that have no entry of their own
 * by their stems, words that sound differently by what they are (heteronyms, by the tag)
 * or by what follows ("the apple"), acronyms letter by letter.
 */
#include "parts.h"

static const bt_sound none = { { NULL, 0 }, 0 };

/* The vowels behind which an American t between them is a tap; UTF-8 ends of them. */
static bool taps(bt_str stem)
{
    static const char *const vowels[] = { "A", "I", "O", "W", "Y", "i", "u", "æ",
                                          "ɑ", "ə", "ɛ", "ɪ", "ɹ", "ʊ", "ʌ" };
    for (size_t i = 0; i < sizeof vowels / sizeof *vowels; i++)
        if (bt_str_ends(stem, vowels[i]))
            return true;
    return false;
}

static bool ends_any(bt_str s, const char *const *ends)
{
    for (; *ends; ends++)
        if (bt_str_ends(s, *ends))
            return true;
    return false;
}

static bt_str plus(const bt_speller *s, bt_str stem, const char *end)
{
    return bt_str_join(s->arena, stem, end, BT_STR(""));
}

bt_str bt_end_s(const bt_speller *s, bt_str stem)
{
    static const char *const hard[] = { "p", "t", "k", "f", "θ", NULL };
    static const char *const hissing[] = { "s", "z", "ʃ", "ʒ", "ʧ", "ʤ", NULL };
    if (stem.n == 0)
        return BT_NO_STR;
    if (ends_any(stem, hard))
        return plus(s, stem, "s");
    if (ends_any(stem, hissing))
        return plus(s, stem, s->british ? "ɪz" : "ᵻz");
    return plus(s, stem, "z");
}

bt_str bt_end_ed(const bt_speller *s, bt_str stem)
{
    static const char *const hard[] = { "p", "k", "f", "θ", "ʃ", "s", "ʧ", NULL };
    if (stem.n == 0)
        return BT_NO_STR;
    if (ends_any(stem, hard))
        return plus(s, stem, "t");
    if (bt_str_ends(stem, "d"))
        return plus(s, stem, s->british ? "ɪd" : "ᵻd");
    if (!bt_str_ends(stem, "t"))
        return plus(s, stem, "d");
    if (s->british || stem.n < 2)
        return plus(s, stem, "ɪd");
    if (taps(bt_str_less(stem, 1)))
        return plus(s, bt_str_less(stem, 1), "ɾᵻd");
    return plus(s, stem, "ᵻd");
}

bt_str bt_end_ing(const bt_speller *s, bt_str stem)
{
    if (stem.n == 0)
        return BT_NO_STR;
    if (s->british && (bt_str_ends(stem, "ə") || bt_str_ends(stem, "ː")))
        return BT_NO_STR;
    if (!s->british && stem.n > 1 && bt_str_ends(stem, "t") && taps(bt_str_less(stem, 1)))
        return plus(s, bt_str_less(stem, 1), "ɾɪŋ");
    return plus(s, stem, "ɪŋ");
}

/* ---- entries ---------------------------------------------------------------------- */

static bool starts(const char *tag, const char *with)
{
    return tag && strncmp(tag, with, strlen(with)) == 0;
}

/* Lexicons know verbs, nouns, adverbs and adjectives beside the single tags. */
static const char *parent(const char *tag)
{
    if (starts(tag, "VB"))
        return "VERB";
    if (starts(tag, "NN"))
        return "NOUN";
    if (starts(tag, "ADV") || starts(tag, "RB"))
        return "ADV";
    if (starts(tag, "ADJ") || starts(tag, "JJ"))
        return "ADJ";
    return tag;
}

static bool member(bt_str object, const char *name, bt_str *value)
{
    bt_str key, v;
    for (size_t at = 0; name && bt_flat_next(object, &at, &key, &v);)
        if (bt_str_is(key, name)) {
            *value = v;
            return true;
        }
    return false;
}

/* "sound" or {"DEFAULT": "sound", "VERB": null...}: the one for this tag. */
static bt_str choose(bt_str entry, const char *tag, const bt_context *ctx)
{
    bt_str v = BT_NO_STR;
    if (entry.n == 0 || entry.p[0] != '{')
        return bt_flat_string(entry);
    if (ctx && ctx->vowel == BT_NEXT_UNKNOWN && member(entry, "None", &v))
        return bt_flat_string(v);
    if (!member(entry, tag, &v) && !member(entry, parent(tag), &v))
        member(entry, "DEFAULT", &v);
    return bt_flat_string(v);
}

static bt_str gold(const bt_speller *s, bt_str word) { return bt_lexicon_get(s->gold, word); }
static bt_str gold_sound(const bt_speller *s, const char *word)
{
    return choose(gold(s, (bt_str){ word, strlen(word) }), NULL, NULL);
}

/* Letters by their names; none if one of them has none. */
static bt_sound spell_letters(const bt_speller *s, bt_str word)
{
    bt_buf names = { 0 };
    bt_str name = BT_STR("");
    for (size_t i = 0; name.p && i < word.n; i++) {
        const uint8_t c = (uint8_t)word.p[i];
        if (!bt_is_ascii_letter(c))
            continue;
        const char letter = (char)(c & ~32);
        name = choose(gold(s, (bt_str){ &letter, 1 }), NULL, NULL);
        bt_buf_add(&names, name.p, name.n);
    }
    bt_str all = name.p && !names.failed ? bt_str_copy(s->arena, names.data, names.len) : BT_NO_STR;
    s->arena->failed |= names.failed;
    bt_buf_free(&names);
    all = bt_apply_stress(s->arena, all, BT_STRESS_SECONDARY);
    return all.p ? (bt_sound){ bt_stress_last(s->arena, all), 3 } : none;
}

bt_sound bt_lookup(const bt_speller *s, bt_str word, const char *tag, int stress,
                   const bt_context *ctx)
{
    bool name = false;
    bt_str entry = gold(s, word);
    if (bt_str_is_upper(word) && !entry.p) {
        word = bt_str_lower(s->arena, word);
        name = tag && strcmp(tag, "NNP") == 0;
        entry = gold(s, word);
    }
    int rating = 4;
    if (!entry.p && !name) {
        entry = bt_lexicon_get(s->silver, word);
        rating = 3;
    }
    const bt_str sound = choose(entry, tag, ctx);
    if (!sound.p || (name && !bt_has_primary(sound))) {
        const bt_sound letters = spell_letters(s, word);
        if (letters.phonemes.p)
            return letters;
    }
    return (bt_sound){ bt_apply_stress(s->arena, sound, stress), rating };
}

/* ---- stems ----------------------------------------------------------------------------- */

static bool in_lexicons(const bt_speller *s, bt_str word)
{
    return gold(s, word).p || bt_lexicon_get(s->silver, word).p;
}

static bool is_sign(bt_str w)
{
    return w.n == 1 && (w.p[0] == '%' || w.p[0] == '&' || w.p[0] == '+' || w.p[0] == '@');
}

static bool all_letters(bt_str w)
{
    for (size_t i = 0; i < w.n; i++)
        if (!bt_is_ascii_letter((uint8_t)w.p[i]))
            return false;
    return w.n > 0;
}

static bool is_known(const bt_speller *s, bt_str word)
{
    if (in_lexicons(s, word) || is_sign(word))
        return true;
    if (!all_letters(word))
        return false;
    if (word.n == 1)
        return true;
    if (bt_str_is_upper(word) && gold(s, bt_str_lower(s->arena, word)).p)
        return true;
    return bt_str_is_upper(bt_str_from(word, 1));
}

/* The word with `cut` letters of its end replaced; none if that is no known word. */
static bt_str stem(const bt_speller *s, bt_str word, size_t cut, const char *end)
{
    const bt_str w = *end ? plus(s, bt_str_less(word, cut), end) : bt_str_less(word, cut);
    return w.p && is_known(s, w) ? w : BT_NO_STR;
}

bt_sound bt_stem_s(const bt_speller *s, bt_str word, const char *tag, int stress,
                   const bt_context *ctx)
{
    bt_str w = BT_NO_STR;
    if (word.n < 3 || !bt_str_ends(word, "s"))
        return none;
    const bool ies = word.n > 4 && bt_str_ends(word, "ies");
    if (!bt_str_ends(word, "ss"))
        w = stem(s, word, 1, "");
    if (!w.p && (bt_str_ends(word, "'s") || (word.n > 4 && bt_str_ends(word, "es") && !ies)))
        w = stem(s, word, 2, "");
    if (!w.p && ies)
        w = stem(s, word, 3, "y");
    if (!w.p)
        return none;
    const bt_sound sound = bt_lookup(s, w, tag, stress, ctx);
    return (bt_sound){ bt_end_s(s, sound.phonemes), sound.rating };
}

static bt_sound stem_ed(const bt_speller *s, bt_str word, const char *tag, int stress,
                        const bt_context *ctx)
{
    bt_str w = BT_NO_STR;
    if (word.n < 4 || !bt_str_ends(word, "d"))
        return none;
    if (!bt_str_ends(word, "dd"))
        w = stem(s, word, 1, "");
    if (!w.p && word.n > 4 && bt_str_ends(word, "ed") && !bt_str_ends(word, "eed"))
        w = stem(s, word, 2, "");
    if (!w.p)
        return none;
    const bt_sound sound = bt_lookup(s, w, tag, stress, ctx);
    return (bt_sound){ bt_end_ed(s, sound.phonemes), sound.rating };
}

/* ([bcdgklmnprstvxz])\1ing$|cking$ */
static bool doubles(bt_str word)
{
    const char *end = word.p + word.n;
    if (bt_str_ends(word, "cking"))
        return true;
    return end[-4] == end[-5] && strchr("bcdgklmnprstvxz", end[-4]) != NULL;
}

static bt_sound stem_ing(const bt_speller *s, bt_str word, const char *tag, int stress,
                         const bt_context *ctx)
{
    bt_str w = BT_NO_STR;
    if (word.n < 5 || !bt_str_ends(word, "ing"))
        return none;
    if (word.n > 5)
        w = stem(s, word, 3, "");
    if (!w.p)
        w = stem(s, word, 3, "e");
    if (!w.p && word.n > 5 && doubles(word))
        w = stem(s, word, 4, "");
    if (!w.p)
        return none;
    const bt_sound sound = bt_lookup(s, w, tag, stress, ctx);
    return (bt_sound){ bt_end_ing(s, sound.phonemes), sound.rating };
}

/* ---- words of their own rules ------------------------------------------------------------- */

/* "U.S.", "e.g.": letters parted by full stops, at most two at a time */
static bool is_dotted(bt_str word)
{
    size_t run = 0, letters = 0, a = 0, b = word.n;
    while (a < b && word.p[a] == '.')
        a++;
    while (b > a && word.p[b - 1] == '.')
        b--;
    if (!bt_str_has((bt_str){ word.p + a, b - a }, '.'))
        return false;
    for (size_t i = 0; i < word.n; i++) {
        if (word.p[i] == '.') {
            run = 0;
        } else if (!bt_is_ascii_letter((uint8_t)word.p[i]) || ++run > 2) {
            return false;
        } else {
            letters++;
        }
    }
    return letters > 0;
}

static bt_sound given(const char *phonemes)
{
    return (bt_sound){ { phonemes, strlen(phonemes) }, 4 };
}

static bool is_tag(const char *tag, const char *name) { return tag && strcmp(tag, name) == 0; }

static bt_sound say_am(const bt_speller *s, bt_str word, const char *tag, int stress,
                       const bt_context *ctx)
{
    if (starts(tag, "NN"))
        return spell_letters(s, word);
    if (ctx->vowel == BT_NEXT_UNKNOWN || !bt_str_is(word, "am") ||
        (stress != BT_STRESS_NONE && stress > 0))
        return (bt_sound){ gold_sound(s, "am"), 4 };
    return given("ɐm");
}

static bt_sound say_to(const bt_speller *s, const bt_context *ctx)
{
    if (ctx->vowel == BT_NEXT_UNKNOWN)
        return (bt_sound){ gold_sound(s, "to"), 4 };
    return given(ctx->vowel == BT_NEXT_VOWEL ? "tʊ" : "tə");
}

static bt_sound say_used(const bt_speller *s, const char *tag, const bt_context *ctx)
{
    const bool habit = (is_tag(tag, "VBD") || is_tag(tag, "JJ")) && ctx->to;
    return (bt_sound){ choose(gold(s, BT_STR("used")), habit ? "VBD" : "DEFAULT", NULL), 4 };
}

static bool is_vs(bt_str w)
{
    return (w.n == 2 || (w.n == 3 && w.p[2] == '.')) && (w.p[0] | 32) == 'v' &&
           (w.p[1] | 32) == 's';
}

/* Letters, signs and abbreviations; none: the word is an ordinary one. */
static bt_sound special_signs(const bt_speller *s, bt_str word, const char *tag,
                              const bt_context *ctx)
{
    if (is_tag(tag, "ADD") && bt_str_is(word, "."))
        return bt_lookup(s, BT_STR("dot"), NULL, BT_STRESS_LOWER, ctx);
    if (is_tag(tag, "ADD") && bt_str_is(word, "/"))
        return bt_lookup(s, BT_STR("slash"), NULL, BT_STRESS_LOWER, ctx);
    if (is_sign(word)) {
        const bt_str name = word.p[0] == '%'   ? BT_STR("percent")
                            : word.p[0] == '&' ? BT_STR("and")
                            : word.p[0] == '+' ? BT_STR("plus")
                                               : BT_STR("at");
        return bt_lookup(s, name, NULL, BT_STRESS_NONE, ctx);
    }
    if (is_dotted(word))
        return spell_letters(s, word);
    if (is_tag(tag, "IN") && is_vs(word))
        return bt_lookup(s, BT_STR("versus"), NULL, BT_STRESS_NONE, ctx);
    return none;
}

/* The small words whose sound hangs on what they are and on what follows. */
static bt_sound special_words(const bt_speller *s, bt_str word, const char *tag, int stress,
                              const bt_context *ctx)
{
    if (bt_str_among(word, "a A"))
        return given(is_tag(tag, "DT") ? "ɐ" : "ˈA");
    if (bt_str_among(word, "am Am AM"))
        return say_am(s, word, tag, stress, ctx);
    if (bt_str_among(word, "an An AN"))
        return bt_str_is(word, "AN") && starts(tag, "NN") ? spell_letters(s, word) : given("ɐn");
    if (bt_str_is(word, "I") && is_tag(tag, "PRP"))
        return given("ˌI");
    if (bt_str_among(word, "by By BY") && is_tag(parent(tag), "ADV"))
        return given("bˈI");
    if (bt_str_among(word, "to To") ||
        (bt_str_is(word, "TO") && (is_tag(tag, "TO") || is_tag(tag, "IN"))))
        return say_to(s, ctx);
    if (bt_str_among(word, "in In") || (bt_str_is(word, "IN") && !is_tag(tag, "NNP")))
        return given(ctx->vowel == BT_NEXT_UNKNOWN || !is_tag(tag, "IN") ? "ˈɪn" : "ɪn");
    if (bt_str_among(word, "the The") || (bt_str_is(word, "THE") && is_tag(tag, "DT")))
        return given(ctx->vowel == BT_NEXT_VOWEL ? "ði" : "ðə");
    if (bt_str_among(word, "used Used USED"))
        return say_used(s, tag, ctx);
    return none;
}

/* Is a word with capitals to be read as its small form? Not names that may be acronyms. */
static bool loses_capitals(const bt_speller *s, bt_str word, bt_str small, const char *tag,
                           int stress, const bt_context *ctx)
{
    bool letters = false;
    for (size_t i = 0; i < word.n; i++) {
        letters = letters || word.p[i] != '\'';
        if (word.p[i] != '\'' && !bt_is_ascii_letter((uint8_t)word.p[i]))
            return false;
    }
    if (!letters || word.n < 2 || bt_str_is_lower(word) || (is_tag(tag, "NNP") && word.n <= 7) ||
        in_lexicons(s, word) || !(bt_str_is_upper(word) || bt_str_is_lower(bt_str_from(word, 1))))
        return false;
    return in_lexicons(s, small) || bt_stem_s(s, small, tag, stress, ctx).phonemes.n ||
           stem_ed(s, small, tag, stress, ctx).phonemes.n ||
           stem_ing(s, small, tag, stress, ctx).phonemes.n;
}

bt_sound bt_spell_word(const bt_speller *s, bt_str word, const char *tag, int stress,
                       const bt_context *ctx)
{
    bt_sound v = special_signs(s, word, tag, ctx);
    if (!v.phonemes.p)
        v = special_words(s, word, tag, stress, ctx);
    if (v.phonemes.p || word.n == 0)
        return v;
    const bt_str small = bt_str_lower(s->arena, word);
    if (loses_capitals(s, word, small, tag, stress, ctx))
        word = small;
    if (is_known(s, word))
        return bt_lookup(s, word, tag, stress, ctx);
    if (bt_str_ends(word, "s'")) {
        const bt_str owner = plus(s, bt_str_less(word, 2), "'s");
        if (owner.p && is_known(s, owner))
            return bt_lookup(s, owner, tag, stress, ctx);
    }
    if (bt_str_ends(word, "'") && is_known(s, bt_str_less(word, 1)))
        return bt_lookup(s, bt_str_less(word, 1), tag, stress, ctx);
    v = bt_stem_s(s, word, tag, stress, ctx);
    if (!v.phonemes.p)
        v = stem_ed(s, word, tag, stress, ctx);
    if (!v.phonemes.p)
        v = stem_ing(s, word, tag, stress == BT_STRESS_NONE ? BT_STRESS_RAISE : stress, ctx);
    return v;
}
