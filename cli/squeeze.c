/*
 * squeeze.c: see squeeze.h.
 */
#include "squeeze.h"

#include <lzma.h>
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

/* Runs xz to its end and counts what comes out. */
static enum terse_err xz_finish(lzma_stream *xz, uint64_t *size) {
    uint8_t sink[16384];
    lzma_ret rc;
    do {
        xz->next_out = sink;
        xz->avail_out = sizeof(sink);
        rc = lzma_code(xz, LZMA_FINISH);
        *size += sizeof(sink) - xz->avail_out;
    } while (rc == LZMA_OK);
    return rc == LZMA_STREAM_END ? TERSE_OK : TERSE_ENOMEM;
}

/* `xz -9e` of n bytes. Its dictionary of 64 MiB would cost 674 MiB of memory;
 * one that holds all of the input finds the same matches. */
static enum terse_err xz_size(const uint8_t *p, size_t n, uint64_t *size) {
    lzma_options_lzma options;
    lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &options},
                             {LZMA_VLI_UNKNOWN, NULL}};
    lzma_stream xz = LZMA_STREAM_INIT;
    if (lzma_lzma_preset(&options, 9 | LZMA_PRESET_EXTREME))
        return TERSE_ENOMEM;
    while (options.dict_size / 2 >= n && options.dict_size > 65536)
        options.dict_size /= 2;
    if (lzma_stream_encoder(&xz, filters, LZMA_CHECK_CRC64) != LZMA_OK)
        return TERSE_ENOMEM;
    xz.next_in = p;
    xz.avail_in = n;
    *size = 0;
    enum terse_err err = xz_finish(&xz, size);
    lzma_end(&xz);
    return err;
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
