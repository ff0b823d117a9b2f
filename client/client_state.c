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
    [STATE_DIALLING] =
        {[EVENT_DIALLED] = STATE_OPENING, [EVENT_END] = STATE_CLOSED},
    [STATE_OPENING] = {[EVENT_OPEN] = STATE_OFFER,
                       [EVENT_CLOSE] = STATE_CLOSING,
                       [EVENT_END] = STATE_CLOSED},
    [STATE_OFFER] = {[EVENT_FEATURES] = STATE_AUTH,
                     [EVENT_CLOSE] = STATE_CLOSING,
                     [EVENT_END] = STATE_CLOSED},
    [STATE_AUTH] = {[EVENT_SUCCESS] = STATE_REOPENING,
                    [EVENT_CLOSE] = STATE_CLOSING,
                    [EVENT_END] = STATE_CLOSED},
    [STATE_REOPENING] = {[EVENT_OPEN] = STATE_FEATURES,
                         [EVENT_CLOSE] = STATE_CLOSING,
                         [EVENT_END] = STATE_CLOSED},
    [STATE_FEATURES] = {[EVENT_FEATURES] = STATE_BINDING,
                        [EVENT_CLOSE] = STATE_CLOSING,
                        [EVENT_END] = STATE_CLOSED},
    [STATE_BINDING] = {[EVENT_BOUND] = STATE_SESSION,
                       [EVENT_READY] = STATE_READY,
                       [EVENT_CLOSE] = STATE_CLOSING,
                       [EVENT_END] = STATE_CLOSED},
    [STATE_SESSION] = {[EVENT_READY] = STATE_READY,
                       [EVENT_CLOSE] = STATE_CLOSING,
                       [EVENT_END] = STATE_CLOSED},
    [STATE_READY] = {[EVENT_CLOSE] = STATE_CLOSING, [EVENT_END] = STATE_CLOSED},
    [STATE_CLOSING] = {[EVENT_END] = STATE_CLOSED},
};

static const char *const state_names[STATE_COUNT] = {
    [STATE_NONE] = "none",           [STATE_NEW] = "new",
    [STATE_DIALLING] = "dialling",   [STATE_OPENING] = "opening",
    [STATE_OFFER] = "offer",         [STATE_AUTH] = "auth",
    [STATE_REOPENING] = "reopening", [STATE_FEATURES] = "features",
    [STATE_BINDING] = "binding",     [STATE_SESSION] = "session",
    [STATE_READY] = "ready",         [STATE_CLOSING] = "closing",
    [STATE_CLOSED] = "closed",
};

static const char *const event_names[EVENT_COUNT] = {
    [EVENT_CONNECT] = "connect", [EVENT_DIALLED] = "dialled",
    [EVENT_OPEN] = "open",       [EVENT_FEATURES] = "features",
    [EVENT_SUCCESS] = "success", [EVENT_BOUND] = "bound",
    [EVENT_READY] = "ready",     [EVENT_CLOSE] = "close",
    [EVENT_END] = "end",
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

void client_end(struct terse_client *client, bool polite,
                enum terse_client_err code, const char *condition,
                const char *text, ...) {
    struct net_conn *conn;
    bool say_close;
    va_list ap;

    if (client->state == STATE_CLOSED)
        return;
    client->why.code = code;
    snprintf(client->why.condition, sizeof(client->why.condition), "%s",
             condition ? condition : "");
    va_start(ap, text);
    vsnprintf(client->why.text, sizeof(client->why.text), text, ap);
    va_end(ap);
    trim(client->why.text);
    say_close = polite && client->state != STATE_CLOSING;
    client_move(client, EVENT_END); /* from here on, nothing ends it again */
    if (say_close)
        client_put_close(client);
    conn = client->conn;
    client->conn = NULL;
    /* After both have said Close, the peer has nothing left to say. */
    net_conn_close(conn,
                   say_close ? NET_CLOSE_LINGER
                   : polite  ? NET_CLOSE_FLUSH
                             : NET_CLOSE_ABORT,
                   LAST_WORDS_MS);
    net_dial_cancel(client->dial);
    client->dial = NULL;
    if (client->timer) /* not, if it could not be made */
        net_timer_stop(client->timer);
    forget_credentials(client);
    client_iq_abort(client, code);
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
