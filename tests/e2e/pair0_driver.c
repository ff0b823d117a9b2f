/*
 * pair0_driver.c: an XMPP client's connection, driven over stdin and stdout.
 *
 *   pair0_driver xml host:port          XML over TCP (the control)
 *   pair0_driver pair0 tcp://host:port  frames over an nng pair0 socket
 *
 * Commands, one a line; \n, \r and \\ stand for line ends and a backslash:
 *   send XML                the next bytes of the stream, header included
 *   restart                 a new stream begins, after SASL success
 *   sasl MECH USER PASSWORD begins SASL; answers "sasl BASE64"
 *   step BASE64             the server's challenge; answers "sasl BASE64",
 *                           "sasl-done BASE64" or "sasl-error TEXT"
 *   drop                    loses the connection with nothing said
 * What comes from the server is printed as wire.h says. Ends with stdin.
 */
#include <gsasl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/e2e/wire/wire.h"

static pthread_mutex_t out_lock = PTHREAD_MUTEX_INITIALIZER;

void emit(const char *tag, const char *text, size_t n) {
    pthread_mutex_lock(&out_lock);
    fputs(tag, stdout);
    fputc(' ', stdout);
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\\' || text[i] == '\n' || text[i] == '\r') {
            fputc('\\', stdout);
            fputc(text[i] == '\n' ? 'n' : text[i] == '\r' ? 'r' : '\\', stdout);
        } else {
            fputc(text[i], stdout);
        }
    }
    fputc('\n', stdout);
    fflush(stdout);
    pthread_mutex_unlock(&out_lock);
}

static void say(const char *tag, const char *text) {
    emit(tag, text, strlen(text));
}

/* Undoes the escapes in place; the new length. */
static size_t unescape(char *s) {
    char *to = s;
    for (const char *from = s; *from; from++) {
        if (*from == '\\' && from[1]) {
            from++;
            *to++ = (char)(*from == 'n' ? '\n' : *from == 'r' ? '\r' : *from);
        } else {
            *to++ = *from;
        }
    }
    *to = 0;
    return (size_t)(to - s);
}

static void sasl_step(Gsasl_session *session, const char *challenge) {
    char *answer = NULL;
    int rc = gsasl_step64(session, challenge, &answer);
    if (rc == GSASL_OK || rc == GSASL_NEEDS_MORE)
        say(rc == GSASL_OK ? "sasl-done" : "sasl", answer ? answer : "");
    else
        say("sasl-error", gsasl_strerror(rc));
    gsasl_free(answer);
}

/* args: "MECH USER PASSWORD" */
static Gsasl_session *sasl_begin(Gsasl *ctx, char *args) {
    Gsasl_session *session = NULL;
    char *save, *mech = strtok_r(args, " ", &save);
    char *user = strtok_r(NULL, " ", &save), *pass = strtok_r(NULL, "", &save);
    if (!pass || gsasl_client_start(ctx, mech, &session) != GSASL_OK) {
        say("sasl-error", "cannot start");
        return NULL;
    }
    if (gsasl_property_set(session, GSASL_AUTHID, user) != GSASL_OK ||
        gsasl_property_set(session, GSASL_PASSWORD, pass) != GSASL_OK)
        say("sasl-error", "no memory");
    else
        sasl_step(session, NULL);
    return session;
}

static void command(const struct wire_ops *wire, Gsasl *ctx,
                    Gsasl_session **session, char *line) {
    char *args = strchr(line, ' ');
    if (args)
        *args++ = 0;
    else
        args = line + strlen(line);
    if (strcmp(line, "send") == 0) {
        if (wire->send(args, unescape(args)))
            say("note", "send failed");
    } else if (strcmp(line, "restart") == 0) {
        wire->restart();
    } else if (strcmp(line, "sasl") == 0) {
        if (*session)
            gsasl_finish(*session);
        *session = sasl_begin(ctx, args);
    } else if (strcmp(line, "step") == 0 && *session) {
        sasl_step(*session, args);
    } else if (strcmp(line, "drop") == 0) {
        wire->drop();
    } else {
        say("bad", "unknown command");
    }
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    const struct wire_ops *wire =
        strcmp(argv[1], "xml") == 0 ? &wire_xml : &wire_pair0;
    Gsasl *ctx;
    Gsasl_session *session = NULL;
    if (gsasl_init(&ctx) != GSASL_OK)
        return 1;
    if (wire->dial(argv[2])) {
        say("gone", "cannot connect");
        return 1;
    }
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    while ((n = getline(&line, &cap, stdin)) > 0) {
        if (line[n - 1] == '\n')
            line[n - 1] = 0;
        command(wire, ctx, &session, line);
    }
    free(line);
    /* The wire's thread still runs: leave without tearing down under it. */
    fflush(stdout);
    _exit(0);
}
