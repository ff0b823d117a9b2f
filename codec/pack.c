/*
 * pack.c: see pack.h. A text is cut into pieces; each piece is told by its
 * class, given the class before, and by its place in the class. Both are coded
 * by rANS, whose coder runs from the last symbol to the first.
 */
#include "pack.h"

#include <string.h>

#include "pack_model.h"

enum {
    ONE_BITS = 16,  /* shares are of 1 << ONE_BITS */
    BLOCK = 512,    /* bytes that are cut at once */
    LOW = 1u << 24, /* the state is below 256 * LOW, and below LOW only where
                       no byte is left to be read */
};

static const uint32_t ONE = UINT32_C(1) << ONE_BITS;

/* ---- the model ------------------------------------------------------------
 */

static struct terse_str piece_text(uint32_t piece) {
    return (struct terse_str){(const char *)pack_text + pack_at[piece],
                              (size_t)pack_at[piece + 1] - pack_at[piece]};
}

static uint32_t class_start(uint32_t after, uint32_t class) {
    return class < pack_size.classes
               ? pack_class_start[after * pack_size.classes + class]
               : ONE;
}

/* ---- cutting --------------------------------------------------------------
 */

/* The cheapest way from a byte to the end that was found: its first piece. What
 * comes in front of it may cost more by its class; to keep more than one way
 * for each byte gains less than a thousandth. */
struct way {
    uint32_t cost;
    uint16_t piece;
    uint8_t class; /* of piece; at the end of the block: what follows */
    uint8_t n;     /* bytes of piece */
};

struct cut {
    struct way ways[BLOCK + 1];
    const struct way *taken[BLOCK];
};

/* The cheapest piece to begin with at s.p[at], the longest of those. Each byte
 * is one piece at least. */
static struct way cheapest(const struct cut *c, struct terse_str s, size_t at) {
    struct way best = {.cost = UINT32_MAX};
    uint32_t node = (uint8_t)s.p[at], next;
    for (size_t n = 1;; n++, node = next) {
        const struct pack_node *here = &pack_trie[node];
        const struct way *then = &c->ways[at + n];
        uint32_t cost =
            then->cost + here->cost +
            pack_class_cost[here->class * pack_size.classes + then->class];
        if (here->piece > 0 && cost <= best.cost)
            best = (struct way){cost, (uint16_t)(here->piece - 1), here->class,
                                (uint8_t)n};
        if (at + n == s.n)
            return best;
        next = here->base + (uint32_t)(uint8_t)s.p[at + n];
        if (pack_trie[next].check != node)
            return best;
    }
}

/* Cuts s (at most BLOCK bytes), behind which class `then` follows. The number
 * of pieces. */
static size_t cut(struct cut *c, struct terse_str s, uint8_t then) {
    c->ways[s.n] = (struct way){.class = then};
    for (size_t i = s.n; i-- > 0;)
        c->ways[i] = cheapest(c, s, i);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i += c->ways[i].n)
        c->taken[n++] = &c->ways[i];
    return n;
}

/* ---- coding ---------------------------------------------------------------
 */

struct writer {
    uint8_t *start, *p; /* p goes down to start */
    uint32_t x;
    bool full;
};

static void put_byte(struct writer *w) {
    w->full |= w->p == w->start;
    if (!w->full)
        *--w->p = (uint8_t)w->x;
    w->x >>= 8;
}

static void put(struct writer *w, uint32_t start, uint32_t share) {
    while (w->x >= (uint64_t)share << ONE_BITS)
        put_byte(w);
    w->x = (w->x / share << ONE_BITS) + w->x % share + start;
}

static void put_class(struct writer *w, uint32_t after, uint32_t class) {
    uint32_t start = class_start(after, class);
    put(w, start, class_start(after, class + 1) - start);
}

/* Writes the pieces of one block from the last to the first. *then is the class
 * behind it, then that of its first piece. */
static void put_block(struct writer *w, struct cut *c, struct terse_str s,
                      uint8_t *then) {
    for (size_t n = cut(c, s, *then); n-- > 0;) {
        const struct way *way = c->taken[n];
        put_class(w, way->class, *then);
        put(w, pack_start[way->piece], pack_last[way->piece] + UINT32_C(1));
        *then = way->class;
    }
}

