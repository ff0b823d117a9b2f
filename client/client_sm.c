/* client_sm.c: what keeps a session alive beside its stanzas: acknowledgements
 * (XEP-0198), heartbeats (docs/wire.md), client state (XEP-0352). */
#include "client/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TAG_OPEN = 0x6a,
    TAG_PING = 0x60,
    PING = 1,
    PONG = 0,
    /* Silence before a ping: at least, and to begin with. */
    BEAT_LEAST_MS = 60000,
    BEAT_FIRST_MS = 240000,
};

/* ---- acknowledgements
 * -------------------------------------------------------- */

/* Stanzas are given out in the order they came, so what is handled ends before
 * the first that waits. */
uint32_t client_handled(const struct terse_client *client) {
    const struct client_item *item = client->queue.head;

    if (client->busy_session && client->busy_session == client->session)
        return client->busy_seq - 1;
    while (item && (!item->session || item->session != client->session))
        item = item->next;
    return item ? item->seq - 1 : client->sm.in;
}

static void put_h(struct terse_client *client, uint32_t h) {
    struct terse_buf xml;
    char text[64];

    snprintf(text, sizeof(text), "<a xmlns='" PHONE_NS_SM "' h='%lu'/>",
             (unsigned long)h);
    terse_buf_init(&xml, sizeof(text));
    if (client_cat(&xml, text, NULL))
        client_put_xml(client, &xml);
    terse_buf_fini(&xml);
}

/* Who has enabled it by himself has to ask; one question at a time. */
static void ask_server(struct terse_client *client) {
    struct terse_buf xml;

    if (!client->asks || client->asking || !client->sm.on ||
        client->box.sent == 0 || client->state != STATE_READY)
        return;
    terse_buf_init(&xml, 64);
    if (client_cat(&xml, "<r xmlns='" PHONE_NS_SM "'/>", NULL) &&
        client_put_xml(client, &xml))
        client->asking = true;
    terse_buf_fini(&xml);
}

static void acked(struct terse_client *client, const uint8_t *frame, size_t n) {
    uint32_t h, more;

    if (!phone_frame_count(client->codec->schema, frame, n, &h) ||
        !phone_sm_acked(&client->sm, h, &more) ||
        !phone_box_acked(&client->box, more)) {
        /* Who counts otherwise than we do cannot be gone on with. */
        free(client->sm_id);
        client->sm_id = NULL;
        client_end(client, true, TERSE_CLIENT_EPROTO, NULL,
                   "an acknowledgement of what was not sent");
        return;
    }
    client->asking = false;
    client_expect(client);
    if (more)
        pthread_cond_broadcast(&client->cond); /* there is room */
    ask_server(client);
}

bool client_sm_frame(struct terse_client *client,
                     const struct terse_frame_info *info, const uint8_t *frame,
                     size_t n) {
    if (!client->sm.on || !terse_str_is(info->ns, PHONE_NS_SM))
        return false;
    if (terse_str_is(info->name, "a")) {
        acked(client, frame, n);
        return true;
    }
    if (!terse_str_is(info->name, "r"))
        return false;
    put_h(client, phone_sm_answer(&client->sm, client_handled(client)));
    return true;
}

/* ---- heartbeats
 * --------------------------------------------------------------- */

void client_hear_open(struct terse_client *client, const uint8_t *frame,
                      size_t n) {
    uint64_t v;

    if (n > 0 && frame[0] == TAG_OPEN && client->options.heartbeat_ms &&
        terse_frame_number(frame, n, TERSE_FIELD_BEAT, &v) && v > 0)
        client->peer_beats = true;
}

bool client_is_beat(struct terse_client *client, const uint8_t *frame,
                    size_t n) {
    if (n != 2 || frame[0] != TAG_PING || frame[1] > PING ||
        !client->peer_beats)
        return false;
    if (frame[1] == PING)
        client_put_beat(client, PONG);
    return true;
}

/* Nobody says how long a NAT on the way keeps a silent connection. So the
 * silence before a ping grows while pings are answered, and shrinks when a
 * connection turns out to be dead after one. */
