/*
 * text.h: what both ends of a measurement say: a login, and chat as a client
 * writes it and as ejabberd delivers it, with ids that never come twice.
 */
#ifndef BENCH_TEXT_H
#define BENCH_TEXT_H

#include "codec/terse.h"

#define TEXT_DOMAIN "im.example.net"
#define TEXT_RESOURCE "bench"

enum { TEXT_USER_MAX = 100000, TEXT_CONTACTS = 20 };

/* All append; the program ends where there is no memory. */
void text_add(struct terse_buf *out, const void *p, size_t n);
void text_put(struct terse_buf *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The header of a client. */
void text_client_header(struct terse_buf *out);
/* <auth/> by PLAIN for a user, whose password is pw-USER as of the test
 * server's users. */
void text_auth(struct terse_buf *out, unsigned user);
void text_bind(struct terse_buf *out);
/* What a client asks and tells when it has come online. */
void text_online(struct terse_buf *out);
/* Asks the server to keep no archive for this user (XEP-0313). */
void text_no_archive(struct terse_buf *out);
/* The n-th message that a client sends to a user. */
void text_message(struct terse_buf *out, unsigned to, uint64_t n);

/* ---- the server's part ----------------------------------------------------
 */

void text_server_header(struct terse_buf *out, const char *features);
/* The roster of TEXT_CONTACTS, their presence, and a message: the answer to
 * text_online. */
void text_roster(struct terse_buf *out, unsigned user);

/* A message to a client, ready to be copied but for its ids and its user. */
struct text_canned {
    struct terse_buf xml;
    size_t ids[4], users[8]; /* where they stand */
    size_t n_ids, n_users;
};
enum { TEXT_CANNED = 16 };
/* Makes the i-th of TEXT_CANNED. */
void text_can(struct text_canned *canned, unsigned i);
/* Appends it as the n-th message to a user. */
void text_serve(struct terse_buf *out, const struct text_canned *canned,
                unsigned user, uint64_t n);

#endif
