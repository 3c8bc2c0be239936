/* SPDX-License-Identifier: MIT
 * Values of SSML's attributes.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "audio/script/ssml_parts.h"

typedef struct name {
    const char *name;
    double value;
} name;

static bool find(const name *names, const char *s, double *value)
{
    for (; names->name; names++)
        if (strcmp(names->name, s) == 0) {
            *value = names->value;
            return true;
        }
    return false;
}

/* [+-]digits[.digits]; *unit is what follows. */
static bool number(const char *s, double *value, const char **unit)
{
    const size_t sign = strspn(s, "+-") == 1, digits = strspn(s + sign, "0123456789.");
    char plain[32];
    if (digits == 0 || sign + digits >= sizeof plain)
        return false;
    memcpy(plain, s, sign + digits);
    plain[sign + digits] = 0;
    char *end;
    *value = strtod(plain, &end);
    *unit = s + sign + digits;
    return *end == 0;
}

bool bt_ssml_time(const char *s, double *seconds)
{
    const char *unit;
    if (!number(s, seconds, &unit))
        return false;
    if (strcmp(unit, "ms") == 0)
        *seconds /= 1000;
    else if (strcmp(unit, "s") != 0)
        return false;
    return *seconds >= 0 && *seconds <= 60;
}

bool bt_ssml_strength(const char *s, double *seconds)
{
    static const name names[] = { { "none", 0 },     { "x-weak", 0.1 }, { "weak", 0.2 },
                                  { "medium", 0.4 }, { "strong", 0.7 }, { "x-strong", 1.0 },
                                  { NULL, 0 } };
    return find(names, s, seconds);
}

/* "80%" and "0.8" are 0.8, "-20%" too; numbers are `whole`ths. */
static bool factor_of(const char *s, double whole, double *factor)
{
    const char *unit;
    if (!number(s, factor, &unit))
        return false;
    const bool percent = strcmp(unit, "%") == 0, relative = *s == '+' || *s == '-';
    if (*unit && !percent)
        return false;
    *factor /= percent ? 100 : whole;
    if (relative && (percent || whole != 1))
        *factor += 1;
    return true;
}

bool bt_ssml_rate(const char *s, double *factor)
{
    static const name names[] = { { "x-slow", 0.5 }, { "slow", 0.75 },    { "medium", 1 },
                                  { "default", 1 },  { "fast", 4 / 3.0 }, { "x-fast", 2 },
                                  { NULL, 0 } };
    if (find(names, s, factor))
        return true;
    return factor_of(s, 1, factor) && *factor >= 0.1 && *factor <= 10;
}

bool bt_ssml_volume(const char *s, double *factor)
{
    /* 12 and 6 dB below, 3 and 6 above: speech has little room above its own level */
    static const name names[] = { { "silent", 0 }, { "x-soft", 0.25 }, { "soft", 0.5 },
                                  { "medium", 1 }, { "default", 1 },   { "loud", 1.41254 },
                                  { "x-loud", 2 }, { NULL, 0 } };
    const char *unit;
    double db;
    if (find(names, s, factor))
        return true;
    if (number(s, &db, &unit) && strcmp(unit, "dB") == 0) {
        *factor = pow(10, db / 20);
        return *factor <= 16;
    }
    return factor_of(s, 100, factor) && *factor >= 0 && *factor <= 16;
}
