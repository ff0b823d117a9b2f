/* slots.c: see slots.h. */
#include "slots.h"

#include <stdlib.h>
#include <string.h>

#include "str.h"

enum {
    GROW = 4, /* slots that are made at once */
    GROW_TEXT = 32,
    WORTH = 4, /* shorter strings are not worth a slot */
};

void slots_init(struct slots *s, uint32_t n, struct budget *budget) {
    *s = (struct slots){.n = n < SLOTS_MAX ? n : SLOTS_MAX, .budget = budget};
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
    free(s->slot);
    free(s->text);
    *s = (struct slots){0};
}

/* What slot i counts for. */
static size_t cost(const struct slots *s, uint32_t i) {
    return i < s->have && s->slot[i].full ? SLOT_COST + s->slot[i].n : 0;
}

/* Room for n bytes of text more. */
static bool text_room(struct slots *s, size_t n) {
    if (s->text_cap - s->text_n >= n)
        return true;
    uint32_t cap = s->text_n + (uint32_t)n + GROW_TEXT;
    char *more = realloc(s->text, cap);
    if (!more)
        return false;
    s->text = more;
    s->text_cap = cap;
    return true;
}

/* Takes the text of slot i out; those behind it move up. */
static void text_remove(struct slots *s, uint32_t i) {
    struct slot was = s->slot[i];
    uint32_t end = was.at + was.n;
    if (was.n == 0)
        return;
    memmove(s->text + was.at, s->text + end, s->text_n - end);
    s->text_n -= was.n;
    for (uint32_t k = 0; k < s->have; k++)
        if (s->slot[k].full && s->slot[k].at >= end)
            s->slot[k].at -= was.n;
}

enum terse_err slots_set(struct slots *s, uint32_t i, struct terse_str text) {
    size_t had = cost(s, i);
    if (i >= s->n || text.n > SLOT_BYTES_MAX ||
        !budget_has(s->budget, had, SLOT_COST + text.n))
        return TERSE_EFRAME;
    if (reach(s, i) != TERSE_OK)
        return TERSE_ENOMEM;
    if (!text_room(s, text.n))
        return TERSE_ENOMEM;
    text_remove(s, i);
    if (text.n > 0)
        memcpy(s->text + s->text_n, text.p, text.n);
    s->slot[i] = (struct slot){.at = s->text_n,
                               .n = (uint16_t)text.n,
                               .hash = str_hash16(text),
                               .full = true};
    s->text_n += (uint32_t)text.n;
    s->budget->now += (uint32_t)(SLOT_COST + text.n - had);
    return TERSE_OK;
}

int slots_find(const struct slots *s, struct terse_str text) {
    if (text.n < WORTH)
        return -1;
    uint16_t h = str_hash16(text);
    for (uint32_t i = 0; i < s->have; i++) {
        const struct slot *slot = &s->slot[i];
        if (slot->hash == h && slot->full &&
            str_eq((struct terse_str){s->text + slot->at, slot->n}, text))
            return (int)i;
    }
    return -1;
}

bool slots_get(const struct slots *s, uint32_t i, struct terse_str *out) {
    if (i >= s->have || !s->slot[i].full)
        return false;
    *out = (struct terse_str){s->text + s->slot[i].at, s->slot[i].n};
    return true;
}

void slots_touch(struct slots *s, uint32_t i) { s->slot[i].used = ++s->clock; }

int slots_victim(const struct slots *s, size_t n) {
    int best = -1;
    for (uint32_t i = 0; i < s->have; i++) {
        const struct slot *slot = &s->slot[i];
        if (!budget_has(s->budget, cost(s, i), SLOT_COST + n))
            continue;
        if (!slot->full)
            return (int)i;
        if (best < 0 || slot->used < s->slot[best].used)
            best = (int)i;
    }
    if (s->have < s->n && budget_has(s->budget, 0, SLOT_COST + n))
        return (int)s->have;
    return best;
}
