/* client_state.c: the state machine, and how a connection ends. */
#include "client/client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* For our last words to leave; terse_client_free waits for it. */
enum { LAST_WORDS_MS = 1000 };

/* What is not here is a breach of the protocol. */
static const uint8_t transitions[STATE_COUNT][EVENT_COUNT] = {
    [STATE_NEW] =
        {[EVENT_CONNECT] = STATE_DIALLING, [EVENT_END] = STATE_CLOSED},
    [STATE_WAITING] =
        {[EVENT_RETRY] = STATE_DIALLING, [EVENT_END] = STATE_CLOSED},
    [STATE_DIALLING] = {[EVENT_DIALLED] = STATE_OPENING,
                        [EVENT_LOST] = STATE_WAITING,
                        [EVENT_END] = STATE_CLOSED},
    [STATE_OPENING] = {[EVENT_OPEN] = STATE_OFFER,
                       [EVENT_CLOSE] = STATE_CLOSING,
                       [EVENT_LOST] = STATE_WAITING,
                       [EVENT_END] = STATE_CLOSED},
    [STATE_OFFER] = {[EVENT_FEATURES] = STATE_AUTH,
                     [EVENT_SASL2] = STATE_AUTH2,
                     [EVENT_CLOSE] = STATE_CLOSING,
                     [EVENT_LOST] = STATE_WAITING,
                     [EVENT_END] = STATE_CLOSED},
    [STATE_AUTH] = {[EVENT_SUCCESS] = STATE_REOPENING,
                    [EVENT_CLOSE] = STATE_CLOSING,
                    [EVENT_LOST] = STATE_WAITING,
                    [EVENT_END] = STATE_CLOSED},
    [STATE_AUTH2] = {[EVENT_SUCCESS] = STATE_FEATURES,
                     [EVENT_READY] = STATE_READY,
                     [EVENT_CLOSE] = STATE_CLOSING,
                     [EVENT_LOST] = STATE_WAITING,
                     [EVENT_END] = STATE_CLOSED},
    [STATE_REOPENING] = {[EVENT_OPEN] = STATE_FEATURES,
                         [EVENT_CLOSE] = STATE_CLOSING,
                         [EVENT_LOST] = STATE_WAITING,
                         [EVENT_END] = STATE_CLOSED},
    [STATE_FEATURES] = {[EVENT_FEATURES] = STATE_BINDING,
                        [EVENT_RESUME] = STATE_RESUMING,
                        [EVENT_CLOSE] = STATE_CLOSING,
                        [EVENT_LOST] = STATE_WAITING,
                        [EVENT_END] = STATE_CLOSED},
    [STATE_RESUMING] = {[EVENT_FEATURES] = STATE_BINDING,
                        [EVENT_READY] = STATE_READY,
                        [EVENT_CLOSE] = STATE_CLOSING,
                        [EVENT_LOST] = STATE_WAITING,
                        [EVENT_END] = STATE_CLOSED},
    [STATE_ENABLING] = {[EVENT_READY] = STATE_READY,
                        [EVENT_CLOSE] = STATE_CLOSING,
                        [EVENT_LOST] = STATE_WAITING,
                        [EVENT_END] = STATE_CLOSED},
    [STATE_BINDING] = {[EVENT_ENABLE] = STATE_ENABLING,
                       [EVENT_BOUND] = STATE_SESSION,
                       [EVENT_READY] = STATE_READY,
                       [EVENT_CLOSE] = STATE_CLOSING,
                       [EVENT_LOST] = STATE_WAITING,
                       [EVENT_END] = STATE_CLOSED},
    [STATE_SESSION] = {[EVENT_ENABLE] = STATE_ENABLING,
                       [EVENT_READY] = STATE_READY,
                       [EVENT_CLOSE] = STATE_CLOSING,
                       [EVENT_LOST] = STATE_WAITING,
                       [EVENT_END] = STATE_CLOSED},
    [STATE_READY] = {[EVENT_CLOSE] = STATE_CLOSING,
                     [EVENT_LOST] = STATE_WAITING,
                     [EVENT_END] = STATE_CLOSED},
    [STATE_CLOSING] = {[EVENT_END] = STATE_CLOSED},
};

static const char *const state_names[STATE_COUNT] = {
    [STATE_NONE] = "none",           [STATE_NEW] = "new",
    [STATE_WAITING] = "waiting",     [STATE_RESUMING] = "resuming",
    [STATE_ENABLING] = "enabling",   [STATE_AUTH2] = "auth2",
    [STATE_DIALLING] = "dialling",   [STATE_OPENING] = "opening",
    [STATE_OFFER] = "offer",         [STATE_AUTH] = "auth",
    [STATE_REOPENING] = "reopening", [STATE_FEATURES] = "features",
    [STATE_BINDING] = "binding",     [STATE_SESSION] = "session",
    [STATE_READY] = "ready",         [STATE_CLOSING] = "closing",
    [STATE_CLOSED] = "closed",
};

