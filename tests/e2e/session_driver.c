/*
 * session_driver.c: libterse-client for scripts: one account's session, driven
 * line by line on stdin; what happens is told on stdout, one line each, at
 * once.
 *
 *   e2e-session_driver host=HOST:PORT[,HOST:PORT] jid=JID [OPTION=VALUE …]
 *
 * The password is in TERSE_PASSWORD. Options are those of terse_client.h:
 *   ca=FILE clear=1 tls_name= device= lang= plain=1 carbons=1 sasl2=off
 *   location=on|off resend=yes|no reconnect=off restore=FILE (if it is there)
 *   login_ms= connect_ms= close_ms= ack_ms= answer_ms= heartbeat_ms=
 *   retry_least_ms= retry_most_ms= retries= outbox_stanzas= outbox_bytes=
 *   recv_frames= send_bytes= wait_ms= wait_bytes=
 * and of the driver:
 *   presence=1   sends <presence/> whenever a session begins
 *   quiet=1      no line for "delivery … sent" and "… queued"
 *   whole=1      messages are told as `stanza xml=X`, with all they hold
 *   trace=1      moves of the state machine, on stderr
 *
 * Commands (what follows the last word is taken up to the end of the line):
 *   connect
 *   send TO ID BODY        a chat message       -> posted number=1 id=ID
 *   burst TO PREFIX N      N messages with the ids PREFIX0, PREFIX1, …, whose
 *                          body is their id; in one piece -> posted … each
 *   xml XML                any stanza           -> posted number=…
 *   iq TYPE TO PAYLOAD     TO: - for the account -> answer …, some time later
 *   state NUMBER           -> state number=1 is=acked
 *   status                 -> status ready=yes sessions=1 … frames_in=
 *                          frames_out= bytes_in= bytes_out= (with framing,
 *                          before TLS) host=
 *   active, inactive       client state
 *   hint, hint changed     the network is back; or our address is another one
 *   export FILE            -> exported bytes=N, or failed …
 *   cork, uncork           what is sent between leaves in one piece
 *   wait                   -> idle, once nothing is left in the outbox, or
 *                          failed what=wait after 60 s; until then no further
 *                          command is read
 *   pause MS               so long until the next stanza is handled
 *   close                  the polite end        -> closed …
 *   quit                   the impolite one: the session stays; so does the end
 *                          of stdin
 *
 * Events:
 *   ready resumed=yes|no mechanism=M trips=N host=H jid=J
 *   lost code=N condition=C again=MS text=T
 *   closed code=N condition=C text=T           the last one
 *   delivery number=N is=queued|sent|acked|failed|unacked
 *   message from=F type=T id=I body=B          -: none; what else a message
 *                                              holds is not told
 *   stanza xml=X                               a message, with whole=1
 *   presence from=F type=T
 *   iq from=F type=T id=I                      answered if it is a request
 *   element name=N
 *   answer code=N xml=X
 *   failed what=… code=N text=T                a command that did not work
 *
 * In values that end a line, LF and CR are written as \n and \r, and \ as \\.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/terse_client.h"

static struct terse_client_options options;
static bool own_presence, quiet, whole;
static atomic_uint pause_ms;
static atomic_ullong frames_in, frames_out, bytes_in, bytes_out;
static pthread_mutex_t printing = PTHREAD_MUTEX_INITIALIZER;

/* ---- what is told
 * ------------------------------------------------------------ */

static void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One line, whatever thread it is from. */
static void tell(const char *format, ...) {
    va_list ap;

    va_start(ap, format);
    pthread_mutex_lock(&printing);
    vprintf(format, ap);
    putchar('\n');
    fflush(stdout);
    pthread_mutex_unlock(&printing);
    va_end(ap);
}

static void failed(const char *what, enum terse_client_err err) {
    tell("failed what=%s code=%d text=%s", what, (int)err,
         terse_client_strerror(err));
}

/* A new string, that stands in one line. */
static char *flat(const char *text) {
    char *out = malloc(strlen(text) * 2 + 1), *to = out;

    if (!out)
        abort();
    for (; *text; text++) {
        if (*text == '\n' || *text == '\r' || *text == '\\') {
            *to++ = '\\';
            *to++ = *text == '\n' ? 'n' : *text == '\r' ? 'r' : '\\';
        } else {
            *to++ = *text;
        }
    }
    *to = '\0';
    return out;
}

