/*
 * io.h: a socket that does not block, with or without TLS, for the two ends of
 * a measurement. One thread; no memory but OpenSSL's.
 */
#ifndef BENCH_IO_H
#define BENCH_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <openssl/ssl.h>

struct io {
    int fd;
    SSL *ssl;        /* NULL: in clear */
    bool want_write; /* the last write waits for room in the socket */
};

/* Prints what does not work, and ends the program. */
void die(const char *format, ...)
    __attribute__((noreturn, format(printf, 1, 2)));

/* Monotonic nanoseconds. */
uint64_t io_now(void);
/* As many descriptors as the system lets this process have. */
void io_raise_limit(void);
/* A listening socket on `address` ("127.0.0.1:5222"); ends the program if there
 * is none. */
int io_listen(const char *address);
/* A socket on its way to `address`, from 127.0.0.`from`; -1 with errno. */
int io_connect(const char *address, unsigned from);
int io_accept(int listening);
void io_close(struct io *io);

/* > 0: bytes; 0: the peer has closed or it broke; -1: not now. */
ssize_t io_read(struct io *io, void *p, size_t n);
ssize_t io_write(struct io *io, const void *p, size_t n);

/* From now on TLS; the handshake goes on with the reads. session: to resume, or
 * NULL. name: what the certificate must be for; NULL: this end accepts. */
void io_secure(struct io *io, SSL_CTX *ctx, const char *name,
               SSL_SESSION *session);

#endif
