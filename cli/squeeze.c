/*
 * squeeze.c: see squeeze.h.
 */
#include "squeeze.h"

#include <lzma.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of one direction that are kept for xz. */
#define WHOLE_MAX (256u * 1024 * 1024)

void squeeze_init(struct squeeze *squeeze) {
    memset(squeeze, 0, sizeof(*squeeze));
    terse_buf_init(&squeeze->whole, WHOLE_MAX);
}

void squeeze_fini(struct squeeze *squeeze) {
    if (squeeze->open)
        deflateEnd(&squeeze->stream);
    squeeze->open = false;
    terse_buf_fini(&squeeze->whole);
}

enum terse_err squeeze_add(struct squeeze *squeeze, const void *p, size_t n) {
    uint8_t sink[16384];
    z_stream *z = &squeeze->stream;
    if (n > UINT32_MAX)
        return TERSE_ELIMIT;
    if (!squeeze->open) {
        memset(z, 0, sizeof(*z));
        if (deflateInit(z, 9) != Z_OK)
            return TERSE_ENOMEM;
        squeeze->open = true;
    }
    z->next_in = (Bytef *)(uintptr_t)p; /* zlib only reads it */
    z->avail_in = (uInt)n;
    do {
        z->next_out = sink;
        z->avail_out = sizeof(sink);
        /* Z_BUF_ERROR only says that there was nothing left to flush. */
        int rc = deflate(z, Z_SYNC_FLUSH);
        if (rc != Z_OK && rc != Z_BUF_ERROR)
            return TERSE_ENOMEM;
        squeeze->zlib9 += sizeof(sink) - z->avail_out;
    } while (z->avail_out == 0);
    return terse_buf_append(&squeeze->whole, p, n);
}

/* `xz -9e` of n bytes. Its dictionary of 64 MiB would cost 674 MiB of memory;
 * one that holds all of the input finds the same matches. */
static enum terse_err xz_size(const uint8_t *p, size_t n, uint64_t *size) {
    lzma_options_lzma options;
    lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &options},
                             {LZMA_VLI_UNKNOWN, NULL}};
    size_t cap = lzma_stream_buffer_bound(n), used = 0;
    if (lzma_lzma_preset(&options, 9 | LZMA_PRESET_EXTREME))
        return TERSE_ENOMEM;
    while (options.dict_size / 2 >= n && options.dict_size > 65536)
        options.dict_size /= 2;
    uint8_t *out = malloc(cap);
    if (!out)
        return TERSE_ENOMEM;
    lzma_ret rc = lzma_stream_buffer_encode(filters, LZMA_CHECK_CRC64, NULL, p,
                                            n, out, &used, cap);
    free(out);
    *size = used;
    return rc == LZMA_OK ? TERSE_OK : TERSE_ENOMEM;
}

enum terse_err squeeze_end(struct squeeze *squeeze) {
    uint64_t size = 0;
    enum terse_err err = TERSE_OK;
    if (squeeze->open)
        deflateEnd(&squeeze->stream);
    squeeze->open = false;
    if (squeeze->whole.len)
        err =
            xz_size(terse_buf_data(&squeeze->whole), squeeze->whole.len, &size);
    squeeze->xz += size;
    terse_buf_reset(&squeeze->whole);
    return err;
}