static const char *or_dash(const char *text) {
    return text && *text ? text : "-";
}

/* ---- callbacks
 * --------------------------------------------------------------- */

static void on_ready(void *arg, struct terse_client *client) {
    struct terse_client_status status;
    bool resumed = terse_client_resumed(client);
    char jid[3072];

    (void)arg;
    terse_client_status(client, &status);
    terse_client_jid(client, jid, sizeof(jid));
    if (own_presence && !resumed &&
        terse_client_send_xml(client, "<presence/>", SIZE_MAX, -1, NULL))
        tell("failed what=presence code=0 text=");
    tell("ready resumed=%s mechanism=%s trips=%u host=%s jid=%s",
         resumed ? "yes" : "no", or_dash(terse_client_mechanism(client)),
         status.round_trips, status.host, jid);
}

static void on_lost(void *arg, struct terse_client *client,
                    const struct terse_client_error *why, uint32_t again_ms) {
    char *text = flat(why->text);

    (void)arg;
    (void)client;
    tell("lost code=%d condition=%s again=%u text=%s", (int)why->code,
         or_dash(why->condition), again_ms, text);
    free(text);
}

static void on_closed(void *arg, struct terse_client *client,
                      const struct terse_client_error *why) {
    char *text = flat(why->text);

    (void)arg;
    (void)client;
    tell("closed code=%d condition=%s text=%s", (int)why->code,
         or_dash(why->condition), text);
    free(text);
}

static const char *const deliveries[] = {
    [TERSE_CLIENT_QUEUED] = "queued",   [TERSE_CLIENT_SENT] = "sent",
    [TERSE_CLIENT_ACKED] = "acked",     [TERSE_CLIENT_FAILED] = "failed",
    [TERSE_CLIENT_UNACKED] = "unacked",
};

static void on_delivery(void *arg, struct terse_client *client, uint64_t number,
                        enum terse_client_delivery delivery) {
    (void)arg;
    (void)client;
    if (!quiet || delivery >= TERSE_CLIENT_ACKED)
        tell("delivery number=%llu is=%s", (unsigned long long)number,
             deliveries[delivery]);
}

static void show_whole(struct terse_stanza *stanza) {
    char *xml = flat(or_dash(terse_stanza_xml(stanza, NULL)));

    tell("stanza xml=%s", xml);
    free(xml);
}

static void show_message(struct terse_stanza *stanza) {
    const Terse__Frame *typed = terse_stanza_typed(stanza);
    const Terse__Message *message = typed ? typed->message : NULL;
    const char *text = message && message->body ? message->body : NULL;
    char *body = flat(or_dash(text));

    tell("message from=%s type=%s id=%s body=%s",
         or_dash(terse_stanza_attr(stanza, "from")),
         or_dash(terse_stanza_attr(stanza, "type")),
         or_dash(terse_stanza_attr(stanza, "id")), body);
    free(body);
}

static void show_iq(struct terse_client *client, struct terse_stanza *stanza) {
    tell("iq from=%s type=%s id=%s", or_dash(terse_stanza_attr(stanza, "from")),
         or_dash(terse_stanza_attr(stanza, "type")),
         or_dash(terse_stanza_attr(stanza, "id")));
    if (terse_client_refuse(client, stanza, "cancel", "service-unavailable",
                            0) == TERSE_CLIENT_EFULL)
        tell("failed what=refuse code=%d text=", (int)TERSE_CLIENT_EFULL);
}

static void on_stanza(void *arg, struct terse_client *client,
                      struct terse_stanza *stanza) {
    const char *name = terse_stanza_name(stanza, NULL);
    unsigned ms = atomic_exchange(&pause_ms, 0);
    struct timespec pause = {ms / 1000, (long)(ms % 1000) * 1000000};

    (void)arg;
    if (ms)
        nanosleep(&pause, NULL);
    if (name && strcmp(name, "message") == 0 && whole)
        show_whole(stanza);
    else if (name && strcmp(name, "message") == 0)
        show_message(stanza);
    else if (name && strcmp(name, "presence") == 0)
        tell("presence from=%s type=%s",
             or_dash(terse_stanza_attr(stanza, "from")),
             or_dash(terse_stanza_attr(stanza, "type")));
    else if (name && strcmp(name, "iq") == 0)
        show_iq(client, stanza);
    else
        tell("element name=%s", or_dash(name));
}

