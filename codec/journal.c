/* journal.c: see journal.h. An entry is packed as
 *
 *   kind id_n addr_n id... addr...
 *
 * with SAME for addr_n where the address is that of the entry before. */
#include "journal.h"

#include <stdlib.h>
#include <string.h>

#include "str.h"

enum {
    HEAD = 3,
    SAME = 255,
    GROW = 64,
    SLACK = 256, /* bytes that are given back */
    VARINT_LEAST = 4, /* the shortest id, in bytes */
};

void journal_fini(struct journal *j) {
    free(j->p);
    *j = (struct journal){0};
}

bool journal_takes(const struct wire_field *id) {
    if (id->type == WIRE_VARINT)
        return id->value >> 32 != 0;
    return id->bytes.n >= VARINT_LEAST && id->bytes.n <= JOURNAL_ID_MAX;
}

/* ---- packed entries ------------------------------------------------------ */

/* Reads the entry at `at`; *last is the address of the one before, and of this
 * one then. Returns where the next one is. */
static uint32_t read_entry(const struct journal *j, uint32_t at,
                           struct entry *out, struct terse_str *last) {
    const uint8_t *p = j->p + at;
    struct terse_str id = {(const char *)p + HEAD, p[1]};
    uint32_t addr_n = p[2] == SAME ? 0 : p[2];
    out->id = (struct wire_field){.type = (enum wire_type)p[0]};
    if (p[0] == WIRE_VARINT)
        memcpy(&out->id.value, id.p, sizeof(out->id.value));
    else
        out->id.bytes = id;
    if (p[2] != SAME)
        *last = (struct terse_str){id.p + id.n, addr_n};
    out->addr = *last;
    return at + HEAD + p[1] + addr_n;
}

static bool room(struct journal *j, uint32_t n) {
    if (j->cap - j->len >= n)
        return true;
    uint32_t cap = j->len + n + GROW;
    uint8_t *p = realloc(j->p, cap);
    if (!p)
        return false;
    j->p = p;
    j->cap = cap;
    return true;
}

static struct terse_str last_addr(const struct journal *j) {
    struct terse_str last = {NULL, 0};
    struct entry e;
    for (uint32_t at = 0; at < j->len;)
        at = read_entry(j, at, &e, &last);
    return last;
}

enum terse_err journal_add(struct journal *j, const struct wire_field *id,
                           struct terse_str addr) {
    struct terse_str id_bytes = id->bytes;
    if (id->type == WIRE_VARINT)
        id_bytes = (struct terse_str){(const char *)&id->value, 8};
    if (addr.n > JOURNAL_ADDR_MAX)
        addr.n = 0;
    bool same = j->len > 0 && str_eq(addr, last_addr(j));
    uint32_t addr_n = same ? 0 : (uint32_t)addr.n;
    if (!room(j, HEAD + (uint32_t)id_bytes.n + addr_n))
        return TERSE_ENOMEM;
    uint8_t *p = j->p + j->len;
    p[0] = (uint8_t)id->type;
    p[1] = (uint8_t)id_bytes.n;
    p[2] = same ? SAME : (uint8_t)addr.n;
    memcpy(p + HEAD, id_bytes.p, id_bytes.n);
    if (addr_n > 0)
        memcpy(p + HEAD + id_bytes.n, addr.p, addr_n);
    j->len += HEAD + (uint32_t)id_bytes.n + addr_n;
    j->end++;
    return TERSE_OK;
}

/* Drops the first entry, which always has an address of its own, and gives it
 * to the next one if that has none: there is room where it was. */
static void drop(struct journal *j) {
    struct terse_str last = {NULL, 0};
    struct entry e;
    char addr[JOURNAL_ADDR_MAX];
    uint32_t next = read_entry(j, 0, &e, &last);
    bool inherits = next < j->len && j->p[next + 2] == SAME;
    uint32_t addr_n = inherits ? (uint32_t)e.addr.n : 0;
    if (addr_n > 0)
        memcpy(addr, e.addr.p, addr_n);
    memmove(j->p, j->p + next, j->len - next);
    j->len -= next;
    j->first++;
    if (!inherits)
        return;
    uint32_t at = HEAD + j->p[1];
    memmove(j->p + at + addr_n, j->p + at, j->len - at);
    if (addr_n > 0)
        memcpy(j->p + at, addr, addr_n);
    j->p[2] = (uint8_t)addr_n;
    j->len += addr_n;
}

/* ---- looking up ---------------------------------------------------------- */

/* The first entry that may be referred to. */
static uint32_t oldest(const struct journal *j) {
    uint32_t from = j->heard > JOURNAL_HEARD ? j->heard - JOURNAL_HEARD : 0;
    return from > j->first ? from : j->first;
}

bool journal_get(const struct journal *j, int64_t offset, struct entry *out) {
    struct terse_str last = {NULL, 0};
    int64_t index = (int64_t)j->heard + offset;
    if (offset < -JOURNAL_HEARD || offset > JOURNAL_MAX ||
        index < oldest(j) || index >= j->end)
        return false;
    uint32_t i = j->first;
    for (uint32_t at = 0; i <= index; i++)
        at = read_entry(j, at, out, &last);
    out->index = (uint32_t)index;
    return true;
}

static bool same_value(const struct wire_field *a, const struct wire_field *b) {
    return a->type == b->type &&
           (a->type == WIRE_VARINT ? a->value == b->value
                                   : str_eq(a->bytes, b->bytes));
}

bool journal_find(const struct journal *j, const struct wire_field *id,
                  struct entry *out) {
    struct terse_str last = {NULL, 0};
    struct entry e;
    bool found = false;
    uint32_t i = j->first, from = oldest(j);
    for (uint32_t at = 0; at < j->len; i++) {
        at = read_entry(j, at, &e, &last);
        if (i < from || !same_value(&e.id, id))
            continue;
        *out = e;
        out->index = i;
        found = true;
    }
    return found;
}

void journal_hear(struct journal *j, uint32_t count) {
    if (count > j->heard)
        j->heard = count;
    while (j->first < oldest(j))
        drop(j);
    if (j->cap - j->len < SLACK)
        return;
    uint8_t *p = realloc(j->p, j->len + GROW); /* that it fails is no harm */
    if (p) {
        j->p = p;
        j->cap = j->len + GROW;
    }
}
