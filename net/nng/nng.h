/*
 * nng.h: what the files of net/nng share.
 */
#ifndef NET_NNG_NNG_H
#define NET_NNG_NNG_H

#include "net/io.h"

#include <nng/nng.h>

/* What an error number of nng means here. */
struct io_result nng_result(int rv, size_t n);

/* Takes nng's stream; NULL for lack of memory, and then it is closed. */
struct net_stream *stream_new(nng_stream *nng);

#endif
