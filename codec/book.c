/* book.c: see book.h. */
#include "book.h"

#include <stdlib.h>
#include <string.h>

#include "str.h"

enum {
    LANES = 8, /* hashes that are looked at together */
    GROW_ENTRIES = LANES,
    GROW_BYTES = 64,
    PER_BYTE = 96, /* what one byte from 20h to 7fh tells apart */
};

void book_fini(struct book *b) {
    free(b->hashes);
    free(b->bytes);
    *b = (struct book){0};
}

bool book_has_room(const struct book *b, size_t n) {
    return b->n < BOOK_MAX && n <= BOOK_TEXT_MAX &&
           b->bytes_n + n <= UINT16_MAX && b->budget->max >= BOOK_BUDGET_MIN &&
           budget_has(b->budget, 0, n + BOOK_ENTRY_COST);
}

/* Where the bytes of each entry end. */
static uint16_t *ends_of(const struct book *b) {
    return b->hashes + b->entries_cap;
}

static bool more_entries(struct book *b) {
    uint32_t cap = b->entries_cap + GROW_ENTRIES;
    uint16_t *more = realloc(b->hashes, cap * 2 * sizeof(*more));
    if (!more)
        return false;
    memmove(more + cap, more + b->entries_cap, b->n * sizeof(*more));
    memset(more + b->n, 0, (cap - b->n) * sizeof(*more));
    b->hashes = more;
    b->entries_cap = cap;
    return true;
}

enum terse_err book_add(struct book *b, struct terse_str came,
                        struct terse_str text) {
    if (b->n == b->entries_cap && !more_entries(b))
        return TERSE_ENOMEM;
    if (b->bytes_n + came.n > b->bytes_cap) {
        uint32_t cap = b->bytes_n + (uint32_t)came.n + GROW_BYTES;
        char *more = realloc(b->bytes, cap);
        if (!more)
            return TERSE_ENOMEM;
        b->bytes = more;
        b->bytes_cap = cap;
    }
    if (came.n > 0)
        memcpy(b->bytes + b->bytes_n, came.p, came.n);
    b->bytes_n += (uint32_t)came.n;
    b->budget->now += (uint32_t)came.n + BOOK_ENTRY_COST;
    b->hashes[b->n] = str_hash16(text);
    ends_of(b)[b->n++] = (uint16_t)b->bytes_n;
    return TERSE_OK;
}

void book_drop_last(struct book *b) {
    uint32_t had = b->bytes_n;
    b->n--;
    b->bytes_n = b->n > 0 ? ends_of(b)[b->n - 1] : 0;
    b->budget->now -= had - b->bytes_n + BOOK_ENTRY_COST;
}

size_t book_put_ref(uint8_t mark, uint32_t i, char out[3]) {
    out[0] = (char)mark;
    if (i < BOOK_NEAR_ENTRIES) {
        out[1] = (char)(BOOK_FIRST + i);
        return 2;
    }
    i -= BOOK_NEAR_ENTRIES;
    out[1] = (char)(BOOK_FAR + i / PER_BYTE);
    out[2] = (char)(BOOK_FIRST + i % PER_BYTE);
    return 3;
}

bool book_read_ref(struct terse_str text, size_t *at, uint32_t *i) {
    if (*at + 1 >= text.n)
        return false;
    uint8_t c = (uint8_t)text.p[*at + 1];
    if (c < BOOK_FIRST || c > 0x7f)
        return false;
    if (c < BOOK_FAR) {
        *i = (uint32_t)(c - BOOK_FIRST);
        *at += 2;
        return true;
    }
    if (*at + 2 >= text.n)
        return false;
    uint8_t d = (uint8_t)text.p[*at + 2];
    if (d < BOOK_FIRST || d > 0x7f)
        return false;
    *i = BOOK_NEAR_ENTRIES + (uint32_t)(c - BOOK_FAR) * PER_BYTE + d -
         BOOK_FIRST;
    *at += 3;
    return true;
}

static struct terse_str came_as(const struct book *b, uint32_t i) {
    const uint16_t *ends = ends_of(b);
    uint32_t from = i > 0 ? ends[i - 1] : 0;
    return (struct terse_str){b->bytes + from, ends[i] - from};
}

