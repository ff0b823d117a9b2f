/*
 * hello.c: the least that one does with libterse-client. Logs in, says hello
 * to somebody and prints what comes, until nothing has come for 5 seconds.
 *
 *   TERSE_PASSWORD=… demo-hello HOST PORT alice@example.net bob@example.net
 */
#include "client/terse_client.h"

#include <stdio.h>
#include <stdlib.h>

static enum terse_client_err say_hello(struct terse_client *client, char *to) {
    Terse__Message message = TERSE__MESSAGE__INIT;
    Terse__Frame frame = TERSE__FRAME__INIT;
    char hello[] = "Hello!";

    frame.message = &message;
    message.to = to;
    message.has_type = 1;
    message.type = TERSE__MESSAGE_TYPE__CHAT;
    message.body = hello;
    return terse_client_send(client, &frame, -1, NULL);
}

static enum terse_client_err print_what_comes(struct terse_client *client) {
    struct terse_stanza *stanza;
    enum terse_client_err err;

    while (!(err = terse_client_recv(client, 5000, &stanza))) {
        const Terse__Frame *frame = terse_stanza_typed(stanza);

        if (frame && frame->message && frame->message->body)
            printf("%s: %s\n", frame->message->from, frame->message->body);
        /* Whatever they ask for, we cannot; not an iq get or set: EARG. */
        (void)!terse_client_refuse(client, stanza, "cancel",
                                   "service-unavailable", -1);
        terse_stanza_free(stanza);
    }
    return err == TERSE_CLIENT_ETIMEOUT ? TERSE_CLIENT_OK : err;
}

static int talk(struct terse_client *client, char *to) {
    struct terse_client_error why;
    enum terse_client_err err = terse_client_connect(client);

    if (!err)
        err = terse_client_send_xml(client, "<presence/>", SIZE_MAX, -1, NULL);
    if (!err)
        err = say_hello(client, to);
    if (!err)
        err = print_what_comes(client);
    terse_client_why(client, &why);
    if (err)
        fprintf(stderr, "%s %s %s\n", terse_client_strerror(err), why.condition,
                why.text);
    terse_client_close(client);
    return err != TERSE_CLIENT_OK;
}

int main(int argc, char **argv) {
    struct terse_client_options options;
    struct terse_client *client;
    int failed;

    if (argc != 5) {
        fprintf(stderr, "usage: %s HOST PORT OUR-JID THEIR-JID\n", argv[0]);
        return 2;
    }
    terse_client_options_init(&options);
    options.host = argv[1];
    options.port = (uint16_t)atoi(argv[2]);
    options.jid = argv[3];
    options.password = getenv("TERSE_PASSWORD");
    options.ca_file = getenv("TERSE_CA"); /* NULL: as the system trusts */
    options.clear = getenv("TERSE_CLEAR") != NULL;
    options.reconnect = TERSE_CLIENT_ON; /* if the network breaks */
    if (terse_client_new(&client, &options)) {
        fprintf(stderr, "no password, or arguments that cannot be\n");
        return 2;
    }
    failed = talk(client, argv[4]);
    terse_client_free(client);
    return failed;
}
