/* slots.c: see slots.h. */
#include "slots.h"

#include <stdlib.h>
#include <string.h>

#include "str.h"

enum {
    DIRECT_LOW = 0x01,  /* ... 0x08: slots 0-7 */
    DIRECT_HIGH = 0x0e, /* ... 0x19: slots 8-19 */
    REF_A = 0x1a,
    REF_B = 0x1b,
    DEFINE_A = 0x1c,
    DEFINE_B = 0x1d,
    DIRECT = 20,   /* slots that one character names */
    PER_MARK = 96, /* slots that one mark and a character name */
    GROW = 16,     /* slots that are made at once */
    WORTH = 4,     /* shorter strings are not worth a slot */
};

enum terse_err slots_init(struct slots *s, uint32_t n, uint32_t bytes_max) {
    *s = (struct slots){.n = n < SLOTS_MAX ? n : SLOTS_MAX,
                        .bytes_max = bytes_max};
    return TERSE_OK;
}

/* Makes slot i (below n) one of those that are there. */
static enum terse_err reach(struct slots *s, uint32_t i) {
    if (i < s->have)
        return TERSE_OK;
    uint32_t have = (i / GROW + 1) * GROW;
    if (have > s->n)
        have = s->n;
    struct slot *more = realloc(s->slot, have * sizeof(*more));
    if (!more)
        return TERSE_ENOMEM;
    memset(more + s->have, 0, (have - s->have) * sizeof(*more));
    s->slot = more;
    s->have = have;
    return TERSE_OK;
}

void slots_fini(struct slots *s) {
    for (uint32_t i = 0; i < s->have; i++)
        free(s->slot[i].p);
    free(s->slot);
    *s = (struct slots){0};
}

static uint32_t hash(struct terse_str s) {
    uint32_t h = UINT32_C(2166136261);
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (uint8_t)s.p[i]) * UINT32_C(16777619);
    return h;
}

static void clear(struct slots *s, uint32_t i) {
    s->bytes -= s->slot[i].n;
    free(s->slot[i].p);
    s->slot[i] = (struct slot){0};
}

/* Puts text into slot i. On an error the slot is as it was. */
static enum terse_err set(struct slots *s, uint32_t i, struct terse_str text) {
    uint32_t had = i < s->have ? s->slot[i].n : 0;
    if (i >= s->n || text.n > SLOT_BYTES_MAX || text.n > s->bytes_max ||
        s->bytes - had > s->bytes_max - text.n)
        return TERSE_EFRAME;
    if (reach(s, i) != TERSE_OK)
        return TERSE_ENOMEM;
    char *p = malloc(text.n + 1);
    if (!p)
        return TERSE_ENOMEM;
    if (text.n > 0)
        memcpy(p, text.p, text.n);
    clear(s, i);
    s->slot[i] = (struct slot){p, (uint16_t)text.n, hash(text), 0};
    s->bytes += (uint32_t)text.n;
    return TERSE_OK;
}

/* ---- sender
 * ------------------------------------------------------------------ */

/* The slot that holds text, or -1. */
static int find(const struct slots *s, struct terse_str text) {
    if (text.n < WORTH)
        return -1;
    uint32_t h = hash(text);
    for (uint32_t i = 0; i < s->have; i++) {
        const struct slot *slot = &s->slot[i];
        if (slot->hash == h && slot->p &&
            str_eq((struct terse_str){slot->p, slot->n}, text))
            return (int)i;
    }
    return -1;
}

static enum terse_err put_ref(struct slots *s, int i, struct terse_buf *out) {
    char c[2] = {(char)(i < 8 ? DIRECT_LOW + i : DIRECT_HIGH + i - 8), 0};
    s->slot[i].used = ++s->clock;
    if (i < DIRECT)
        return terse_buf_append(out, c, 1);
    i -= DIRECT;
    c[0] = (char)(i < PER_MARK ? REF_A : REF_B);
    c[1] = (char)(0x20 + i % PER_MARK);
    return terse_buf_append(out, c, 2);
}

/* The parts of a JID (RFC 7622 section 3.1): [local@]domain[/resource]. */
static void split(struct terse_str jid, size_t *at, size_t *slash) {
    const char *p = memchr(jid.p, '/', jid.n);
    *slash = p ? (size_t)(p - jid.p) : jid.n;
    p = memchr(jid.p, '@', *slash);
    *at = p ? (size_t)(p - jid.p) + 1 : 0;
}

/* Appends text by its parts: the bare JID or the domain may have a slot. */
static enum terse_err put_parts(struct slots *s, struct terse_str text,
                                struct terse_buf *out) {
    size_t at, slash, from = 0, to;
    split(text, &at, &slash);
    int i = find(s, (struct terse_str){text.p, slash});
    if (i < 0) {
        i = find(s, (struct terse_str){text.p + at, slash - at});
        from = at;
    }
    to = i < 0 ? from : slash;
    if (i < 0)
        from = to = 0;
    enum terse_err err = terse_buf_append(out, text.p, from);
    if (err == TERSE_OK && i >= 0)
        err = put_ref(s, i, out);
    if (err == TERSE_OK)
        err = terse_buf_append(out, text.p + to, text.n - to);
    return err;
}