static void on_answer(void *arg, struct terse_client *client,
                      enum terse_client_err err, struct terse_stanza *answer) {
    const char *xml = answer ? terse_stanza_xml(answer, NULL) : NULL;
    char *text = flat(or_dash(xml));

    (void)arg;
    (void)client;
    tell("answer code=%d xml=%s", (int)err, text);
    free(text);
}

static void on_traffic(void *arg, const struct terse_client_traffic *traffic) {
    (void)arg;
    atomic_fetch_add(traffic->sent ? &frames_out : &frames_in, 1);
    atomic_fetch_add(traffic->sent ? &bytes_out : &bytes_in, traffic->wire);
}

static void on_trace(void *arg, const char *line) {
    (void)arg;
    fprintf(stderr, "%s\n", line);
}

/* ---- options
 * ----------------------------------------------------------------- */

static enum terse_client_switch to_switch(const char *value) {
    return strcmp(value, "off") == 0 || strcmp(value, "0") == 0
               ? TERSE_CLIENT_OFF
               : TERSE_CLIENT_ON;
}

static bool set_number(const char *name, const char *value) {
    static const struct {
        const char *name;
        uint32_t *at;
    } rows[] = {
        {"login_ms", &options.login_ms},
        {"connect_ms", &options.connect_ms},
        {"close_ms", &options.close_ms},
        {"ack_ms", &options.ack_ms},
        {"answer_ms", &options.answer_ms},
        {"heartbeat_ms", &options.heartbeat_ms},
        {"retry_least_ms", &options.retry_least_ms},
        {"retry_most_ms", &options.retry_most_ms},
        {"retries", &options.retries},
        {"wait_ms", &options.wait_ms},
        {"wait_bytes", &options.wait_bytes},
        {"outbox_stanzas", &options.outbox_stanzas},
        {"recv_frames", &options.recv_frames},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strcmp(rows[i].name, name) == 0) {
            *rows[i].at = (uint32_t)strtoul(value, NULL, 10);
            return true;
        }
    return false;
}

static bool set_string(const char *name, const char *value) {
    const struct {
        const char *name;
        const char **at;
    } rows[] = {
        {"host", &options.host},     {"jid", &options.jid},
        {"ca", &options.ca_file},    {"tls_name", &options.tls_name},
        {"device", &options.device}, {"lang", &options.lang},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strcmp(rows[i].name, name) == 0) {
            *rows[i].at = value;
            return true;
        }
    return false;
}

static void restore(const char *path) {
    FILE *f = fopen(path, "rb");
    char *blob;
    long n;

    if (!f)
        return;
    fseek(f, 0, SEEK_END);
    n = ftell(f);
    rewind(f);
    blob = n > 0 ? malloc((size_t)n) : NULL;
    if (blob && fread(blob, 1, (size_t)n, f) == (size_t)n) {
        options.restore = blob; /* until the process ends */
        options.n_restore = (size_t)n;
    }
    fclose(f);
}

static bool set_other(const char *name, const char *value) {
    bool on = to_switch(value) == TERSE_CLIENT_ON;

    if (strcmp(name, "clear") == 0)
        options.clear = on;
    else if (strcmp(name, "location") == 0)
        options.location = to_switch(value);
    else if (strcmp(name, "plain") == 0)
        options.allow_plain = on;
    else if (strcmp(name, "carbons") == 0)
        options.carbons = on;
    else if (strcmp(name, "sasl2") == 0)
        options.sasl2 = to_switch(value);
    else if (strcmp(name, "reconnect") == 0)
        options.reconnect = to_switch(value);
    else if (strcmp(name, "resend") == 0)
        options.resend = strcmp(value, "yes") == 0 ? TERSE_CLIENT_RESEND_YES
                                                   : TERSE_CLIENT_RESEND_NO;
    else if (strcmp(name, "outbox_bytes") == 0)
        options.outbox_bytes = strtoull(value, NULL, 10);
    else if (strcmp(name, "send_bytes") == 0)
        options.send_bytes = strtoull(value, NULL, 10);
    else if (strcmp(name, "restore") == 0)
        restore(value);
    else if (strcmp(name, "presence") == 0)
        own_presence = on;
    else if (strcmp(name, "quiet") == 0)
        quiet = on;
    else if (strcmp(name, "whole") == 0)
        whole = on;
    else if (strcmp(name, "trace") == 0)
        options.trace = on ? on_trace : NULL;
    else
        return false;
    return true;
}

