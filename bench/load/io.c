/* io.c: see io.h. */
#include "bench/load/io.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <openssl/err.h>

void die(const char *format, ...) {
    va_list args;

    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

uint64_t io_now(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void io_raise_limit(void) {
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit))
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static struct sockaddr_in parse(const char *address) {
    struct sockaddr_in to = {.sin_family = AF_INET};
    const char *colon = strrchr(address, ':');
    char host[64];

    if (!colon || (size_t)(colon - address) >= sizeof(host))
        die("%s: not host:port", address);
    memcpy(host, address, (size_t)(colon - address));
    host[colon - address] = '\0';
    to.sin_port = htons((uint16_t)atoi(colon + 1));
    if (inet_pton(AF_INET, host, &to.sin_addr) != 1)
        die("%s: not an IPv4 address", address);
    return to;
}

static void tune(int fd) {
    int on = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

int io_listen(const char *address) {
    struct sockaddr_in at = parse(address);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
        bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 4096))
        die("%s: %s", address, strerror(errno));
    return fd;
}

int io_connect(const char *address, unsigned from) {
    struct sockaddr_in to = parse(address);
    struct sockaddr_in local = {.sin_family = AF_INET};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    tune(fd);
    local.sin_addr.s_addr = htonl(0x7f000000u + from);
    /* The port is chosen at connect, when the peer is known: so each peer has
     * a range of its own. */
    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&local, sizeof(local)) == 0 &&
        (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 ||
         errno == EINPROGRESS))
        return fd;
    on = errno;
    close(fd);
    errno = on;
    return -1;
}

int io_accept(int listening) {
    int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK);

    if (fd >= 0)
        tune(fd);
    return fd;
}

void io_close(struct io *io) {
    /* A session whose end was not told could not be resumed. */
    if (io->ssl)
        SSL_set_shutdown(io->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(io->ssl);
    io->ssl = NULL;
    if (io->fd >= 0)
        close(io->fd);
    io->fd = -1;
}

static ssize_t tls_result(struct io *io, int n) {
    int why;

    if (n > 0)
        return n;
    why = SSL_get_error(io->ssl, n);
    ERR_clear_error();
    if (why == SSL_ERROR_WANT_WRITE)
        io->want_write = true;
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? -1 : 0;
}

static ssize_t plain_result(ssize_t n) {
    if (n >= 0)
        return n;
    return errno == EAGAIN || errno == EINTR || errno == ENOTCONN ? -1 : 0;
}

ssize_t io_read(struct io *io, void *p, size_t n) {
    if (io->ssl)
        return tls_result(io, SSL_read(io->ssl, p, (int)n));
    return plain_result(read(io->fd, p, n));
}

ssize_t io_write(struct io *io, const void *p, size_t n) {
    ssize_t done;

    if (io->ssl)
        return tls_result(io, SSL_write(io->ssl, p, (int)n));
    done = plain_result(send(io->fd, p, n, MSG_NOSIGNAL));
    io->want_write = done != 0 && done != (ssize_t)n;
    return done;
}

void io_secure(struct io *io, SSL_CTX *ctx, const char *name,
               SSL_SESSION *session) {
    io->ssl = SSL_new(ctx);
    if (!io->ssl || !SSL_set_fd(io->ssl, io->fd))
        die("TLS: out of memory");
    SSL_set_mode(io->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    if (!name) {
        SSL_set_accept_state(io->ssl);
        return;
    }
    SSL_set_connect_state(io->ssl);
    if (!SSL_set_tlsext_host_name(io->ssl, name) ||
        !SSL_set1_host(io->ssl, name) ||
        (session && !SSL_set_session(io->ssl, session)))
        die("TLS: out of memory");
}
