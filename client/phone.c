/* phone.c: see phone.h. */
#include "client/phone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- counts -----------------------------------------------------------------
 */

/* Whether h is from `from` to `to`, on a circle. */
static bool within(uint32_t h, uint32_t from, uint32_t to) {
    return h - from <= to - from;
}

void phone_sm_begin(struct phone_sm *sm) {
    memset(sm, 0, sizeof(*sm));
    sm->on = true;
}

bool phone_sm_acked(struct phone_sm *sm, uint32_t h, uint32_t *n) {
    *n = 0;
    if (!sm->on)
        return true; /* an answer to nobody */
    if (!within(h, sm->out_acked, sm->out))
        return false;
    *n = h - sm->out_acked;
    sm->out_acked = h;
    return true;
}

bool phone_sm_resumed(struct phone_sm *sm, uint32_t h, uint32_t *n) {
    if (!sm->on || !phone_sm_acked(sm, h, n))
        return false;
    sm->out = h;
    sm->in_told = sm->in;
    sm->tell_by = 0;
    return true;
}

void phone_sm_sent(struct phone_sm *sm) {
    if (sm->on)
        sm->out++;
}

void phone_sm_came(struct phone_sm *sm) {
    if (sm->on)
        sm->in++;
}

bool phone_sm_due(struct phone_sm *sm, uint32_t handled, uint64_t now,
                  uint32_t wait, bool riding, uint32_t *h) {
    /* What was said to resume may be ahead of what is handled. */
    if (!sm->on || handled == sm->in_told ||
        !within(handled, sm->in_told, sm->in)) {
        sm->tell_by = 0;
        return false;
    }
    if (!sm->tell_by)
        sm->tell_by = now + wait;
    if (!riding && now < sm->tell_by && handled - sm->in_told < PHONE_MANY)
        return false;
    *h = phone_sm_answer(sm, handled);
    return true;
}

uint32_t phone_sm_answer(struct phone_sm *sm, uint32_t handled) {
    if (within(handled, sm->in_told, sm->in))
        sm->in_told = handled;
    sm->tell_by = 0;
    return sm->in_told;
}

uint32_t phone_held_back(bool inactive, uint32_t wait_ms) {
    if (!inactive)
        return 0;
    return wait_ms == UINT32_MAX ? PHONE_HELD_MS : wait_ms;
}

bool phone_is_stanza(const struct terse_frame_info *info) {
    return info->kind == TERSE_ELEMENT &&
           terse_str_is(info->ns, TERSE_NS_CLIENT) &&
           (terse_str_is(info->name, "message") ||
            terse_str_is(info->name, "presence") ||
            terse_str_is(info->name, "iq"));
}

/* ---- the box ----------------------------------------------------------------
 */

struct phone_item {
    struct phone_item *next;
    uint64_t number;
    bool again, sent;
    size_t n;
    uint8_t frame[];
};

static size_t cost(size_t n) { return sizeof(struct phone_item) + n; }

void phone_box_init(struct phone_box *box, uint32_t max_stanzas,
                    size_t max_bytes) {
    memset(box, 0, sizeof(*box));
    box->max_stanzas = max_stanzas;
    box->max_bytes = max_bytes;
}

static void tell(const struct phone_box *box, uint64_t number,
                 enum phone_state state) {
    if (box->changed)
        box->changed(box->arg, number, state);
}

/* Takes the first out; the caller frees it. */
static struct phone_item *shift(struct phone_box *box) {
    struct phone_item *item = box->first;

    box->first = item->next;
    if (!box->first)
        box->last = NULL;
    if (box->unsent == item)
        box->unsent = item->next;
    box->stanzas--;
    box->sent -= item->sent;
    box->bytes -= cost(item->n);
    return item;
}

static void drop(struct phone_box *box, enum phone_state state) {
    struct phone_item *item = shift(box);
    uint64_t number = item->number;

    free(item);
    tell(box, number, state);
}

void phone_box_fini(struct phone_box *box) {
    while (box->first)
        free(shift(box));
}

bool phone_box_full(const struct phone_box *box, size_t n) {
    /* One that is too large for any box goes into an empty one. */
    return box->stanzas >= box->max_stanzas ||
           (box->first && (cost(n) > box->max_bytes ||
                           box->bytes > box->max_bytes - cost(n)));
}