static bool set(char *argument) {
    char *value = strchr(argument, '=');

    if (!value)
        return false;
    *value++ = '\0';
    return set_string(argument, value) || set_number(argument, value) ||
           set_other(argument, value);
}

/* ---- commands
 * ---------------------------------------------------------------- */

/* The next word; *rest goes behind it. "" at the end. */
static char *word(char **rest) {
    char *at = *rest + strspn(*rest, " ");
    size_t n = strcspn(at, " ");

    *rest = at + n;
    if (**rest) {
        **rest = '\0';
        (*rest)++;
    }
    return at;
}

/* What is text becomes XML, in a new string. */
static char *escaped(const char *text) {
    char *out = malloc(strlen(text) * 6 + 1), *to = out;

    if (!out)
        abort();
    for (; *text; text++) {
        const char *as = *text == '&'    ? "&amp;"
                         : *text == '<'  ? "&lt;"
                         : *text == '>'  ? "&gt;"
                         : *text == '\'' ? "&apos;"
                                         : NULL;
        size_t n = as ? strlen(as) : 1;

        memcpy(to, as ? as : text, n);
        to += n;
    }
    *to = '\0';
    return out;
}

static void post(struct terse_client *client, const char *xml, const char *id) {
    struct terse_error error = {0};
    uint64_t number = 0;
    enum terse_client_err err = terse_client_post_xml(
        client, xml, SIZE_MAX, TERSE_CLIENT_RESEND_DEFAULT, 0, &number, &error);

    if (err)
        failed(error.text[0] ? error.text : "send", err);
    else
        tell("posted number=%llu id=%s", (unsigned long long)number, id);
}

static void send_message(struct terse_client *client, const char *to,
                         const char *id, const char *body) {
    char *to_xml = escaped(to), *id_xml = escaped(id),
         *body_xml = escaped(body);
    size_t n = strlen(to_xml) + strlen(id_xml) + strlen(body_xml) + 100;
    char *xml = malloc(n);

    if (!xml)
        abort();
    snprintf(xml, n,
             "<message to='%s' type='chat' id='%s'><body>%s</body></message>",
             to_xml, id_xml, body_xml);
    post(client, xml, id);
    free(xml);
    free(to_xml);
    free(id_xml);
    free(body_xml);
}

static void burst(struct terse_client *client, char *rest) {
    const char *to = word(&rest), *prefix = word(&rest);
    long n = strtol(word(&rest), NULL, 10);

    terse_client_cork(client);
    for (long i = 0; i < n; i++) {
        char id[128];

        snprintf(id, sizeof(id), "%s%ld", prefix, i);
        send_message(client, to, id, id);
    }
    terse_client_uncork(client);
}

static void ask(struct terse_client *client, char *rest) {
    const char *type = word(&rest), *to = word(&rest);
    enum terse_client_err err = terse_client_iq_xml_async(
        client, type, strcmp(to, "-") == 0 ? NULL : to, rest, 60000, on_answer,
        NULL);

    if (err)
        failed("iq", err);
}

static void show_state(struct terse_client *client, const char *number) {
    enum terse_client_delivery delivery;
    enum terse_client_err err =
        terse_client_delivery_of(client, strtoull(number, NULL, 10), &delivery);

    if (err)
        failed("state", err);
    else
        tell("state number=%s is=%s", number, deliveries[delivery]);
}

static void show_status(struct terse_client *client) {
    struct terse_client_status s;

    terse_client_status(client, &s);
    tell("status ready=%s lasting=%s sessions=%u resumptions=%u attempts=%u "
         "trips=%u queued=%u sent=%u outbox_bytes=%zu frames_in=%llu "
         "frames_out=%llu bytes_in=%llu bytes_out=%llu host=%s",
         s.ready ? "yes" : "no", s.lasting ? "yes" : "no", s.sessions,
         s.resumptions, s.attempts, s.round_trips, s.queued, s.sent,
         s.outbox_bytes, atomic_load(&frames_in), atomic_load(&frames_out),
         atomic_load(&bytes_in), atomic_load(&bytes_out), s.host);
}

