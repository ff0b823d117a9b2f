/*
 * client_fake.h: a tersed that follows a script, on loopback. The script runs
 * on a thread of its own and talks through the functions below; the first thing
 * that goes wrong is kept and reported by fake_stop.
 */
#ifndef CLIENT_FAKE_H
#define CLIENT_FAKE_H

#include "client/client.h"

#define FAKE_USER "romeo"
#define FAKE_PASSWORD "wherefore-\xc3\xa4rt"
#define FAKE_DOMAIN "example.net"
#define FAKE_JID FAKE_USER "@" FAKE_DOMAIN "/orchard"

struct fake {
    struct client_codec *codec;
    struct net_framer framer;
    struct terse_peer *peer; /* remembers as a real one does */
    struct terse_work work;
    struct terse_buf wire, plain;
    int listener, fd;
    uint16_t port;
    pthread_t thread;
    void (*script)(struct fake *fake);
    void *arg;
    char *last;        /* XML of the last frame that was expected */
    char failure[512]; /* the first, or "" */
};

/* Listens and runs script(fake) once a client has connected. */
void fake_start(struct fake *fake, void (*script)(struct fake *fake),
                void *arg);
/* Waits for the script; fails the test if the script did. */
void fake_stop(struct fake *fake);

/* What scripts do. After a failure each of them does nothing. */

/* The next frame must hold this text in its XML ("<open" for an Open, "<close"
 * for a Close). */
void fake_expect(struct fake *fake, const char *text);
/* The client must close the connection. */
void fake_expect_eof(struct fake *fake);
void fake_send(struct fake *fake, const char *xml);
void fake_send_open(struct fake *fake);
void fake_send_close(struct fake *fake);
/* Bytes as they are. */
void fake_send_raw(struct fake *fake, const void *p, size_t n);
/* Reads no more for a while. */
void fake_sleep(unsigned ms);
/* Answers an iq: the id is that of the last frame expected. %s in xml is it. */
void fake_answer(struct fake *fake, const char *xml);
void fake_fail(struct fake *fake, const char *text);

/* Preface, Open and features that offer these mechanisms ("A B"). */
void fake_offer(struct fake *fake, const char *mechanisms);
/* The server's side of SASL by gsasl; `password` is what it knows. True if the
 * client was let in. */
bool fake_sasl(struct fake *fake, const char *mechanism, const char *password);
/* All from the preface to the bound resource. */
void fake_login(struct fake *fake);
/* Hangs up and waits for the next connection. */
void fake_again(struct fake *fake);
/* The offer of SASL2 with these mechanisms, with all that comes inline. */
void fake_offer2(struct fake *fake, const char *mechanisms);
/* The server's side of SASL2, whose <authenticate/> came last. True if the
 * client may be let in: data is what <additional-data/> has to say then. */
bool fake_sasl2(struct fake *fake, const char *mechanism, char data[512]);
/* <success/> with that data (NULL: none) and `inner`, then features. */
void fake_success2(struct fake *fake, const char *data, const char *inner);
/* Header, offer, SASL2 and success, for a client that says all at once. */
void fake_login2(struct fake *fake, const char *inner);

#endif