static void learn(struct terse_client *client, bool alive) {
    uint32_t most = client->options.heartbeat_ms;
    uint32_t least = most < BEAT_LEAST_MS ? most : BEAT_LEAST_MS;
    uint32_t ms = client->silence;

    ms = alive ? ms + ms / 4 : ms / 2;
    client->silence = ms > most ? most : ms < least ? least : ms;
}

/* Who has asked for an acknowledgement gets it at once. */
void client_expect(struct terse_client *client) {
    bool held = client->inactive && client->csi && !client->asks;
    uint32_t ms = phone_box_held_back(
        &client->box, phone_held_back(held, client->options.wait_ms));

    client->expected = 0;
    if (client->sm.on && ms != UINT32_MAX)
        client->expected = client_now() + client->options.answer_ms + ms;
}

void client_heard(struct terse_client *client) {
    client->heard = client_now();
    /* It may have been said before ours came: as long as something is not
     * acknowledged, more has to come. */
    client_expect(client);
    if (!client->asked)
        return;
    if (client->by_silence)
        learn(client, true);
    client->asked = 0;
    client->patience = client->options.answer_ms;
}

/* When the next word about the other end's life is due; 0: never. */
static uint64_t life_at(const struct terse_client *client) {
    uint64_t at;

    if (!client->peer_beats || client->paused)
        return 0; /* it cannot be asked; or it is not listened to */
    if (client->asked)
        return client->asked + client->patience;
    at = client->heard + client->silence;
    return client->expected && client->expected < at ? client->expected : at;
}

static void look_for_life(struct terse_client *client, uint64_t now) {
    uint64_t at = life_at(client);

    if (!at || now < at)
        return;
    if (client->asked) {
        if (client->by_silence)
            learn(client, false);
        client_end(client, false, TERSE_CLIENT_ELOST, NULL,
                   "the other end does not answer");
        return;
    }
    client->asked = now;
    client->by_silence = !client->expected || now < client->expected;
    if (client_put_beat(client, PING))
        client_flush(client);
}

/* ---- both
 * ------------------------------------------------------------------------ */

void client_turn(struct terse_client *client, bool riding) {
    uint64_t now = client_now(), at;
    uint32_t h;

    if (client->state != STATE_READY || !client->conn)
        return;
    if (phone_sm_due(&client->sm, client_handled(client), now,
                     client->options.ack_ms, riding, &h)) {
        put_h(client, h);
        client_flush(client);
    }
    if (riding)
        ask_server(client);
    if (client->conn)
        look_for_life(client, now);
    if (client->state != STATE_READY)
        return;
    at = life_at(client);
    if (client->sm.tell_by && (!at || client->sm.tell_by < at))
        at = client->sm.tell_by;
    /* A timer that runs out early looks, and is set again. */
    if (!at || (client->beat_at && client->beat_at <= at))
        return;
    client->beat_at = at;
    net_timer_set(client->beat, at > now ? (uint32_t)(at - now) : 1);
}

/* ---- client state
 * ------------------------------------------------------------ */

void client_say_state(struct terse_client *client) {
    struct terse_buf xml;

    if (client->state != STATE_READY || !client->csi)
        return;
    terse_buf_init(&xml, 64);
    if (client_cat(&xml, client->inactive ? "<inactive" : "<active",
                   " xmlns='" PHONE_NS_CSI "'/>", NULL) &&
        client_put_xml(client, &xml)) {
        client_turn(client, true);
        client_flush(client);
    }
    terse_buf_fini(&xml);
}

static enum terse_client_err set_state(struct terse_client *client,
                                       bool inactive) {
    enum terse_client_err err = TERSE_CLIENT_OK;

    net_lock(&client->owner);
    if (client->state == STATE_CLOSED)
        err = client->why.code;
    if (!err && client->inactive != inactive) {
        client->inactive = inactive;
        if (client->expected)
            client_expect(client);
        client_say_state(client);
    }
    net_unlock(&client->owner);
    return err;
}

enum terse_client_err terse_client_inactive(struct terse_client *client) {
    return set_state(client, true);
}

enum terse_client_err terse_client_active(struct terse_client *client) {
    return set_state(client, false);
}