static void export_to(struct terse_client *client, const char *path) {
    void *blob;
    size_t n;
    enum terse_client_err err = terse_client_export(client, &blob, &n);
    FILE *f;

    if (err) {
        failed("export", err);
        return;
    }
    f = fopen(path, "wb");
    if (f && fwrite(blob, 1, n, f) == n && fclose(f) == 0)
        tell("exported bytes=%zu", n);
    else
        failed("export", TERSE_CLIENT_EARG);
    free(blob);
}

static void wait_idle(struct terse_client *client) {
    const struct timespec pause = {0, 5000000};
    struct terse_client_status s = {.queued = 1};

    for (int i = 0; i < 12000 && s.queued + s.sent > 0; i++) {
        nanosleep(&pause, NULL);
        terse_client_status(client, &s);
    }
    if (s.queued + s.sent > 0)
        failed("wait", TERSE_CLIENT_ETIMEOUT);
    else
        tell("idle");
}

/* False: it was the last one. */
static bool obey(struct terse_client *client, char *rest) {
    const char *verb = word(&rest);
    enum terse_client_err err = TERSE_CLIENT_OK;

    if (strcmp(verb, "connect") == 0) {
        err = terse_client_connect(client);
    } else if (strcmp(verb, "send") == 0) {
        const char *to = word(&rest), *id = word(&rest);

        send_message(client, to, id, rest);
    } else if (strcmp(verb, "burst") == 0) {
        burst(client, rest);
    } else if (strcmp(verb, "xml") == 0) {
        post(client, rest, "-");
    } else if (strcmp(verb, "iq") == 0) {
        ask(client, rest);
    } else if (strcmp(verb, "state") == 0) {
        show_state(client, word(&rest));
    } else if (strcmp(verb, "status") == 0) {
        show_status(client);
    } else if (strcmp(verb, "active") == 0) {
        err = terse_client_active(client);
    } else if (strcmp(verb, "inactive") == 0) {
        err = terse_client_inactive(client);
    } else if (strcmp(verb, "hint") == 0) {
        terse_client_hint_network(client, strcmp(word(&rest), "changed") == 0);
    } else if (strcmp(verb, "export") == 0) {
        export_to(client, word(&rest));
    } else if (strcmp(verb, "cork") == 0) {
        terse_client_cork(client);
    } else if (strcmp(verb, "uncork") == 0) {
        terse_client_uncork(client);
    } else if (strcmp(verb, "wait") == 0) {
        wait_idle(client);
    } else if (strcmp(verb, "pause") == 0) {
        atomic_store(&pause_ms, (unsigned)strtoul(word(&rest), NULL, 10));
    } else if (strcmp(verb, "close") == 0) {
        err = terse_client_close(client);
    } else if (strcmp(verb, "quit") == 0) {
        return false;
    } else if (*verb) {
        err = TERSE_CLIENT_EARG;
    }
    if (err)
        failed(verb, err);
    return true;
}

int main(int argc, char **argv) {
    struct terse_client *client;
    enum terse_client_err err;
    size_t room = 0;
    char *line = NULL;
    ssize_t n;

    terse_client_options_init(&options);
    options.password = getenv("TERSE_PASSWORD");
    options.on.ready = on_ready;
    options.on.lost = on_lost;
    options.on.stanza = on_stanza;
    options.on.closed = on_closed;
    options.on.delivery = on_delivery;
    options.traffic = on_traffic;
    for (int i = 1; i < argc; i++)
        if (!set(argv[i])) {
            fprintf(stderr, "session_driver: what is %s?\n", argv[i]);
            return 2;
        }
    err = terse_client_new(&client, &options);
    if (err) {
        failed("new", err);
        return 1;
    }
    while ((n = getline(&line, &room, stdin)) > 0) {
        if (line[n - 1] == '\n')
            line[n - 1] = '\0';
        if (!obey(client, line))
            break;
    }
    free(line);
    terse_client_free(client);
    return 0;
}
