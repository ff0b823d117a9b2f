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
    GROW = 48,
    SLACK = 160,      /* bytes that are given back */
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

static struct terse_str id_bytes(const struct wire_field *id) {
    if (id->type == WIRE_VARINT)
        return (struct terse_str){(const char *)&id->value, sizeof(id->value)};
    return id->bytes;
}

static struct terse_str addr_kept(struct terse_str addr) {
    return addr.n <= JOURNAL_ADDR_MAX ? addr : (struct terse_str){NULL, 0};
}

/* A bit that ids of one value share, so that most others are told apart without
 * a look at the entries. */
static uint64_t mark_of(const struct wire_field *id) {
    struct terse_str s = id_bytes(id);
    uint32_t h = (uint32_t)s.n * 31 + (uint8_t)s.p[s.n - 1];
    h = h * 31 + (uint8_t)s.p[s.n / 2];
    return UINT64_C(1) << ((h * UINT32_C(2654435769)) >> 26);
}

/* What an entry counts for. */
static uint32_t cost(const struct wire_field *id, struct terse_str addr) {
    return (uint32_t)(id_bytes(id).n + addr_kept(addr).n);
}

bool journal_has_room(const struct journal *j, const struct wire_field *id,
                      struct terse_str addr, uint32_t most) {
    return j->end - j->heard < most &&
           j->wait_bytes + cost(id, addr) <= JOURNAL_WAIT_BYTES;
}

enum terse_err journal_add(struct journal *j, const struct wire_field *id,
                           struct terse_str addr) {
    struct terse_str bytes = id_bytes(id);
    addr = addr_kept(addr);
    bool same = j->len > 0 && str_eq(addr, last_addr(j));
    uint32_t addr_n = same ? 0 : (uint32_t)addr.n;
    if (!room(j, HEAD + (uint32_t)bytes.n + addr_n))
        return TERSE_ENOMEM;
    uint8_t *p = j->p + j->len;
    p[0] = (uint8_t)id->type;
    p[1] = (uint8_t)bytes.n;
    p[2] = same ? SAME : (uint8_t)addr.n;
    memcpy(p + HEAD, bytes.p, bytes.n);
    if (addr_n > 0)
        memcpy(p + HEAD + bytes.n, addr.p, addr_n);
    j->len += HEAD + (uint32_t)bytes.n + addr_n;
    j->wait_bytes += cost(id, addr);
    j->marks |= mark_of(id);
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

bool journal_get(const struct journal *j, int64_t offset, struct entry *out) {
    struct terse_str last = {NULL, 0};
    int64_t index = (int64_t)j->heard + offset;
    if (offset < -JOURNAL_HEARD || offset > JOURNAL_WAIT ||
        index < (int64_t)j->first || index >= j->end)
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
    uint32_t i = j->first;
    if (!journal_takes(id) || !(j->marks & mark_of(id)))
        return false;
    for (uint32_t at = 0; at < j->len; i++) {
        at = read_entry(j, at, &e, &last);
        if (!same_value(&e.id, id))
            continue;
        *out = e;
        out->index = i;
        found = true;
    }
    return found;
}

/* Counts the heard ones from the newest to the oldest: how many of the oldest
 * are over the bounds, and what those that wait add up to. */
static uint32_t count(struct journal *j) {
    uint32_t costs[JOURNAL_HEARD + JOURNAL_WAIT + 1] = {0}, n = 0, bytes = 0;
    uint64_t marks[JOURNAL_HEARD + JOURNAL_WAIT + 1] = {0};
    uint32_t heard = j->heard - j->first, kept = 0;
    struct terse_str last = {NULL, 0};
    struct entry e;
    for (uint32_t at = 0; at < j->len; n++) {
        at = read_entry(j, at, &e, &last);
        costs[n] = cost(&e.id, e.addr);
        marks[n] = mark_of(&e.id);
    }
    j->wait_bytes = 0;
    for (uint32_t i = heard; i < n; i++)
        j->wait_bytes += costs[i];
    while (kept < heard && kept < JOURNAL_HEARD &&
           bytes + costs[heard - 1 - kept] <= JOURNAL_HEARD_BYTES)
        bytes += costs[heard - 1 - kept++];
    j->marks = 0;
    for (uint32_t i = heard - kept; i < n; i++)
        j->marks |= marks[i];
    return heard - kept;
}

void journal_hear(struct journal *j, uint32_t upto) {
    if (upto <= j->heard)
        return;
    j->heard = upto;
    for (uint32_t over = count(j); over > 0; over--)
        drop(j);
    if (j->cap - j->len < SLACK)
        return;
    uint8_t *p = realloc(j->p, j->len + GROW); /* that it fails is no harm */
    if (p) {
        j->p = p;
        j->cap = j->len + GROW;
    }
}
