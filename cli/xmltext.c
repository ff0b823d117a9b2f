/*
 * xmltext.c: see xmltext.h.
 */
#include "xmltext.h"

#include <string.h>

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool starts(struct terse_str s, size_t at, const char *what) {
    size_t n = strlen(what);
    return s.n - at >= n && memcmp(s.p + at, what, n) == 0;
}

/* Offset of `what` at or after `at`, or s.n. */
static size_t find(struct terse_str s, size_t at, const char *what) {
    while (at < s.n && !starts(s, at, what))
        at++;
    return at;
}

static size_t skip_space(struct terse_str s, size_t at) {
    while (at < s.n && is_space(s.p[at]))
        at++;
    return at;
}

size_t xmltext_declaration(struct terse_str xml) {
    size_t at = skip_space(xml, 0);
    if (!starts(xml, at, "<?xml") || at + 5 >= xml.n ||
        !is_space(xml.p[at + 5]))
        return 0;
    at = find(xml, at, "?>");
    return at < xml.n ? skip_space(xml, at + 2) : 0;
}

/* Whether the `&` at `at` begins something else than a character reference or
 * one of XML's own five entities. */
static bool is_foreign_entity(struct terse_str xml, size_t at) {
    static const char *const own[] = {"&amp;",  "&lt;",   "&gt;",
                                      "&quot;", "&apos;", "&#"};
    size_t end = at + 1;
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (starts(xml, at, own[i]))
            return false;
    while (end < xml.n && !memchr(" \t\r\n<>&;\"'", xml.p[end], 10))
        end++;
    return end > at + 1 && end < xml.n && xml.p[end] == ';';
}

const char *xmltext_forbidden(struct terse_str xml) {
    size_t at = xmltext_declaration(xml);
    while (at < xml.n) {
        if (xml.p[at] == '&' && is_foreign_entity(xml, at))
            return "an entity reference";
        if (starts(xml, at, "<!--"))
            return "a comment";
        if (starts(xml, at, "<?"))
            return "a processing instruction";
        if (starts(xml, at, "<![CDATA["))
            at = find(xml, at, "]]>");
        else if (starts(xml, at, "<!"))
            return "a document type";
        else
            at++;
    }
    return NULL;
}

bool xmltext_blank(struct terse_str xml) { return skip_space(xml, 0) == xml.n; }

/* Offset after the start tag at `at`, or 0 if it does not end or is that of an
 * empty element. A '>' inside quotes does not end it. */
static size_t start_tag_end(struct terse_str xml, size_t at) {
    char quote = 0;
    for (; at < xml.n; at++) {
        char c = xml.p[at];
        if (quote)
            quote = c == quote ? 0 : quote;
        else if (c == '"' || c == '\'')
            quote = c;
        else if (c == '>')
            return xml.p[at - 1] == '/' ? 0 : at + 1;
    }
    return 0;
}

/* Whether `</name` stands anywhere in xml. */
static bool has_end_tag(struct terse_str xml, struct terse_str name) {
    for (size_t at = 0; at + name.n + 2 <= xml.n; at++)
        if (xml.p[at] == '<' && xml.p[at + 1] == '/' &&
            memcmp(xml.p + at + 2, name.p, name.n) == 0)
            return true;
    return false;
}

bool xmltext_header(struct terse_str xml, struct terse_str *name, size_t *n) {
    size_t at = skip_space(xml, xmltext_declaration(xml));
    if (at >= xml.n || xml.p[at] != '<')
        return false;
    size_t from = ++at, local = at;
    while (at < xml.n && !is_space(xml.p[at]) && !memchr("/>", xml.p[at], 2))
        if (xml.p[at++] == ':')
            local = at;
    if (at - local != 6 || memcmp(xml.p + local, "stream", 6) != 0)
        return false;
    *name = (struct terse_str){xml.p + from, at - from};
    *n = start_tag_end(xml, at);
    if (*n == 0)
        return false;
    struct terse_str tag = {xml.p + from, *n - from};
    return !has_end_tag(xml, *name) || starts(xml, from, "stream:stream") ||
           find(tag, 0, TERSE_NS_STREAM) < tag.n;
}

bool xmltext_footer(struct terse_str xml, struct terse_str name) {
    size_t at = xml.n;
    while (at > 0 && is_space(xml.p[at - 1]))
        at--;
    if (at == 0 || xml.p[--at] != '>')
        return false;
    while (at > 0 && is_space(xml.p[at - 1]))
        at--;
    if (at < name.n + 2)
        return false;
    at -= name.n;
    return memcmp(xml.p + at, name.p, name.n) == 0 &&
           memcmp(xml.p + at - 2, "</", 2) == 0;
}
