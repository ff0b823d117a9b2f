/* strings.c: see strings.h. */
#include "strings.h"

#include <string.h>

#include "str.h"

enum {
    DIRECT_LOW = 0x01,  /* ... 0x08: slots 0-7 */
    DIRECT_HIGH = 0x0e, /* ... 0x18: slots 8-18 */
    ENTER = 0x19,
    REF_A = 0x1a,
    REF_B = 0x1b,
    DEFINE_A = 0x1c,
    DEFINE_B = 0x1d,
    DIRECT = 19,    /* slots that one character names */
    PER_MARK = 96,  /* slots that one mark and a character name */
    WORTH_SLOT = 8, /* bytes: shorter strings are not worth remembering */
    WORTH_ENTRY = 6,
    STEM_LEAST = 4,
};

static bool is_plain(char c) {
    return (uint8_t)c >= 0x20 || c == '\t' || c == '\n' || c == '\r';
}

bool strings_marked(struct terse_str text) {
    for (size_t i = 0; i < text.n; i++)
        if (!is_plain(text.p[i]))
            return true;
    return false;
}

/* ---- sender -------------------------------------------------------------- */

static enum terse_err put_slot(struct slots *s, uint32_t i,
                               struct terse_buf *out) {
    char c[2] = {(char)(i < 8 ? DIRECT_LOW + i : DIRECT_HIGH + i - 8), 0};
    slots_touch(s, i);
    if (i < DIRECT)
        return terse_buf_append(out, c, 1);
    i -= DIRECT;
    c[0] = (char)(i < PER_MARK ? REF_A : REF_B);
    c[1] = (char)(0x20 + i % PER_MARK);
    return terse_buf_append(out, c, 2);
}

static enum terse_err put_entry(uint8_t mark, int i, struct terse_buf *out) {
    char c[3];
    size_t n = book_put_ref(mark, (uint32_t)i, c);
    return terse_buf_append(out, c, n);
}

/* Appends a reference to the whole of text, if it is remembered. slots: they
 * may be used. */
static enum terse_err put_known(const struct strings *s, struct terse_str text,
                                bool slots, struct terse_buf *out,
                                bool *known) {
    int i = slots ? slots_find(s->slots, text) : -1;
    *known = i >= 0;
    if (i >= 0)
        return put_slot(s->slots, (uint32_t)i, out);
    *known = true;
    if ((i = book_find(s->book, s->other, text)) >= 0)
        return put_entry(BOOK_OWN, i, out);
    if ((i = book_find(s->other, s->book, text)) >= 0)
        return put_entry(BOOK_OTHER, i, out);
    *known = false;
    return TERSE_OK;
}

/* The part of a string that may be known by itself, and where it stands. */
struct part {
    size_t from, to;
};

/* How the resource of a full JID begins, with the slash, up to the first dot or
 * the like; empty if it is too short to be worth it. Clients name themselves
 * there, with something random behind. */
static struct terse_str stem_of(struct terse_str jid) {
    const char *slash = memchr(jid.p, '/', jid.n), *end = jid.p + jid.n;
    const char *p = slash;
    while (p && p < end && p - slash < STEM_MAX - 1 && !strchr(".-_:", *p))
        p++;
    if (!p || p == end || p - slash < STEM_LEAST || p - slash == STEM_MAX - 1)
        return (struct terse_str){NULL, 0};
    return (struct terse_str){slash, (size_t)(p + 1 - slash)};
}

/* The parts of a JID (RFC 7622 section 3.1): local@domain before a slash, the
 * domain, the stem; and what stands before and behind a # (XEP-0115 section
 * 6.2). */
static unsigned parts_of(struct terse_str s, struct part out[4]) {
    const char *slash = memchr(s.p, '/', s.n);
    size_t bare = slash ? (size_t)(slash - s.p) : s.n;
    const char *at = memchr(s.p, '@', bare);
    size_t domain = at ? (size_t)(at - s.p) + 1 : 0;
    const char *hash = memrchr(s.p, '#', s.n);
    unsigned n = 0;
    if (hash) {
        out[n++] = (struct part){0, (size_t)(hash - s.p)};
        out[n++] = (struct part){(size_t)(hash - s.p) + 1, s.n};
        return n;
    }
    if (bare < s.n)
        out[n++] = (struct part){0, bare};
    if (domain > 0)
        out[n++] = (struct part){domain, bare};
    struct terse_str stem = stem_of(s);
    if (stem.n > 0)
        out[n++] = (struct part){bare, bare + stem.n};
    return n;
}

