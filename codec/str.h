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

#endif
