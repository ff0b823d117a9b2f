/* xml_scan.c: see xml_scan.h. It need not understand XML that is not
 * well-formed: libxml2 refuses that. */
#include "xml_scan.h"

#include <string.h>

/* The byte at hand as one of UTF-8, RFC 3629 section 4. */
static bool utf8(struct xml_scan *s, uint8_t c) {
    if (s->more > 0) {
        if (c < s->least || c > s->most)
            return false;
        s->more--;
        s->least = 0x80;
        s->most = 0xbf;
        return true;
    }
    if (c < 0x80)
        return true;
    if (c < 0xc2 || c > 0xf4)
        return false;
    s->more = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    s->least = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    s->most = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    return true;
}

static bool in_tag(struct xml_scan *s, char c) {
    switch (c) {
    case '>':
        s->at = SCAN_TEXT;
        break;
    case '"':
        s->at = SCAN_QUOT;
        break;
    case '\'':
        s->at = SCAN_APOS;
        break;
    case '=':
        return ++s->attrs <= s->max_attrs;
    default:
        break;
    }
    return true;
}

static void in_cdata(struct xml_scan *s, char c) {
    if (c == '>' && s->brackets == 2)
        s->at = SCAN_TEXT;
    if (c != ']')
        s->brackets = 0;
    else if (s->brackets < 2)
        s->brackets++;
}

enum { REF_MAX = 64 }; /* bytes of a reference; XML's own have 10 at most */

/* Follows a reference, "&name;" or "&#number;"; false if it is none. What names
 * there are is libxml2's affair. */
static bool reference(struct xml_scan *s, uint8_t c) {
    if (s->ref == 0) {
        s->ref = c == '&';
        return true;
    }
    if (c == ';') {
        bool named = s->ref > 1;
        s->ref = 0;
        return named;
    }
    bool fine = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                (c >= 'a' && c <= 'z') || c >= 0x80 || c == '#' || c == '_' ||
                c == '-' || c == '.' || c == ':';
    return fine && ++s->ref <= REF_MAX;
}

/* Whether references can stand here. */
static bool in_text(const struct xml_scan *s) {
    return s->at == SCAN_TEXT || s->at == SCAN_QUOT || s->at == SCAN_APOS;
}

/* Follows the tags; false if this one has too many attributes. */
static bool tags(struct xml_scan *s, char c) {
    switch (s->at) {
    case SCAN_TEXT:
        if (c == '<')
            s->at = SCAN_LESS;
        break;
    case SCAN_LESS:
        s->at = c == '!'   ? SCAN_CDATA
                : c == '?' ? SCAN_PROLOG
                : c == '/' ? SCAN_END
                           : SCAN_TAG;
        s->attrs = 0;
        s->brackets = 0;
        return s->at != SCAN_TAG || in_tag(s, c);
    case SCAN_TAG:
        return in_tag(s, c);
    case SCAN_END:
        if (c == '>')
            s->at = SCAN_TEXT;
        break;
    case SCAN_QUOT:
    case SCAN_APOS:
        if (c == (s->at == SCAN_QUOT ? '"' : '\''))
            s->at = SCAN_TAG;
        break;
    case SCAN_CDATA:
        in_cdata(s, c);
        break;
    case SCAN_PROLOG:
        if (c == '>')
            s->at = SCAN_TEXT;
        break;
    }
    return true;
}

/* Where an ASCII character changes anything, one bit for each place. At places
 * that are not here all characters do. */
static const uint8_t marks[0x80] = {
    ['<'] = 1 << SCAN_TEXT | 1 << SCAN_END,
    ['&'] = 1 << SCAN_TEXT | 1 << SCAN_QUOT | 1 << SCAN_APOS,
    ['>'] = 1 << SCAN_TAG | 1 << SCAN_END,
    ['"'] = 1 << SCAN_TAG | 1 << SCAN_QUOT | 1 << SCAN_END,
    ['\''] = 1 << SCAN_TAG | 1 << SCAN_APOS | 1 << SCAN_END,
    ['='] = 1 << SCAN_TAG,
};

/* The first of p's characters from i on that is to be looked at: most are
 * within a name, a value or a text, where nothing happens. */
static size_t skip(const struct xml_scan *s, const char *p, size_t i,
                   size_t n) {
    const unsigned places = 1 << SCAN_TEXT | 1 << SCAN_TAG | 1 << SCAN_END |
                            1 << SCAN_QUOT | 1 << SCAN_APOS;
    unsigned here = 1u << s->at;
    if (s->more > 0 || s->ref > 0 || !(here & places))
        return i;
    while (i < n && (uint8_t)p[i] < 0x80 && !(marks[(uint8_t)p[i]] & here))
        i++;
    return i;
}

/* Whether the next byte comes between tags. */
static bool between(const struct xml_scan *s) {
    return s->at == SCAN_TEXT && s->ref == 0 && s->more == 0;
}

/* Looks at p[i .. n) byte by byte, with `until` only to the first that stands
 * between tags; returns how far that went. */