/* Appends text, by reference as far as its parts are known. */
static enum terse_err put_parts(const struct strings *s, struct terse_str text,
                                bool slots, struct terse_buf *out) {
    struct part parts[4];
    unsigned n = parts_of(text, parts);
    size_t done = 0;
    enum terse_err err = TERSE_OK;
    for (unsigned i = 0; i < n && err == TERSE_OK; i++) {
        struct terse_str part = {text.p + parts[i].from,
                                 parts[i].to - parts[i].from};
        size_t len = out->len;
        bool known = false;
        if (parts[i].from < done || part.n < 4)
            continue;
        err = terse_buf_append(out, text.p + done, parts[i].from - done);
        if (err == TERSE_OK)
            err = put_known(s, part, slots, out, &known);
        if (known)
            done = parts[i].to;
        else
            out->len = len;
    }
    if (err == TERSE_OK)
        err = terse_buf_append(out, text.p + done, text.n - done);
    return err;
}

/* Writes text and enters it into the book; *done says whether it had room. */
static enum terse_err put_new_entry(const struct strings *s,
                                    struct terse_str text,
                                    struct terse_buf *out, bool *done) {
    size_t len = out->len;
    char mark = ENTER;
    enum terse_err err = terse_buf_append(out, &mark, 1);
    if (err == TERSE_OK)
        err = put_parts(s, text, false, out);
    struct terse_str came = {(const char *)terse_buf_data(out) + len + 1,
                             out->len - len - 1};
    *done = err == TERSE_OK && book_has_room(s->book, came.n);
    if (*done) {
        err = book_add(s->book, came, text);
        *done = err == TERSE_OK &&
                book_depth(s->book, s->other, s->book->n - 1) <= BOOK_DEPTH_MAX;
        if (err == TERSE_OK && !*done)
            book_drop_last(s->book);
    }
    if (!*done)
        out->len = len;
    return err;
}

/* Writes text and keeps it in the slot that is worth least. */
static enum terse_err put_new_slot(const struct strings *s,
                                   struct terse_str text, struct terse_buf *out,
                                   bool *done) {
    int victim = slots_victim(s->slots, text.n);
    uint32_t i = (uint32_t)victim;
    char c[2] = {(char)(i < PER_MARK ? DEFINE_A : DEFINE_B),
                 (char)(0x20 + i % PER_MARK)};
    *done = victim >= 0;
    if (!*done)
        return TERSE_OK;
    size_t len = out->len;
    enum terse_err err = terse_buf_append(out, c, 2);
    if (err == TERSE_OK)
        err = put_parts(s, text, true, out);
    if (err == TERSE_OK)
        err = slots_set(s->slots, i, text);
    if (err == TERSE_OK)
        slots_touch(s->slots, i);
    else
        out->len = len;
    return err;
}

/* A stem that comes a second time is to enter the book. */
static void note_stem(struct strings *s, struct terse_str jid) {
    struct terse_str stem = stem_of(jid);
    uint32_t h = str_hash(stem);
    if (stem.n == 0 || !s->stems || s->stem_n > 0 ||
        book_find(s->book, s->other, stem) >= 0)
        return;
    for (unsigned i = 0; i < STEMS; i++) {
        if (s->stems->hash[i] != h)
            continue;
        memcpy(s->stem, stem.p, stem.n);
        s->stem_n = stem.n;
        return;
    }
    s->stems->hash[s->stems->next++ % STEMS] = h;
}

