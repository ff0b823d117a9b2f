/* str.h: comparing borrowed strings. */
#ifndef TERSE_STR_H
#define TERSE_STR_H

#include <string.h>

#include "terse.h"

static inline bool str_eq(struct terse_str a, struct terse_str b) {
    return a.n == b.n && (a.p == b.p || a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline struct terse_str str_of(const char *s) {
    return (struct terse_str){s, strlen(s)};
}

static inline bool str_is(struct terse_str a, const char *s) {
    return str_eq(a, str_of(s));
}

/* FNV-1a. */
static inline uint32_t str_hash(struct terse_str s) {
    uint32_t h = UINT32_C(2166136261);
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (uint8_t)s.p[i]) * UINT32_C(16777619);
    return h;
}

/* The same in two bytes, for a table that is small. */
static inline uint16_t str_hash16(struct terse_str s) {
    uint32_t h = str_hash(s);
    return (uint16_t)(h ^ h >> 16);
}

#endif
