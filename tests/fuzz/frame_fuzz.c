/*
 * frame_fuzz.c: bytes as a frame. What is refused must not crash; what is not
 * refused must be XML that our reader and expat read as one element, whatever
 * stands around it, and that comes back from its own frame.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/codec_util.h"

static struct terse_schema *schema;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- seeds: frames of the XML in a folder -------------------------------- */

static void seed(const char *from, const char *to, const char *name) {
    char path[4096];
    struct terse_buf frame;
    struct terse_error error;
    size_t n;
    snprintf(path, sizeof(path), "%s/%s", from, name);
    char *xml = codec_slurp(path, &n);
    if (!xml)
        return;
    terse_buf_init(&frame, SIZE_MAX / 4);
    if (codec_encode(schema, &codec_wide, xml, n, &frame, &error) == TERSE_OK &&
        frame.len > 0) {
        snprintf(path, sizeof(path), "%s/%s", to, name);
        FILE *out = fopen(path, "wb");
        if (out) {
            fwrite(terse_buf_data(&frame), 1, frame.len, out);
            fclose(out);
        }
    }
    terse_buf_fini(&frame);
    free(xml);
}

/* scripts/fuzz names the XML seeds and where the frames are to go. */
static void make_seeds(void) {
    const char *from = getenv("SEEDS_XML"), *to = getenv("SEEDS_FRAME");
    DIR *dir = from && to ? opendir(from) : NULL;
    if (!dir)
        return;
    for (struct dirent *e; (e = readdir(dir));)
        if (e->d_name[0] != '.')
            seed(from, to, e->d_name);
    closedir(dir);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    if (terse_schema_new(&schema) != TERSE_OK)
        abort();
    make_seeds();
    return 0;
}

/* ---- the test ------------------------------------------------------------ */

/* expat knows the names of XML 1.0 before its fifth edition only. */
static bool ascii(const struct terse_buf *buf) {
    for (size_t i = 0; i < buf->len; i++)
        if (terse_buf_data(buf)[i] >= 0x80)
            return false;
    return true;
}

static void must_be_one(const struct terse_buf *xml, bool alone,
                        struct terse_buf *dump) {
    if (!codec_read_element(schema, alone, terse_buf_data(xml), xml->len, dump))
        abort();
    if (ascii(xml) && !codec_expat_reads(terse_buf_data(xml), xml->len, !alone))
        abort();
}

/* From XML to a frame of ours and back: the same tree. */
static void must_come_back(const struct terse_buf *xml,
                           const struct terse_buf *want) {
    struct terse_buf frame, again, dump;
    struct terse_error error;
    terse_buf_init(&frame, SIZE_MAX / 4);
    terse_buf_init(&again, SIZE_MAX / 4);
    terse_buf_init(&dump, SIZE_MAX / 4);
    if (codec_encode(schema, &codec_wide, (const char *)terse_buf_data(xml),
                     xml->len, &frame, &error) != TERSE_OK)
        abort();
    if (terse_decode(schema, &codec_wide, terse_buf_data(&frame), frame.len,
                     TERSE_IN_STREAM, &again, NULL) != TERSE_OK)
        abort();
    must_be_one(&again, false, &dump);
    if (!codec_same(&dump, want))
        abort();
    terse_buf_fini(&frame);
    terse_buf_fini(&again);
    terse_buf_fini(&dump);
}

static bool decode(const uint8_t *data, size_t size, enum terse_place place,
                   struct terse_buf *xml) {
    struct terse_error error;
    terse_buf_init(xml, SIZE_MAX / 4);
    enum terse_err err = terse_decode(schema, &terse_limits_default, data, size,
                                      place, xml, &error);
    if (err != error.code || (err != TERSE_OK && xml->len > 0) ||
        (err != TERSE_OK && (error.offset > size || !error.text[0])))
        abort();
    return err == TERSE_OK;
}

static void look(const uint8_t *data, size_t size, bool decodes) {
    struct terse_frame_info info;
    struct terse_buf out;
    bool found;
    terse_buf_init(&out, SIZE_MAX / 4);
    bool known = terse_frame_info(schema, data, size, &info) == TERSE_OK;
    bool id = terse_frame_attr(schema, data, size, "", "id", &out, &found) ==
              TERSE_OK;
    bool shown = terse_inspect(schema, data, size, &out) == TERSE_OK;
    if (decodes && (!known || !id || !shown))
        abort();
    terse_buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct terse_buf in_stream, alone, a, b;
    struct terse_frame_info info;
    bool ok = decode(data, size, TERSE_IN_STREAM, &in_stream);
    if (ok != decode(data, size, TERSE_STANDALONE, &alone))
        abort();
    look(data, size, ok);
    if (ok && terse_frame_info(schema, data, size, &info) == TERSE_OK &&
        info.kind == TERSE_ELEMENT) {
        terse_buf_init(&a, SIZE_MAX / 4);
        terse_buf_init(&b, SIZE_MAX / 4);
        must_be_one(&in_stream, false, &a);
        must_be_one(&alone, true, &b);
        if (!codec_same(&a, &b))
            abort();
        must_come_back(&in_stream, &a);
        terse_buf_fini(&a);
        terse_buf_fini(&b);
    }
    terse_buf_fini(&in_stream);
    terse_buf_fini(&alone);
    return 0;
}
