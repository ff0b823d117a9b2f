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

/* What a login gets, and what a return by that token does. */
#define FAKE_TOKEN "c2VjcmV0LXRva2VuLTAxMjM0NTY3ODk="
/* By Python's hmac: what the owner of FAKE_TOKEN answers. */
#define FAKE_ANSWER "oqL+Anhoj+titz7okVNcvIGTAKAtopc0d++xigDGhn8="
#define FAKE_ENABLED(more)                                                     \
    "<bound xmlns='" PHONE_NS_BIND2 "'><enabled xmlns='" PHONE_NS_SM           \
    "' id='one' resume='true'" more "/></bound>"
#define FAKE_BOUND FAKE_ENABLED("")
#define FAKE_NEXT                                                              \
    "<token xmlns='" PHONE_NS_FAST "' token='" FAKE_TOKEN                      \
    "' expiry='2030-01-01T00:00:00Z'/>"
#define FAKE_BOUND_TOKEN FAKE_BOUND FAKE_NEXT
#define FAKE_RESUMED(h)                                                        \
    "<resumed xmlns='" PHONE_NS_SM "' h='" h "' previd='one'/>"

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
    bool beats;        /* its Open says that it knows heartbeats */
    bool old;          /* knows of no state and of no revision of the schemas */
    uint8_t open[256]; /* the client's last Open, as it came on the wire */
    size_t n_open;
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
/* The next frame must be a ping; it is not answered. */
void fake_expect_ping(struct fake *fake);
void fake_pong(struct fake *fake);
/* Nothing may come for so long. */
void fake_expect_silence(struct fake *fake, int ms);
/* Whether the last frame that was expected holds that text as it is, none of it
 * packed or a number. */
void fake_expect_plain(struct fake *fake, const char *text, bool plain);
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
/* The last Open must say that number in a field of Frame beside it; -1: must
 * not have it. */
void fake_expect_beside(struct fake *fake, uint32_t field, int64_t value);

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
/* A return in one flight: the client must know FAKE_TOKEN and the session
 * 'one', with that h. Header and empty features have been sent. */
void fake_expect_return(struct fake *fake, const char *h);

/* ---- the test's side
 * -------------------------------------------------------------------- */

/* Of a client in the blocking style that reconnects, fast. */
struct terse_client_options fake_options(const struct fake *fake);
/* What terse_client_export gave: whatever is cut off of it or wrong in it, it
 * is refused, or taken as it is. */
void fake_try_damaged(const struct terse_client_options *like,
                      const uint8_t *blob, size_t n);
/* Until the client is ready for the nth time. */
struct terse_client_status fake_await_ready(struct terse_client *client,
                                            uint32_t n);

#endif