static size_t follow(struct xml_scan *s, const char *p, size_t i, size_t n,
                     bool until, enum terse_err *err) {
    for (i = skip(s, p, i, n); i < n; i = skip(s, p, i + 1, n)) {
        if (until && between(s))
            return i;
        uint8_t c = (uint8_t)p[i];
        if ((c >= 0x80 || s->more > 0) && !utf8(s, c)) {
            *err = TERSE_EENCODING;
            return i;
        }
        if ((s->at == SCAN_END && (c == '"' || c == '\'' || c == '<')) ||
            (in_text(s) && !reference(s, c))) {
            *err = TERSE_EXML;
            return i;
        }
        if (c < 0x80 && !tags(s, p[i])) {
            *err = TERSE_ELIMIT;
            return i;
        }
    }
    return n;
}

/* ---- many bytes at once ----------------------------------------------------
 */

static const uint64_t ONES = UINT64_C(0x0101010101010101);
static const uint64_t HIGHS = UINT64_C(0x8080808080808080);

/* What gcc and clang have for vectors: each operator works on 16 bytes, and a
 * comparison gives 0xff where it holds. */
enum { LANES = 16, LUMP = 31 * LANES };
typedef uint8_t lanes __attribute__((vector_size(LANES)));

/* What is found among the bytes of a lump. */
struct lump {
    bool high, refs;
    unsigned equals;
};

static inline lanes lanes_at(const char *p) {
    lanes v;
    memcpy(&v, p, LANES);
    return v;
}

/* Looks at n bytes, LUMP at most: eight lanes together count to 255. Where the
 * last lanes would reach too far they begin earlier, and find some '=' twice:
 * the worst of that is that bytes are followed which need not be. */
static struct lump look(const char *p, size_t n) {
    lanes high = {0}, refs = {0}, equals = {0}, v;
    struct lump l = {0};
    char few[LANES] = {0};
    if (n < LANES)
        p = memcpy(few, p, n), n = LANES;
    for (size_t i = 0; i < n; i += LANES) {
        v = lanes_at(p + (n - i < LANES ? n - LANES : i));
        high |= v;
        refs |= (lanes)(v == '&');
        equals -= (lanes)(v == '=');
    }
    uint64_t h[2], r[2], e[2];
    memcpy(h, &high, LANES);
    memcpy(r, &refs, LANES);
    memcpy(e, &equals, LANES);
    l.high = (h[0] | h[1]) & HIGHS;
    l.refs = r[0] | r[1];
    l.equals = (unsigned)(e[0] * ONES >> 56) + (unsigned)(e[1] * ONES >> 56);
    return l;
}

static bool utf8_bytes(struct xml_scan *s, const char *p, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint64_t w = HIGHS;
        if (s->more == 0 && n - i >= 8)
            memcpy(&w, p + i, 8);
        if (!(w & HIGHS))
            i += 7; /* ASCII */
        else if (!utf8(s, (uint8_t)p[i]))
            return false;
    }
    return true;
}

/* Whether what each '&' begins is a reference that ends before the bytes do. In
 * CDATA it need not. */
static bool refs_are_whole(const char *p, size_t n) {
    const char *end = p + n;
    while ((p = memchr(p, '&', (size_t)(end - p)))) {
        struct xml_scan ref = {0};
        do
            if (p == end || !reference(&ref, (uint8_t)*p++))
                return false;
        while (ref.ref > 0);
    }
    return true;
}

/* Whether n bytes that begin between tags are fine wherever their tags are:
 * whole characters, whole references, and no more '=' than would be too many in
 * one tag. False may also mean that they have to be followed. */
static bool fine_as_a_whole(const struct xml_scan *s, const char *p, size_t n) {
    struct xml_scan chars = *s;
    size_t equals = 0;
    bool refs = false;
    for (size_t i = 0; i < n; i += LUMP) {
        size_t have = n - i < LUMP ? n - i : LUMP;
        struct lump l = look(p + i, have);
        equals += l.equals;
        refs |= l.refs;
        if ((l.high || chars.more > 0) && !utf8_bytes(&chars, p + i, have))
            return false;
    }
    return equals <= s->max_attrs && chars.more == 0 &&
           (!refs || refs_are_whole(p, n));
}

size_t xml_scan(struct xml_scan *s, const char *p, size_t n,
                enum terse_err *err) {
    s->loose = 0;
    *err = TERSE_OK;
    size_t i = between(s) ? 0 : follow(s, p, 0, n, true, err);
    if (i == n || *err != TERSE_OK)
        return i;
    if (!fine_as_a_whole(s, p + i, n - i))
        return follow(s, p, i, n, false, err);
    s->loose = n - i;
    return n;
}

size_t xml_scan_left(struct xml_scan *s, const char *p, size_t n, size_t left,
                     enum terse_err *err) {
    size_t loose = s->loose < left ? s->loose : left;
    s->loose = 0;
    *err = TERSE_OK;
    return follow(s, p, n - loose, n, false, err);
}