/* The slot for a new string of n bytes: a free one, else that which was not
 * used for the longest time, of those that leave enough bytes; -1 if there is
 * none. Nothing is ever cleared to make room, since the receiver could not
 * know. */
static int victim(const struct slots *s, size_t n) {
    int best = -1;
    for (uint32_t i = 0; i < s->have; i++) {
        const struct slot *slot = &s->slot[i];
        if (s->bytes - slot->n + n > s->bytes_max)
            continue;
        if (!slot->p)
            return (int)i;
        if (best < 0 || slot->used < s->slot[best].used)
            best = (int)i;
    }
    if (s->have < s->n && s->bytes + n <= s->bytes_max)
        return (int)s->have;
    return best;
}

static enum terse_err put_definition(struct slots *s, struct terse_str text,
                                     struct terse_buf *out) {
    int victim_slot = victim(s, text.n);
    if (victim_slot < 0)
        return put_parts(s, text, out);
    uint32_t i = (uint32_t)victim_slot;
    char c[2] = {(char)(i < PER_MARK ? DEFINE_A : DEFINE_B),
                 (char)(0x20 + i % PER_MARK)};
    size_t len = out->len;
    enum terse_err err = terse_buf_append(out, c, 2);
    if (err == TERSE_OK)
        err = put_parts(s, text, out);
    if (err == TERSE_OK)
        err = set(s, i, text);
    if (err == TERSE_OK)
        s->slot[i].used = ++s->clock;
    else
        out->len = len;
    return err;
}

enum terse_err slots_pack(struct slots *s, struct terse_str text, bool define,
                          struct terse_buf *out) {
    if (s->n == 0)
        return terse_buf_append(out, text.p, text.n);
    int i = find(s, text);
    if (i >= 0)
        return put_ref(s, i, out);
    if (define && text.n >= 2 * WORTH && text.n <= SLOT_BYTES_MAX &&
        text.n <= s->bytes_max)
        return put_definition(s, text, out);
    return put_parts(s, text, out);
}

/* ---- receiver
 * ---------------------------------------------------------------- */

/* Reads a mark at text[*at]: whether it is one, and the slot it names. */
static bool read_mark(struct terse_str text, size_t *at, uint32_t *slot) {
    uint8_t c = (uint8_t)text.p[*at];
    if (c >= DIRECT_LOW && c < DIRECT_LOW + 8) {
        *slot = c - DIRECT_LOW;
        *at += 1;
        return true;
    }
    if (c >= DIRECT_HIGH && c < DIRECT_HIGH + DIRECT - 8) {
        *slot = c - DIRECT_HIGH + 8u;
        *at += 1;
        return true;
    }
    if (c < REF_A || c > DEFINE_B || *at + 1 >= text.n)
        return false;
    uint8_t which = (uint8_t)text.p[*at + 1];
    if (which < 0x20 || which > 0x7f)
        return false;
    *slot = which - 0x20u + (c == REF_B || c == DEFINE_B ? PER_MARK : 0u) +
            (c == REF_A || c == REF_B ? DIRECT : 0u);
    *at += 2;
    return true;
}

static bool is_plain(char c) {
    return (uint8_t)c >= 0x20 || c == '\t' || c == '\n' || c == '\r';
}

enum terse_err slots_unpack(struct slots *s, struct terse_str text,
                            struct terse_buf *out) {
    size_t at = 0, len = out->len;
    uint32_t defined = 0, slot;
    bool define =
        text.n > 0 && (text.p[0] == DEFINE_A || text.p[0] == DEFINE_B);
    enum terse_err err = TERSE_OK;
    if (define && !read_mark(text, &at, &defined))
        return TERSE_EFRAME;
    while (at < text.n && err == TERSE_OK) {
        size_t from = at;
        while (at < text.n && is_plain(text.p[at]))
            at++;
        err = terse_buf_append(out, text.p + from, at - from);
        if (at == text.n || err != TERSE_OK)
            break;
        if (text.p[at] == DEFINE_A || text.p[at] == DEFINE_B ||
            !read_mark(text, &at, &slot) || slot >= s->have || !s->slot[slot].p)
            return TERSE_EFRAME;
        err = terse_buf_append(out, s->slot[slot].p, s->slot[slot].n);
    }
    if (err == TERSE_OK && define) {
        struct terse_str whole = {(const char *)terse_buf_data(out) + len,
                                  out->len - len};
        err = set(s, defined, whole);
    }
    return err;
}
