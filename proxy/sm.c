/* sm.c: see sm.h. */
#include "proxy/sm.h"

#include <string.h>

void sm_enable(struct sm *sm) {
    if (sm->on || sm->enabling)
        return; /* a second one: the server will refuse it */
    memset(sm, 0, sizeof(*sm));
    sm->enabling = true;
}

void sm_enabled(struct sm *sm, bool own) {
    if (sm->on || !sm->enabling)
        return;
    sm->enabling = false;
    sm->on = true;
    sm->own = own;
}

void sm_failed(struct sm *sm) { sm->enabling = false; }

void sm_resumed(struct sm *sm, bool own, uint32_t up, uint32_t down) {
    uint32_t skew = sm->skew;

    memset(sm, 0, sizeof(*sm));
    sm->on = true;
    sm->own = own;
    sm->skew = sm->skew_acked = skew;
    sm->up = sm->up_acked = sm->up_told = sm->up_asked = sm->up_matter = up;
    sm->down = sm->down_acked = sm->down_told = down;
}

void sm_up(struct sm *sm, bool matters) {
    if (!sm->on && !sm->enabling)
        return;
    sm->up++;
    if (matters)
        sm->up_matter = sm->up;
}

void sm_early(struct sm *sm, uint32_t n) {
    sm->up += n;
    sm->up_matter = sm->up;
}

void sm_down(struct sm *sm) {
    if (sm->on)
        sm->down++;
}

/* Whether h is from `from` to `to`, on a circle. */
static bool within(uint32_t h, uint32_t from, uint32_t to) {
    return h - from <= to - from;
}

bool sm_server_acks(struct sm *sm, uint32_t h) {
    if (!sm->on)
        return true; /* it counts what we do not */
    if (!within(h, sm->up_acked, sm->up))
        return false;
    sm->up_acked = h;
    if (sm->asking_server && sm->doubts)
        sm->doubts--;
    sm->asking_server = false;
    return true;
}

uint32_t sm_client_count(const struct sm *sm, uint32_t h) {
    return h - sm->skew;
}

bool sm_client_acks(struct sm *sm, uint32_t h, uint32_t *n) {
    uint32_t count = sm_client_count(sm, h), skew = sm->skew;

    *n = 0;
    if (!sm->on)
        return true;
    /* Of the first few the server knows nothing. */
    if (sm->skew_acked < sm->skew && h < sm->skew) {
        count = 0;
        skew = h;
    }
    if (skew < sm->skew_acked || !within(count, sm->down_acked, sm->down))
        return false;
    *n = count - sm->down_acked + skew - sm->skew_acked;
    sm->down_acked = count;
    sm->skew_acked = skew;
    sm->asking_client = false;
    sm->ask_by = 0; /* from here on */
    return true;
}

void sm_server_asks(struct sm *sm) { sm->asked = sm->on; }

void sm_client_asks(struct sm *sm) {
    if (!sm->on)
        return;
    /* Who goes on sending and asking is not to wait until it stops. */
    if (!sm->wanted)
        sm->wanted_at = sm->up;
    sm->wanted_to = sm->up;
    sm->wanted = true;
}

void sm_hurry(struct sm *sm) {
    if (!sm->asking_client && sm->down != sm->down_acked)
        sm->ask_by = 1;
}

void sm_doubt(struct sm *sm) {
    /* The answer that is under way may be from before. */
    if (sm->on)
        sm->doubts = sm->asking_server ? 2 : 1;
}

bool sm_settled(const struct sm *sm) {
    return sm->up_acked == sm->up && !sm->doubts;
}

void sm_cut(struct sm *sm) {
    sm->wanted = sm->asking_client = false;
    sm->told_by = sm->ask_by = 0;
}

static void with_server(struct sm *sm, struct sm_turn *turn) {
    if ((sm->up != sm->up_asked || sm->doubts) && !sm->asking_server) {
        turn->ask_server = true;
        sm->asking_server = true;
        sm->up_asked = sm->up;
    }
    /* To a question there is an answer even if there is no news: a server
     * takes silence for a lost client. */
    turn->tell_server = sm->asked || sm->down_acked != sm->down_told;
    turn->server_h = sm->down_acked;
    sm->down_told = sm->down_acked;
    sm->asked = false;
}

/* When the client is to be told, at the latest. */
static uint64_t tell_by(const struct sm *sm, const struct sm_waits *waits,
                        uint64_t now) {
    bool matters = sm->up_matter != sm->up_told &&
                   within(sm->up_matter, sm->up_told, sm->up_acked);

    return now +
           (matters || waits->silent < waits->ack ? waits->ack : waits->silent);
}

static void tell_client(struct sm *sm, const struct sm_waits *waits,
                        uint64_t now, bool riding, struct sm_turn *turn) {
    /* Who asks is answered when there is the whole answer to a question. */
    bool due = sm->wanted && within(sm->wanted_at, sm->up_told, sm->up_acked);

    if (sm->own && sm->up_acked != sm->up_told) {
        uint64_t by = tell_by(sm, waits, now);

        if (!sm->told_by || by < sm->told_by)
            sm->told_by = by;
    }
    if (!due && (!sm->told_by || (now < sm->told_by && !riding)))
        return;
    turn->tell_client = true;
    turn->client_h = sm->up_acked;
    if (due) {
        sm->wanted = !within(sm->wanted_to, sm->up_told, sm->up_acked);
        sm->wanted_at = sm->wanted_to;
    }
    sm->up_told = sm->up_acked;
    sm->told_by = 0;
}

static void ask_client(struct sm *sm, const struct sm_waits *waits,
                       uint64_t now, uint64_t heard, struct sm_turn *turn) {
    if (sm->down == sm->down_acked) {
        sm->ask_by = 0;
        return;
    }
    if (!sm->ask_by)
        sm->ask_by = now + (sm->own ? waits->silent : waits->ack);
    if (now < sm->ask_by)
        return;
    if (!sm->asking_client) {
        turn->ask_client = true;
        sm->asking_client = true;
        sm->ask_by = now + waits->answer;
    } else if (heard + waits->answer > now) {
        sm->ask_by = heard + waits->answer; /* it lives, and is slow */
    } else {
        turn->lost = true;
    }
}

struct sm_turn sm_turn(struct sm *sm, const struct sm_waits *waits,
                       uint64_t now, bool there, bool riding, uint64_t heard) {
    struct sm_turn turn = {0};

    if (!sm->on)
        return turn;
    with_server(sm, &turn);
    if (!there)
        return turn;
    ask_client(sm, waits, now, heard, &turn);
    tell_client(sm, waits, now, riding || turn.ask_client, &turn);
    turn.again = sm->told_by;
    if (sm->ask_by && (!turn.again || sm->ask_by < turn.again))
        turn.again = sm->ask_by;
    return turn;
}
