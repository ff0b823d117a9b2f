/*
 * client_driver.c: libterse-client over TLS, a few times in a row: logs in,
 * sends itself a message, leaves. Prints a line for each visit.
 *
 *   client_driver HOST PORT JID CA-FILE VISITS    password: TERSE_PASSWORD
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/terse_client.h"

static bool is_echo(struct terse_stanza *stanza) {
    const Terse__Frame *got = terse_stanza_typed(stanza);

    return got && got->message && got->message->body &&
           strcmp(got->message->body, "to myself") == 0;
}

static enum terse_client_err talk(struct terse_client *client) {
    struct terse_stanza *stanza;
    char jid[300], xml[500];
    enum terse_client_err err = terse_client_connect(client);
    bool echoed = false;

    terse_client_jid(client, jid, sizeof(jid));
    snprintf(xml, sizeof(xml),
             "<message to='%s'><body>to myself</body></message>", jid);
    if (!err)
        err = terse_client_send_xml(client, xml, SIZE_MAX, -1, NULL);
    while (!err && !echoed) {
        err = terse_client_recv(client, 10000, &stanza);
        if (err)
            break;
        echoed = is_echo(stanza);
        terse_stanza_free(stanza);
    }
    return err ? err : terse_client_close(client);
}

static enum terse_client_err visit(const struct terse_client_options *options) {
    struct terse_client *client;
    struct terse_client_error why;
    enum terse_client_err err = terse_client_new(&client, options);

    if (err) {
        printf("none %s\n", terse_client_strerror(err));
        return err;
    }
    err = talk(client);
    terse_client_why(client, &why);
    if (err)
        printf("failed %s: %s\n", terse_client_strerror(err), why.text);
    else
        printf("good %s\n", terse_client_mechanism(client));
    terse_client_free(client);
    return err;
}

int main(int argc, char **argv) {
    struct terse_client_options options;
    struct terse_client_tls *tls;
    enum terse_client_err err;

    if (argc != 6)
        return 2;
    err = terse_client_tls_new(&tls, argv[4]);
    if (err) {
        printf("none %s\n", terse_client_strerror(err));
        return 1;
    }
    terse_client_options_init(&options);
    options.host = argv[1];
    options.port = (uint16_t)atoi(argv[2]);
    options.jid = argv[3];
    options.password = getenv("TERSE_PASSWORD");
    options.tls = tls;
    for (int i = atoi(argv[5]); !err && i > 0; i--)
        err = visit(&options);
    terse_client_tls_free(tls);
    return err != TERSE_CLIENT_OK;
}
