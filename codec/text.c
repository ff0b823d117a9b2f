/* text.c: see text.h. */
#include "text.h"

#include <string.h>

/* Reads one character of n bytes at most; returns its length in bytes, 0 if
 * there is none: overlong, truncated, a surrogate or above U+10FFFF. */
static size_t utf8_next(const uint8_t *p, size_t n, uint32_t *out) {
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = p[0] < 0x80   ? 1
                 : p[0] < 0xc0 ? 0
                 : p[0] < 0xe0 ? 2
                 : p[0] < 0xf0 ? 3
                 : p[0] < 0xf8 ? 4
                               : 0;
    if (len == 0 || len > n)
        return 0;
    uint32_t c = len == 1 ? p[0] : p[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *out = c;
    return len;
}

size_t text_whole(struct terse_str s) {
    const uint8_t *p = (const uint8_t *)s.p;
    for (size_t back = 1; back <= 3 && back <= s.n; back++) {
        uint8_t c = p[s.n - back];
        if (c >= 0xc0) {
            size_t len = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
            return len > back ? s.n - back : s.n;
        }
        if (c < 0x80)
            break;
    }
    return s.n;
}

static const uint64_t ONES = UINT64_C(0x0101010101010101);

/* The high bit of some byte is set if any byte of w is c. */
static uint64_t any_is(uint64_t w, char c) {
    uint64_t x = w ^ ONES * (uint8_t)c;
    return (x - ONES) & ~x;
}

struct looks {
    uint64_t bad, apos; /* the high bits count */
};

static inline void look(struct looks *l, uint64_t w) {
    uint64_t small = (w - ONES * ' ') & ~w;
    /* '<' and '>' differ in one bit. */
    l->bad |= w | small | any_is(w, '&') | any_is(w & ~(ONES * 2), '<');
    l->apos |= any_is(w, '\'');
}

unsigned text_look(struct terse_str s) {
    const uint64_t highs = ONES * 0x80;
    struct looks l = {0, 0};
    uint64_t w = ONES * 'a';
    for (size_t i = 0; i + 8 < s.n; i += 8) {
        memcpy(&w, s.p + i, 8);
        look(&l, w);
    }
    if (s.n >= 8) { /* the last eight: some of them again */
        memcpy(&w, s.p + s.n - 8, 8);
    } else if (s.n >= 4) {
        uint32_t four[2];
        memcpy(&four[0], s.p, 4);
        memcpy(&four[1], s.p + s.n - 4, 4);
        w = (uint64_t)four[1] << 32 | four[0];
    } else {
        for (size_t i = 0; i < s.n; i++)
            w = w << 8 | (uint8_t)s.p[i];
    }
    look(&l, w);
    if (l.bad & highs)
        return 0;
    return l.apos & highs ? TEXT_CALM : TEXT_CALM | TEXT_CALMER;
}

bool text_is_xml(struct terse_str s) {
    const uint8_t *p = (const uint8_t *)s.p;
    for (size_t i = 0; i < s.n;) {
        if (p[i] >= 0x20 && p[i] < 0x80) {
            i++;
            continue;
        }
        uint32_t c;
        size_t len = utf8_next(p + i, s.n - i, &c);
        if (len == 0 || c == 0xfffe || c == 0xffff)
            return false;
        if (c < 0x20 && c != '\t' && c != '\n' && c != '\r')
            return false;
        i += len;
    }
    return true;
}

struct range {
    uint32_t first, last;
};

/* XML 1.0 (fifth edition) production 4, NameStartChar without ':'. */
static const struct range name_start[] = {
    {'A', 'Z'},       {'_', '_'},       {'a', 'z'},         {0xc0, 0xd6},
    {0xd8, 0xf6},     {0xf8, 0x2ff},    {0x370, 0x37d},     {0x37f, 0x1fff},
    {0x200c, 0x200d}, {0x2070, 0x218f}, {0x2c00, 0x2fef},   {0x3001, 0xd7ff},
    {0xf900, 0xfdcf}, {0xfdf0, 0xfffd}, {0x10000, 0xeffff},
};

/* Production 4a, what NameChar adds. */
static const struct range name_more[] = {
    {'-', '.'}, {'0', '9'}, {0xb7, 0xb7}, {0x300, 0x36f}, {0x203f, 0x2040},
};

static bool in_ranges(uint32_t c, const struct range *ranges, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    return false;
}

bool text_is_ncname(struct terse_str s) {
    const uint8_t *p = (const uint8_t *)s.p;
    for (size_t i = 0; i < s.n;) {
        uint32_t c;
        size_t len = utf8_next(p + i, s.n - i, &c);
        if (len == 0)
            return false;
        if (!in_ranges(c, name_start,
                       sizeof(name_start) / sizeof(name_start[0])) &&
            (i == 0 || !in_ranges(c, name_more,
                                  sizeof(name_more) / sizeof(name_more[0]))))
            return false;
        i += len;
    }
    return s.n > 0;
}

bool text_is_namespace(struct terse_str s) {
    for (size_t i = 0; i < s.n; i++)
        if ((uint8_t)s.p[i] <= 0x20)
            return false;
    return text_is_xml(s);
}
