/*
 * ident.c: see ident.h. The number N is a stack of digits in mixed radix, the
 * first on top: to pop one of radix r is to take N mod r and to divide by r. Of
 * each run the head is popped first, then its length (but of the last), then
 * its characters. Those of the last are digits from 1 up, so that N is 0 behind
 * the last of them and nowhere before, and its length costs nothing.
 */
#include "ident.h"

#include <string.h>

enum {
    CLASSES = 7,
    HEADS = 2 * CLASSES, /* a class; + CLASSES if another run follows */
    RUN = 32,            /* characters of a run that another follows */
    LIMBS = IDENT_BYTES / 4,
};

/* Most classes are the first so many of these. */
static const char order[] = "0123456789abcdefghijklmnopqrstuvwxyz"
                            "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
                            " !\"#$%&'()*+,./:;<=>?@[\\]^`{|}~";

struct class {
    const char *chars;
    uint32_t radix;  /* how many there are */
    uint32_t digits; /* as many go into 32 bits */
    uint32_t cost;   /* of a character, in 1/256 bit */
};

static const struct class classes[CLASSES] = {
    {order, 10, 9, 850},
    {order, 16, 7, 1024},
    {"0123456789abcdef-", 17, 7, 1046},
    {"0123456789ABCDEF-", 17, 7, 1046},
    {order, 36, 6, 1324},
    {order, 64, 5, 1536},
    {order, 95, 4, 1682},
};

/* What one run more costs, in 1/256 bit: HEADS and RUN. */
enum { RUN_COST = 975 + 1280 };
static const uint32_t NEVER = UINT32_C(1) << 30; /* a bit above all costs */

/* radix to the power of n <= its digits. */
static uint32_t power(uint32_t radix, size_t n) {
    uint32_t p = 1;
    while (n-- > 0)
        p *= radix;
    return p;
}

/* ---- the number -----------------------------------------------------------
 */

struct big {
    uint32_t limb[LIMBS]; /* the least first */
    size_t n;             /* of limbs; the last is not 0 */
};