enum terse_err phone_box_restore(struct phone_box *box, const void *frame,
                                 size_t n, bool again, uint64_t number) {
    struct phone_item *item;

    if (phone_box_full(box, n))
        return TERSE_ELIMIT;
    item = calloc(1, cost(n));
    if (!item)
        return TERSE_ENOMEM;
    item->number = number;
    item->again = again;
    item->n = n;
    memcpy(item->frame, frame, n);
    if (box->last)
        box->last->next = item;
    else
        box->first = item;
    box->last = item;
    if (!box->unsent)
        box->unsent = item;
    box->stanzas++;
    box->bytes += cost(n);
    if (number > box->last_number)
        box->last_number = number;
    return TERSE_OK;
}

enum terse_err phone_box_put(struct phone_box *box, const void *frame, size_t n,
                             bool again, uint64_t *number) {
    uint64_t next = box->last_number + 1;
    enum terse_err err = phone_box_restore(box, frame, n, again, next);

    if (!err && number)
        *number = next;
    return err;
}

const uint8_t *phone_box_peek(const struct phone_box *box, size_t *n) {
    if (!box->unsent)
        return NULL;
    *n = box->unsent->n;
    return box->unsent->frame;
}

void phone_box_sent(struct phone_box *box, bool kept) {
    struct phone_item *item = box->unsent;

    if (!item)
        return;
    box->unsent = item->next;
    item->sent = true;
    box->sent++;
    if (!terse_frame_slight(item->frame, item->n))
        box->owed = item->number;
    tell(box, item->number, PHONE_SENT);
    /* Without acknowledgements nothing stands before it. */
    if (!kept)
        while (box->first && box->first != box->unsent)
            drop(box, PHONE_DONE);
}

uint32_t phone_box_held_back(const struct phone_box *box, uint32_t held) {
    if (box->sent == 0)
        return UINT32_MAX;
    if (box->first->number <= box->owed)
        return held;
    return held > PHONE_HELD_MS ? held : PHONE_HELD_MS;
}

bool phone_box_acked(struct phone_box *box, uint32_t n) {
    if (n > box->sent)
        return false;
    while (n-- > 0)
        drop(box, PHONE_ACKED);
    return true;
}

static void wait_again(struct phone_box *box, struct phone_item *item) {
    if (!item->sent)
        return;
    item->sent = false;
    box->sent--;
    tell(box, item->number, PHONE_QUEUED);
}

void phone_box_rewind(struct phone_box *box) {
    for (struct phone_item *item = box->first; item; item = item->next)
        wait_again(box, item);
    box->unsent = box->first;
}

void phone_box_renew(struct phone_box *box) {
    struct phone_box old = *box;

    box->first = box->last = box->unsent = NULL;
    while (old.first) {
        struct phone_item *item = old.first;

        old.first = item->next;
        item->next = NULL;
        if (item->sent && !item->again) {
            box->stanzas--;
            box->sent--;
            box->bytes -= cost(item->n);
            tell(box, item->number, PHONE_FAILED);
            free(item);
            continue;
        }
        wait_again(box, item);
        if (box->last)
            box->last->next = item;
        else
            box->first = item;
        box->last = item;
    }
    box->unsent = box->first;
}

void phone_box_fail(struct phone_box *box) {
    while (box->first)
        drop(box, PHONE_FAILED);
}

const struct phone_item *phone_box_walk(const struct phone_box *box,
                                        const struct phone_item *item) {
    return item ? item->next : box->first;
}

struct phone_view phone_item_view(const struct phone_item *item) {
    return (struct phone_view){.frame = item->frame,
                               .n = item->n,
                               .number = item->number,
                               .again = item->again,
                               .sent = item->sent};
}

/* ---- trying again
 * ------------------------------------------------------------- */

uint32_t phone_backoff(unsigned attempt, uint32_t least_ms, uint32_t most_ms,
                       uint32_t random) {
    uint64_t top = least_ms;

    while (attempt-- > 0 && top && top < most_ms)
        top *= 2;
    if (top > most_ms)
        top = most_ms;
    return (uint32_t)(((top + 1) * random) >> 32);
}