static const char *const event_names[EVENT_COUNT] = {
    [EVENT_LOST] = "lost",         [EVENT_RETRY] = "retry",
    [EVENT_SASL2] = "sasl2",       [EVENT_RESUME] = "resume",
    [EVENT_ENABLE] = "enable",     [EVENT_CONNECT] = "connect",
    [EVENT_DIALLED] = "dialled",   [EVENT_OPEN] = "open",
    [EVENT_FEATURES] = "features", [EVENT_SUCCESS] = "success",
    [EVENT_BOUND] = "bound",       [EVENT_READY] = "ready",
    [EVENT_CLOSE] = "close",       [EVENT_END] = "end",
};

bool client_move(struct terse_client *client, enum client_event event) {
    enum client_state to = (enum client_state)transitions[client->state][event];
    char line[96];

    if (client->options.trace) {
        snprintf(line, sizeof(line), "state=%s event=%s to=%s move=%llu",
                 state_names[client->state], event_names[event],
                 to ? state_names[to] : "refused",
                 (unsigned long long)client->moves);
        client->options.trace(client->options.trace_arg, line);
    }
    if (!to)
        return false;
    client->state = to;
    client->moves++;
    pthread_cond_broadcast(&client->cond);
    return true;
}

bool client_logging_in(const struct terse_client *client) {
    return client->state >= STATE_DIALLING && client->state < STATE_READY;
}

/* What the server quotes may be cut in the midst of a character: that goes. */
static void trim(char *text) {
    size_t n = strlen(text), i = n;

    while (i > 0 && ((unsigned char)text[i - 1] & 0xc0) == 0x80)
        i--;
    if (i > 0 && (unsigned char)text[i - 1] >= 0xc0) {
        unsigned char lead = (unsigned char)text[i - 1];
        size_t need = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;

        if (n - (i - 1) < need)
            text[i - 1] = '\0';
    }
}

static void forget_credentials(struct terse_client *client) {
    client_sasl_fini(&client->sasl);
    client_wipe_free(client->password);
    client->password = NULL;
}

void client_cut(struct terse_client *client, enum net_close how) {
    struct net_conn *conn = client->conn;

    client->conn = NULL;
    client->paused = client->held_back = false;
    net_conn_close(conn, how, LAST_WORDS_MS);
    net_dial_cancel(client->dial);
    client->dial = NULL;
    client->beat_at = 0;
    if (client->timer) /* not, if they could not be made */
        net_timer_stop(client->timer);
    if (client->beat)
        net_timer_stop(client->beat);
}

/* After both have said Close, the server has all that was sent before. */
static void settle_box(struct terse_client *client) {
    if (client->state == STATE_CLOSING &&
        client->why.code == TERSE_CLIENT_ECLOSED && client->sm.on)
        (void)phone_box_acked(&client->box, client->box.sent);
    phone_box_fail(&client->box);
}

void client_finish(struct terse_client *client, bool polite,
                   const struct terse_client_error *why) {
    bool say_close = polite && client->state != STATE_CLOSING;

    client->why = *why;
    if (!client->stopping)
        settle_box(client);
    client_move(client, EVENT_END); /* from here on, nothing ends it again */
    if (say_close)
        client_put_close(client);
    if (client->conn)
        net_conn_flush(client->conn);
    /* After both have said Close, the peer has nothing left to say. */
    client_cut(client, say_close ? NET_CLOSE_LINGER
                       : polite  ? NET_CLOSE_FLUSH
                                 : NET_CLOSE_ABORT);
    forget_credentials(client);
    client_iq_abort(client, why->code);
}

void client_end(struct terse_client *client, bool polite,
                enum terse_client_err code, const char *condition,
                const char *text, ...) {
    struct terse_client_error why = {.code = code};
    va_list ap;

    if (client->state == STATE_CLOSED)
        return;
    snprintf(why.condition, sizeof(why.condition), "%s",
             condition ? condition : "");
    va_start(ap, text);
    vsnprintf(why.text, sizeof(why.text), text, ap);
    va_end(ap);
    trim(why.text);
    if (client->state == STATE_WAITING || !client_may_retry(client, &why)) {
        client_finish(client, polite, &why);
        return;
    }
    /* Without a Close: the session is to go on. */
    client_cut(client, NET_CLOSE_ABORT);
    client_link_lost(client, &why);
}

/* ---- time
 * ----------------------------------------------------------------------- */

uint64_t client_now(void) {
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

uint64_t client_deadline(int timeout_ms) {
    return timeout_ms < 0 ? UINT64_MAX : client_now() + (uint64_t)timeout_ms;
}

void client_wait(struct terse_client *client, uint64_t deadline) {
    struct timespec ts;

    if (deadline == UINT64_MAX) {
        pthread_cond_wait(&client->cond, &client->owner.lock);
        return;
    }
    ts.tv_sec = (time_t)(deadline / 1000);
    ts.tv_nsec = (long)(deadline % 1000) * 1000000;
    pthread_cond_timedwait(&client->cond, &client->owner.lock, &ts);
}