static bool is_mark(char c) { return c == BOOK_OWN || c == BOOK_OTHER; }

/* Where the next reference behind `at` is, or the end. */
static size_t next_mark(struct terse_str s, size_t at) {
    while (at < s.n && !is_mark(s.p[at]))
        at++;
    return at;
}

/* Appends entry i to out, of which *n bytes are filled. */
static bool expand(const struct book *b, const struct book *other, uint32_t i,
                   char *out, size_t *n, unsigned depth) {
    if (!b || i >= b->n || depth > BOOK_DEPTH_MAX)
        return false;
    struct terse_str s = came_as(b, i);
    for (size_t at = 0; at < s.n;) {
        uint32_t to;
        size_t from = at;
        at = next_mark(s, at);
        if (at - from > BOOK_TEXT_MAX - *n)
            return false;
        memcpy(out + *n, s.p + from, at - from);
        *n += at - from;
        if (at == s.n)
            break;
        bool own = s.p[at] == BOOK_OWN;
        if (!book_read_ref(s, &at, &to) ||
            !expand(own ? b : other, own ? other : b, to, out, n, depth + 1))
            return false;
    }
    return true;
}

int book_expand(const struct book *b, const struct book *other, uint32_t i,
                char out[BOOK_TEXT_MAX]) {
    size_t n = 0;
    return expand(b, other, i, out, &n, 1) ? (int)n : -1;
}

unsigned book_depth(const struct book *b, const struct book *other,
                    uint32_t i) {
    unsigned deepest = 0;
    struct terse_str s = came_as(b, i);
    for (size_t at = 0; at < s.n;) {
        uint32_t to;
        bool own = s.p[at] == BOOK_OWN;
        if (!is_mark(s.p[at]) || !book_read_ref(s, &at, &to)) {
            at++;
            continue;
        }
        unsigned depth = book_depth(own ? b : other, own ? other : b, to);
        if (depth > deepest)
            deepest = depth;
    }
    return deepest + 1;
}

/* Whether *text begins with what entry i stands for; takes that off it. */
static bool begins(const struct book *b, const struct book *other, uint32_t i,
                   struct terse_str *text, unsigned depth) {
    if (!b || i >= b->n || depth > BOOK_DEPTH_MAX)
        return false;
    struct terse_str s = came_as(b, i);
    for (size_t at = 0; at < s.n;) {
        uint32_t to;
        size_t from = at;
        at = next_mark(s, at);
        if (at - from > text->n || memcmp(text->p, s.p + from, at - from) != 0)
            return false;
        text->p += at - from;
        text->n -= at - from;
        if (at == s.n)
            break;
        bool own = s.p[at] == BOOK_OWN;
        if (!book_read_ref(s, &at, &to) ||
            !begins(own ? b : other, own ? other : b, to, text, depth + 1))
            return false;
    }
    return true;
}

/* What gcc and clang have for vectors: see xml_scan.c. */
typedef uint16_t lanes __attribute__((vector_size(LANES * 2)));

/* The first entry from i on that has this hash, b->n if there is none. */
static uint32_t next_like(const struct book *b, uint32_t i, uint16_t hash) {
    uint64_t found[2] = {0, 0};
    for (; i < b->n && i % LANES == 0; i += LANES) {
        lanes v;
        memcpy(&v, b->hashes + i, sizeof(v));
        v = (lanes)(v == hash);
        memcpy(found, &v, sizeof(v));
        if (found[0] | found[1])
            break;
    }
    while (i < b->n && b->hashes[i] != hash)
        i++;
    return i < b->n ? i : b->n;
}

int book_find(const struct book *b, const struct book *other,
              struct terse_str text) {
    if (!b || b->n == 0 || text.n > BOOK_TEXT_MAX)
        return -1;
    uint16_t h = str_hash16(text);
    for (uint32_t i = next_like(b, 0, h); i < b->n;
         i = next_like(b, i + 1, h)) {
        struct terse_str rest = text;
        if (begins(b, other, i, &rest, 1) && rest.n == 0)
            return (int)i;
    }
    return -1;
}
