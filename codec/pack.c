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

/* Whether `piece` begins s, whose first byte is the same. */
static bool begins(uint32_t piece, struct terse_str s) {
    struct terse_str t = piece_text(piece);
    size_t i = 1;
    while (i < t.n && i < s.n && t.p[i] == s.p[i])
        i++;
    return i == t.n;
}

/* Whether `piece`, whose first byte is that of s, is not behind s in the order
 * of bytes. They mostly differ in the second or third, so no memcmp. */
static bool not_behind(uint32_t piece, struct terse_str s) {
    struct terse_str t = piece_text(piece);
    for (size_t i = 1; i < t.n; i++)
        if (i == s.n || t.p[i] != s.p[i])
            return i < s.n && (uint8_t)t.p[i] < (uint8_t)s.p[i];
    return true;
}

/* The last of pieces low .. high - 1 that is not behind s, where that of low is
 * not. */
static uint32_t last_not_behind(uint32_t low, uint32_t high,
                                struct terse_str s) {
    while (high - low > 1) {
        uint32_t mid = (low + high) / 2;
        if (not_behind(mid, s))
            low = mid;
        else
            high = mid;
    }
    return low;
}

/* The same of pieces that all begin with the first two bytes of s, by their
 * keys; `none` if all are behind s. No branch: a guess would be wrong half the
 * time. */
static uint32_t last_by_key(uint32_t low, uint32_t high, struct terse_str s,
                            uint32_t none) {
    uint32_t key = 0, at = low;
    for (size_t i = 2; i < 6; i++)
        key = key << 8 | (i < s.n ? (uint8_t)s.p[i] : 0);
    for (uint32_t n = high - low; n > 1;) {
        uint32_t half = n / 2;
        at += half & -(uint32_t)(pack_key[at + half] <= key);
        n -= half;
    }
    if (pack_key[at] != key)
        return pack_key[at] < key ? at : none;
    while (!not_behind(at, s)) /* they may differ in what is no key */
        if (at-- == low)
            return none;
    return at;
}

static bool in_two(uint8_t byte) { return byte >= 0x20 && byte < 0x80; }

/* The longest piece that begins s (not empty). Every piece that begins s is
 * this one or one of its pack_shorter. */
static uint32_t longest(struct terse_str s) {
    uint32_t byte = (uint8_t)s.p[0], piece = pack_by_byte[byte];
    if (s.n == 1)
        return piece;
    if (in_two((uint8_t)byte) && in_two((uint8_t)s.p[1])) {
        const uint16_t *two =
            &pack_by_two[(byte - 0x20) * 0x61 + (uint8_t)s.p[1] - 0x20];
        if (two[0] < two[1])
            piece = last_by_key(two[0], two[1], s, piece);
    } else {
        uint32_t high = byte < 255 ? pack_by_byte[byte + 1] : pack_size.pieces;
        piece = last_not_behind(piece, high, s);
    }
    while (!begins(piece, s))
        piece = pack_shorter[piece] - 1u;
    return piece;
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
};

struct cut {
    struct way ways[BLOCK + 1];
    uint16_t pieces[BLOCK];
};

/* The cheapest piece to begin with at a byte, of `piece` and those that it
 * begins with. Each byte is one piece at least. */
static struct way cheapest(const struct cut *c, size_t at, uint32_t piece) {
    struct way best = {.cost = UINT32_MAX};
    for (uint32_t i = piece + 1; i > 0; i = pack_shorter[i - 1]) {
        const struct way *then = &c->ways[at + piece_text(i - 1).n];
        uint32_t class = pack_class[i - 1];
        uint32_t cost =
            then->cost + pack_cost[i - 1] +
            pack_class_cost[class * pack_size.classes + then->class];
        if (cost < best.cost)
            best = (struct way){cost, (uint16_t)(i - 1), (uint8_t) class};
    }
    return best;
}

/* Cuts s (at most BLOCK bytes), behind which class `then` follows. The number
 * of pieces. */
static size_t cut(struct cut *c, struct terse_str s, uint8_t then) {
    c->ways[s.n] = (struct way){.class = then};
    /* First all of these: none waits for another, so a processor finds some at
     * a time. */
    for (size_t i = 0; i < s.n; i++)
        c->pieces[i] = (uint16_t)longest((struct terse_str){s.p + i, s.n - i});
    for (size_t i = s.n; i-- > 0;)
        c->ways[i] = cheapest(c, i, c->pieces[i]);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i += piece_text(c->ways[i].piece).n)
        c->pieces[n++] = c->ways[i].piece;
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
        uint32_t piece = c->pieces[n];
        put_class(w, pack_class[piece], *then);
        put(w, pack_start[piece], pack_last[piece] + UINT32_C(1));
        *then = pack_class[piece];
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
