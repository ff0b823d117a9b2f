#include "codegen/ncname.h"

#include <stddef.h>
#include <stdint.h>

struct range {
    uint32_t first, last;
};

/* NameStartChar of XML 1.0 (fifth edition) without the colon. */
static const struct range start_chars[] = {
    {'A', 'Z'},       {'_', '_'},       {'a', 'z'},         {0xC0, 0xD6},
    {0xD8, 0xF6},     {0xF8, 0x2FF},    {0x370, 0x37D},     {0x37F, 0x1FFF},
    {0x200C, 0x200D}, {0x2070, 0x218F}, {0x2C00, 0x2FEF},   {0x3001, 0xD7FF},
    {0xF900, 0xFDCF}, {0xFDF0, 0xFFFD}, {0x10000, 0xEFFFF},
};

/* What NameChar adds to them. */
static const struct range more_chars[] = {
    {'-', '-'},   {'.', '.'},     {'0', '9'},
    {0xB7, 0xB7}, {0x300, 0x36F}, {0x203F, 0x2040},
};

static bool in_ranges(uint32_t c, const struct range *ranges, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    return false;
}

#define IN(c, ranges) in_ranges(c, ranges, sizeof(ranges) / sizeof(*(ranges)))

/* Decodes one character; protoc has checked that strings are UTF-8. */
static uint32_t next_char(const unsigned char **p) {
    uint32_t c = *(*p)++;
    unsigned more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : c >= 0xC0 ? 1 : 0;
    if (more)
        c &= 0x3Fu >> more;
    for (; more > 0 && (**p & 0xC0) == 0x80; more--)
        c = c << 6 | (*(*p)++ & 0x3Fu);
    return more ? 0 : c;
}

bool is_ncname(const char *s) {
    const unsigned char *p = (const unsigned char *)s;
    if (!*p)
        return false;
    for (bool first = true; *p; first = false) {
        uint32_t c = next_char(&p);
        if (!IN(c, start_chars) && (first || !IN(c, more_chars)))
            return false;
    }
    return true;
}