enum terse_err strings_pack(struct strings *s, struct terse_str text,
                            enum strings_kind kind, struct terse_buf *out) {
    bool done = false, address = kind >= STRINGS_ADDRESS;
    enum terse_err err = TERSE_OK;
    if (text.n >= 4)
        err = put_known(s, text, true, out, &done);
    if (done || err != TERSE_OK)
        return err;
    if (address)
        note_stem(s, text);
    if (address && text.n >= WORTH_ENTRY && text.n <= BOOK_TEXT_MAX)
        err = put_new_entry(s, text, out, &done);
    if (!done && err == TERSE_OK &&
        (kind == STRINGS_TOKEN || kind == STRINGS_ADDRESS) &&
        text.n >= WORTH_SLOT && text.n <= SLOT_BYTES_MAX)
        err = put_new_slot(s, text, out, &done);
    if (!done && err == TERSE_OK)
        err = put_parts(s, text, true, out);
    return err;
}

/* ---- receiver ------------------------------------------------------------ */

/* Reads a mark of slots at text[*at]: whether it is one, and the slot. */
static bool read_slot(struct terse_str text, size_t *at, uint32_t *slot) {
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

/* Appends what the mark at text[*at] stands for. slots: they may stand here. */
static enum terse_err expand_mark(const struct strings *s,
                                  struct terse_str text, size_t *at, bool slots,
                                  struct terse_buf *out) {
    char entry[BOOK_TEXT_MAX];
    uint8_t c = (uint8_t)text.p[*at];
    uint32_t i;
    if (c == BOOK_OWN || c == BOOK_OTHER) {
        bool own = c == BOOK_OWN;
        if (!book_read_ref(text, at, &i))
            return TERSE_EFRAME;
        int n = book_expand(own ? s->book : s->other, own ? s->other : s->book,
                            i, entry);
        return n < 0 ? TERSE_EFRAME : terse_buf_append(out, entry, (size_t)n);
    }
    struct terse_str text_of;
    if (!slots || c == DEFINE_A || c == DEFINE_B || !read_slot(text, at, &i) ||
        !slots_get(s->slots, i, &text_of))
        return TERSE_EFRAME;
    return terse_buf_append(out, text_of.p, text_of.n);
}

static enum terse_err expand_all(const struct strings *s, struct terse_str text,
                                 size_t at, bool slots, struct terse_buf *out) {
    enum terse_err err = TERSE_OK;
    while (at < text.n && err == TERSE_OK) {
        size_t from = at;
        while (at < text.n && is_plain(text.p[at]))
            at++;
        err = terse_buf_append(out, text.p + from, at - from);
        if (at < text.n && err == TERSE_OK)
            err = expand_mark(s, text, &at, slots, out);
    }
    return err;
}

static enum terse_err enter(const struct strings *s, struct terse_str came,
                            struct terse_str text) {
    /* One that stands for nothing would cost time and no bytes, and so would
     * all that refer to it. */
    if (text.n == 0 || text.n > BOOK_TEXT_MAX ||
        !book_has_room(s->book, came.n))
        return TERSE_EFRAME;
    enum terse_err err = book_add(s->book, came, text);
    if (err == TERSE_OK &&
        book_depth(s->book, s->other, s->book->n - 1) > BOOK_DEPTH_MAX)
        err = TERSE_EFRAME;
    return err;
}

enum terse_err strings_enter(const struct strings *s, struct terse_str text) {
    return strings_marked(text) ? TERSE_EFRAME : enter(s, text, text);
}

enum terse_err strings_unpack(const struct strings *s, struct terse_str text,
                              struct terse_buf *out) {
    size_t at = 0, len = out->len;
    uint32_t slot = 0;
    char first = text.n > 0 ? text.p[0] : 0;
    bool define = first == DEFINE_A || first == DEFINE_B;
    bool entry = first == ENTER;
    if (define && !read_slot(text, &at, &slot))
        return TERSE_EFRAME;
    if (entry)
        at = 1;
    enum terse_err err = expand_all(s, text, at, !entry, out);
    struct terse_str whole = {(const char *)terse_buf_data(out) + len,
                              out->len - len};
    if (err == TERSE_OK && define)
        err = slots_set(s->slots, slot, whole);
    if (err == TERSE_OK && entry)
        err = enter(s, (struct terse_str){text.p + 1, text.n - 1}, whole);
    return err;
}
