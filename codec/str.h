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
    return terse_str_is(a, s);
}

/* Multiplies eight bytes at a time, as FNV-1a does one. Where a peer chooses
 * the strings it can choose what collides: tables of those are small. */
static inline uint32_t str_hash_from(uint32_t h, struct terse_str s) {
    const uint64_t k = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t sum = (h + s.n) * k, w = 0;
    for (size_t i = 0; i + 8 < s.n; i += 8) {
        memcpy(&w, s.p + i, 8);
        sum = (sum ^ w) * k;
        sum ^= sum >> 29;
    }
    if (s.n >= 8)
        memcpy(&w, s.p + s.n - 8, 8); /* some of them again */
    else
        for (size_t i = 0; i < s.n; i++)
            w = w << 8 | (uint8_t)s.p[i];
    return (uint32_t)((sum ^ w) * k >> 32);
}

static inline uint32_t str_hash(struct terse_str s) {
    return str_hash_from(UINT32_C(2166136261), s);
}

/* The same in two bytes, for a table that is small. */
static inline uint16_t str_hash16(struct terse_str s) {
    uint32_t h = str_hash(s);
    return (uint16_t)(h ^ h >> 16);
}

#endif