size_t pack_encode(struct terse_str text, uint8_t *out, size_t cap) {
    struct writer w = {.start = out, .p = out + cap};
    struct cut c;
    uint8_t then = 0;
    for (size_t end = text.n; end > 0 && !w.full;) {
        size_t n = end < BLOCK ? end : BLOCK;
        end -= n;
        put_block(&w, &c, (struct terse_str){text.p + end, n}, &then);
    }
    if (text.n > 0)
        put_class(&w, 0, then);
    while (w.x > 0)
        put_byte(&w);
    size_t n = (size_t)(out + cap - w.p);
    return w.full || text.n / PACK_RATIO > n ? 0 : n;
}

/* ---- reading --------------------------------------------------------------
 */

static void refill(struct pack_reader *r) {
    while (r->x < LOW && r->p < r->end)
        r->x = r->x << 8 | *r->p++;
}

/* Takes the symbol out whose shares r->x points into. */
static void take(struct pack_reader *r, uint32_t start, uint32_t share) {
    r->x = share * (r->x >> ONE_BITS) + (r->x & (ONE - 1)) - start;
    refill(r);
}

/* The last of starts[low .. high] that is not behind `slot`; that of low is
 * not. No branch: a guess would be wrong half the time. */
static uint32_t last_start(const uint16_t *starts, uint32_t low, uint32_t high,
                           uint32_t slot) {
    uint32_t n = high - low + 1;
    while (n > 1) {
        uint32_t half = n / 2;
        low += half & -(uint32_t)(starts[low + half] <= slot);
        n -= half;
    }
    return low;
}

static uint32_t take_class(struct pack_reader *r) {
    uint32_t slot = r->x & (ONE - 1), part = slot / (ONE / PACK_SLOTS);
    const uint8_t *near = &pack_class_near[r->class * (PACK_SLOTS + 1) + part];
    uint32_t class = last_start(pack_class_start + r->class * pack_size.classes,
                                near[0], near[1], slot);
    uint32_t start = class_start(r->class, class);
    take(r, start, class_start(r->class, class + 1) - start);
    return class;
}

static uint32_t take_piece(struct pack_reader *r) {
    uint32_t slot = r->x & (ONE - 1), part = slot / (ONE / PACK_SLOTS);
    const uint16_t *near =
        &pack_member_near[r->class * (PACK_SLOTS + 1) + part];
    uint32_t at = last_start(pack_member_start, near[0], near[1], slot);
    uint32_t piece = pack_members[at];
    take(r, pack_member_start[at], pack_last[piece] + UINT32_C(1));
    return piece;
}

bool pack_begin(struct pack_reader *r, struct terse_str packed) {
    const uint8_t *p = (const uint8_t *)packed.p;
    *r = (struct pack_reader){.p = p, .end = p + packed.n};
    if (packed.n == 0 || p[0] == 0 || packed.n > UINT32_MAX / PACK_RATIO - 1)
        return false;
    r->room = (uint32_t)(packed.n + 1) * PACK_RATIO - 1;
    refill(r);
    return true;
}

bool pack_next(struct pack_reader *r, struct terse_str *piece) {
    r->class = (uint8_t)take_class(r);
    *piece = (struct terse_str){"", 0};
    if (r->class == 0)
        return r->x == 0 && r->p == r->end;
    *piece = piece_text(take_piece(r));
    if (piece->n > r->room)
        return false;
    r->room -= (uint32_t)piece->n;
    return true;
}

bool pack_decode(struct terse_str packed, char *out, size_t cap, size_t *n) {
    struct pack_reader r;
    struct terse_str piece;
    *n = 0;
    if (!pack_begin(&r, packed))
        return false;
    for (;;) {
        if (!pack_next(&r, &piece) || piece.n > cap - *n)
            return false;
        if (piece.n == 0)
            return true;
        memcpy(out + *n, piece.p, piece.n);
        *n += piece.n;
    }
}