/* Pushes a digit. False if it became too large. */
static bool push(struct big *b, uint32_t radix, uint64_t digit) {
    uint64_t carry = digit;
    for (size_t i = 0; i < b->n; i++) {
        carry += (uint64_t)b->limb[i] * radix;
        b->limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
    for (; carry > 0; carry >>= 32) {
        if (b->n == LIMBS)
            return false;
        b->limb[b->n++] = (uint32_t)carry;
    }
    return true;
}

static uint32_t pop(struct big *b, uint32_t radix) {
    uint64_t rest = 0;
    for (size_t i = b->n; i-- > 0;) {
        rest = rest << 32 | b->limb[i];
        b->limb[i] = (uint32_t)(rest / radix);
        rest %= radix;
    }
    while (b->n > 0 && b->limb[b->n - 1] == 0)
        b->n--;
    return (uint32_t)rest;
}

/* b is at least v. */
static void subtract(struct big *b, uint32_t v) {
    for (size_t i = 0; v > 0; i++) {
        uint32_t less = b->limb[i] - v;
        v = less > b->limb[i];
        b->limb[i] = less;
    }
    while (b->n > 0 && b->limb[b->n - 1] == 0)
        b->n--;
}

/* The n digits 1, as which n digits of a last run are more than of others. */
static uint32_t ones(uint32_t radix, size_t n) {
    return (uint32_t)((power(radix, n) - UINT64_C(1)) / (radix - 1));
}

/* ---- characters -----------------------------------------------------------
 */

/* The places of ' ' to '~' in `order`. Tables, since characters of an id are
 * random, so that branches on them would be guessed wrong. */
static const uint8_t places[] = {
    64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 62, 77, 78, 0,  1,  2,
    3,  4,  5,  6,  7,  8,  9,  79, 80, 81, 82, 83, 84, 85, 36, 37, 38, 39, 40,
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59,
    60, 61, 86, 87, 88, 89, 63, 90, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
    21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 91, 92, 93, 94,
};

/* By place: which of these kinds a character is of. */
static const char kinds[] = "0000000000"
                            "111111"
                            "22222222222222222222"
                            "333333"
                            "44444444444444444444"
                            "5"
                            "6"
                            "7777777777777777777777777777777";

/* The classes as bits, in their order. */
enum {
    DECIMAL = 1,
    HEX = 2,
    HEX_DASH = 4,
    UPPER_DASH = 8,
    BASE36 = 16,
    BASE64 = 32,
    ASCII = 64,
};

/* Classes that have the characters of a kind, and those that are worth a try
 * where there is one, since no smaller class has it. */
static const struct {
    uint8_t has, worth;
} kind_bits[] = {
    {DECIMAL | HEX | HEX_DASH | UPPER_DASH | BASE36 | BASE64 | ASCII, DECIMAL},
    {HEX | HEX_DASH | BASE36 | BASE64 | ASCII, HEX},
    {BASE36 | BASE64 | ASCII, BASE36},
    {UPPER_DASH | BASE64 | ASCII, UPPER_DASH | BASE64},
    {BASE64 | ASCII, BASE64},
    {HEX_DASH | UPPER_DASH | BASE64 | ASCII, HEX_DASH | BASE64},
    {BASE64 | ASCII, BASE64},
    {ASCII, ASCII},
};

static uint32_t kind_of(uint32_t place) {
    return (uint32_t)(kinds[place] - '0');
}

/* The digit of the character at a place of `order` in a class that has it. */
static uint32_t digit_of(const struct class *class, uint32_t place) {
    if (class->chars == order || place < 16)
        return place;
    return place == 62 ? class->radix - 1 : place - 26;
}

/* ---- cutting --------------------------------------------------------------
 */

struct run {
    uint8_t class, n;
};

/* An id and where it is cut. */
struct cut {
    size_t n;
    uint8_t place[IDENT_CHARS];
    size_t n_runs;
    struct run runs[IDENT_CHARS];
};

static uint32_t has_at(const struct cut *c, size_t i) {
    return kind_bits[kind_of(c->place[i])].has;
}

static void add_run(struct cut *c, uint32_t class, size_t n) {
    c->runs[c->n_runs++] = (struct run){(uint8_t) class, (uint8_t)n};
}

/* The smallest of the classes `bits`, of which there is one at least. */
static uint32_t smallest(uint32_t bits) {
    return (uint32_t)__builtin_ctz(bits);
}

/* Cuts into two parts at most, each in its smallest class. False if one would
 * be that of all characters: then it has some that are better apart. */
static bool cut_in_two(struct cut *c) {
    uint8_t behind[IDENT_CHARS];
    uint32_t bits = UINT32_MAX, n = (uint32_t)c->n, first = 0, at = n;
    do { /* n > 0 */
        at--;
        behind[at] = (uint8_t)smallest(bits &= has_at(c, at));
    } while (at > 0);
    uint32_t best = n * classes[behind[0]].cost;
    bits = UINT32_MAX;
    for (uint32_t i = 1; i < n && best > n * classes[0].cost + RUN_COST; i++) {
        uint32_t class = smallest(bits &= has_at(c, i - 1));
        uint32_t cost = i * classes[class].cost +
                        ((i - 1) / RUN + 1) * RUN_COST +
                        (n - i) * classes[behind[i]].cost;
        if (cost < best) {
            best = cost;
            at = i;
            first = class;
        }
    }
    for (uint32_t i = 0; i < at; i += RUN)
        add_run(c, first, at - i < RUN ? at - i : RUN);
    add_run(c, behind[at], n - at);
    return first < CLASSES - 1 && behind[at] < CLASSES - 1;
}

/* What it costs from here to the end, if this is in a run of a class. */
struct way {
    uint32_t class;
    uint32_t last; /* where it is the last run */
    uint32_t cost; /* where it is not, */
    size_t end;    /* and reaches to here at most */
};

/* The ways from each character to the end. */
struct ways {
    uint32_t n;
    struct way of[CLASSES];
    uint8_t class[IDENT_CHARS]; /* the best of a run that begins here */
    bool last[IDENT_CHARS];     /* which is the last, so reaches to the end */
    uint8_t ends[IDENT_CHARS];  /* bits: of classes whose run, if it is not the
                                   last, best ends with this character */
};

static uint32_t least(const struct way *way) {
    return way->last <= way->cost ? way->last : way->cost;
}

/* Goes one character back to i, which the classes `bits` have; `then` is what
 * another run behind it costs. */
static void go_back(struct ways *w, size_t i, uint32_t bits, uint32_t then) {
    uint32_t ends = 0;
    for (struct way *way = w->of; way < w->of + w->n; way++) {
        uint32_t not_in = bits & 1u << way->class ? 0 : NEVER;
        bool ended = (then < way->cost) | (way->end - i > RUN);
        ends |= (uint32_t)ended << way->class;
        way->end = ended ? i + 1 : way->end;
        way->cost = ended ? then : way->cost;
        way->cost = (way->cost + classes[way->class].cost) | not_in;
        way->last = (way->last + classes[way->class].cost) | not_in;
    }
    w->ends[i] = (uint8_t)ends;
}

/* The end of the run that begins at i. */
static size_t run_end(const struct ways *w, size_t i, size_t n) {
    uint32_t bit = 1u << w->class[i];
    if (w->last[i])
        return n;
    while (!(w->ends[i] & bit))
        i++;
    return i + 1;
}

/* Cuts into any number of runs; worth: the classes to try. */
static void cut_in_many(struct cut *c, uint32_t worth) {
    struct ways w = {.n = 0};
    uint32_t then = NEVER;
    for (uint32_t k = 0; k < CLASSES; k++)
        if (worth & 1u << k)
            w.of[w.n++] = (struct way){.class = k, .cost = NEVER, .end = c->n};
    for (size_t i = c->n; i-- > 0;) {
        const struct way *best = w.of;
        go_back(&w, i, has_at(c, i), then);
        for (uint32_t k = 1; k < w.n; k++)
            if (least(&w.of[k]) < least(best))
                best = &w.of[k];
        w.class[i] = (uint8_t)best->class;
        w.last[i] = best->last <= best->cost;
        then = least(best) + RUN_COST;
    }
    c->n_runs = 0;
    for (size_t i = 0, end; i < c->n; i = end) {
        end = run_end(&w, i, c->n);
        add_run(c, w.class[i], end - i);
    }
}

/* False if a character is of no class. */
static bool find_cut(struct cut *c, struct terse_str s) {
    uint32_t worth = 0;
    c->n = s.n;
    c->n_runs = 0;
    for (size_t i = 0; i < s.n; i++) {
        uint32_t ascii = (uint8_t)s.p[i] - (uint32_t)' ';
        if (ascii >= sizeof(places))
            return false;
        c->place[i] = places[ascii];
        worth |= kind_bits[kind_of(c->place[i])].worth;
    }
    if (!cut_in_two(c))
        cut_in_many(c, worth);
    return true;
}

/* ---- writing --------------------------------------------------------------
 */

/* Pushes the characters from `from` to `to`; last: of the last run. */
static bool push_chars(struct big *b, const struct cut *c, uint32_t class,
                       size_t from, size_t to, bool last) {
    const struct class *k = &classes[class];
    while (to > from) {
        size_t n = (to - from - 1) % k->digits + 1;
        uint64_t digits = 0;
        for (size_t i = to; i-- > to - n;)
            digits = digits * k->radix + digit_of(k, c->place[i]) + last;
        if (!push(b, power(k->radix, n), digits))
            return false;
        to -= n;
    }
    return true;
}

static bool push_run(struct big *b, const struct cut *c, uint32_t class,
                     size_t from, size_t to, bool last) {
    if (!push_chars(b, c, class, from, to, last))
        return false;
    if (last)
        return push(b, HEADS, class);
    return push(b, RUN, to - from - 1) && push(b, HEADS, CLASSES + class);
}

static bool push_runs(struct big *b, const struct cut *c) {
    size_t end = c->n;
    for (size_t i = c->n_runs; i-- > 0; end -= c->runs[i].n)
        if (!push_run(b, c, c->runs[i].class, end - c->runs[i].n, end,
                      end == c->n))
            return false;
    return true;
}

size_t ident_encode(struct terse_str s, uint8_t *out, size_t cap) {
    struct cut c;
    struct big b;
    b.n = 0;
    if (s.n == 0 || s.n > IDENT_CHARS || !find_cut(&c, s) || !push_runs(&b, &c))
        return 0;
    size_t n = b.n * 4;
    for (uint32_t top = b.limb[b.n - 1]; top < 1u << 24; top <<= 8)
        n--;
    if (n > cap)
        return 0;
    for (size_t i = 0; i < n; i++)
        out[cap - 1 - i] = (uint8_t)(b.limb[i / 4] >> i % 4 * 8);
    return n;
}

/* ---- reading --------------------------------------------------------------
 */

static void put_chars(const struct class *class, uint32_t digits, size_t n,
                      char *out) {
    for (size_t i = 0; i < n; i++) {
        out[i] = class->chars[digits % class->radix];
        digits /= class->radix;
    }
}

static void pop_run(struct big *b, const struct class *class, size_t n,
                    char *out) {
    while (n > 0) {
        size_t some = n < class->digits ? n : class->digits;
        put_chars(class, pop(b, power(class->radix, some)), some, out);
        out += some;
        n -= some;
    }
}

/* Its characters; their number, 0 if there are none or more than `room`. */
static size_t pop_last_run(struct big *b, const struct class *class,
                           size_t room, char *out) {
    size_t n = 0, some = class->digits;
    while (b->n > 2) { /* so there are more than `some` */
        if (room - n < some)
            return 0;
        subtract(b, ones(class->radix, some));
        put_chars(class, pop(b, power(class->radix, some)), some, out + n);
        n += some;
    }
    uint64_t rest = b->n > 0 ? b->limb[0] : 0;
    if (b->n > 1)
        rest |= (uint64_t)b->limb[1] << 32;
    for (; rest > 0; rest /= class->radix) {
        if (n == room)
            return 0;
        out[n++] = class->chars[--rest % class->radix];
    }
    return n;
}

static bool take_bytes(struct big *b, struct terse_str bytes) {
    if (bytes.n == 0 || bytes.n > IDENT_BYTES || bytes.p[0] == 0)
        return false;
    b->n = (bytes.n + 3) / 4;
    memset(b->limb, 0, b->n * sizeof(b->limb[0]));
    for (size_t i = 0; i < bytes.n; i++)
        b->limb[i / 4] |= (uint32_t)(uint8_t)bytes.p[bytes.n - 1 - i]
                          << i % 4 * 8;
    return true;
}

size_t ident_decode(struct terse_str bytes, char out[IDENT_CHARS]) {
    struct big b;
    if (!take_bytes(&b, bytes))
        return 0;
    for (size_t n = 0; b.n > 0;) {
        uint32_t head = pop(&b, HEADS);
        const struct class *class = &classes[head % CLASSES];
        if (head < CLASSES) {
            size_t last = pop_last_run(&b, class, IDENT_CHARS - n, out + n);
            return last > 0 ? n + last : 0;
        }
        size_t run = pop(&b, RUN) + 1;
        if (run > IDENT_CHARS - n)
            return 0;
        pop_run(&b, class, run, out + n);
        n += run;
    }
    return 0; /* no last run */
}
